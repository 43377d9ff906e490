//! A worker: what comes to it waits, and it does one step at a time. It may be stopped or killed before each.

use std::collections::{BTreeMap, VecDeque};

use cache_core::feed::{Effect, Feed, HEED, Shadow};
use cache_core::lease::Held;

use crate::config::{Broken, Mode};
use crate::server::{Conn, Id};
use crate::tier::{Ticket, Value};
use crate::trouble::Trouble;
use crate::wire::Item;
use crate::world::{Happening, World};

/// A record lives in the tier for so long at most, in milliseconds.
const VALID: u64 = 60_000;

/// A lookup under way.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub worker: usize,
    pub server: Id,
    pub key: String,
    pub ticket: Ticket,
    pub since: u64,
    pub hops: u32,
}

/// What comes of a lookup.
#[derive(Clone, Debug)]
pub enum Found {
    Record(Option<(Value, u64)>),
    Moved(Id),
    Nobody,
}

/// What comes to a worker.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client asks for a key.
    Request(String),
    Found(Lookup, Found),
    /// The backend's response is whole, that was asked for at this time, because the key's server was down.
    Filled(String, u64),
    /// A client's request invalidates a key.
    Post(String),
    Feed(Conn, Item),
    Tick,
    /// The Sentinels have a new master, and this worker watches.
    Master(Id),
}

/// A record that is to be in the tier.
#[derive(Clone, Debug)]
pub struct Draft {
    pub key: String,
    pub value: Value,
    pub expires: u64,
    pub ticket: Ticket,
    pub since: u64,
    pub alone: bool,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Of a feed, and its connection.
    Effect(Id, Effect),
    Kill(String),
    /// Puts a record where those who invalidate find it, looks whether the ticket holds, and lets readers find it.
    Link(Draft),
    Check(Draft, u64),
    Enliven(String, u64),
    /// The last two of these at once, after the ticket was looked at.
    LinkLive(Draft),
    /// All of them at once: of two that replace what there is one fails.
    Replace(Draft),
    /// Invalidates what there is.
    Post(String),
    Master(Id),
    RaiseAll,
    LeaveFeeds,
    GiveUp,
    Release,
    StartFeeds,
    /// The feeds of this worker count from now on.
    Seize,
}

/// The feed of one server, and its connection.
pub struct Ear {
    pub feed: Feed,
    pub conn: Option<Conn>,
    /// While another worker's feed counts.
    pub shadow: Option<Shadow>,
}

/// A try to take over without a gap.
pub struct Succession {
    pub held: Held,
    pub until: u64,
    /// The master then.
    pub master: Id,
}

pub struct Worker {
    pub machine: usize,
    pub is_alive: bool,
    /// It does nothing before this time.
    pub stopped: u64,
    /// It shuts down: it takes no new part.
    pub is_leaving: bool,
    /// Then it watches no more.
    pub leaves: u64,
    pub inbox: VecDeque<Input>,
    pub todo: VecDeque<Step>,
    pub ears: BTreeMap<Id, Ear>,
    pub held: Option<Held>,
    /// It is to take over.
    pub succeeds: Option<Succession>,
    /// It has tried to, or had no reason to.
    pub is_settled: bool,
    /// When its timer fires next.
    pub wakes: u64,
    is_busy: bool,
}

impl World {
    /// A worker starts.
    pub fn start_worker(&mut self, machine: usize) -> usize {
        let worker = self.workers.len();
        self.workers.push(Worker {
            machine,
            is_alive: true,
            stopped: 0,
            is_leaving: false,
            leaves: 0,
            inbox: VecDeque::new(),
            todo: VecDeque::new(),
            ears: BTreeMap::new(),
            held: None,
            succeeds: None,
            is_settled: false,
            wakes: 0,
            is_busy: false,
        });
        let it = &mut self.machines[machine];
        it.workers.push(worker);
        it.telling = it.telling.max(self.now + HEED);
        let delay = self.rng.range(0, 200);
        self.wake_at(worker, self.now + delay);
        worker
    }

    pub fn wake_at(&mut self, worker: usize, time: u64) {
        let it = &mut self.workers[worker];
        if it.wakes < self.now || time < it.wakes {
            it.wakes = time;
            self.at(time, Happening::Woken(worker));
        }
    }

    pub fn woken(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        if it.wakes == self.now {
            it.wakes = 0;
            self.tell(worker, Input::Tick);
        }
    }

    /// Something comes to a worker.
    pub fn tell(&mut self, worker: usize, input: Input) {
        let it = &mut self.workers[worker];
        if !it.is_alive {
            return;
        }
        it.inbox.push_back(input);
        self.get_busy(worker);
    }

    fn get_busy(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        let is_idle = it.inbox.is_empty() && it.todo.is_empty();
        if it.is_alive && !is_idle && !std::mem::replace(&mut it.is_busy, true) {
            let at = it.stopped.max(self.now);
            self.at(at, Happening::Step(worker));
        }
    }

    /// A worker does a step, unless it is stopped.
    pub fn step(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        if !it.is_alive {
            return;
        }
        if it.stopped > self.now {
            let at = it.stopped;
            return self.at(at, Happening::Step(worker));
        }
        self.workers[worker].is_busy = false;
        if self.config.faulty && self.rng.range(0, 3999) == 0 {
            let trouble = match self.rng.chance(30) {
                true => Trouble::Kill(worker),
                false => Trouble::Stop(worker, self.rng.range(1, 8000)),
            };
            self.trouble(trouble);
            return self.get_busy(worker);
        }
        let it = &mut self.workers[worker];
        if let Some(step) = it.todo.pop_front() {
            self.take_step(worker, step);
        } else if let Some(input) = it.inbox.pop_front() {
            self.take(worker, input);
        }
        self.get_busy(worker);
    }

    fn take(&mut self, worker: usize, input: Input) {
        match input {
            Input::Request(key) => self.request(worker, key),
            Input::Found(lookup, found) => self.found(worker, lookup, found),
            Input::Filled(key, since) => self.filled(worker, key, since),
            Input::Post(key) => self.workers[worker].todo.push_back(Step::Post(key)),
            Input::Feed(conn, item) => self.feed_told(worker, conn, item),
            Input::Tick => self.tick(worker),
            Input::Master(master) => self.new_master(worker, master),
        }
    }

    /// A client asks: the tier answers, or a server.
    fn request(&mut self, worker: usize, key: String) {
        let machine = self.workers[worker].machine;
        let any = self.config.is(Broken::AloneStays);
        let tier = &self.machines[machine].tier;
        if let Some(entry) = tier.read(&key, self.now, any).cloned() {
            return self.judge_hit(machine, &key, &entry);
        }
        if self.is_alone(machine, &key) {
            return self.request_alone(worker, key);
        }
        self.judge.misses += 1;
        let server = self.route(worker, &key);
        self.look_up(worker, key, server, 0, None);
    }

    /// Where a worker takes a key to be.
    fn route(&mut self, worker: usize, key: &str) -> Id {
        let machine = self.workers[worker].machine;
        match self.config.mode {
            Mode::Sentinel => {
                let master = self.machines[machine].master;
                let replica = self.config.is(Broken::FromReplica) && self.rng.chance(50);
                if replica { 1 - master } else { master }
            }
            // Its map may be old: half of the time it asks anybody.
            Mode::Cluster if self.rng.chance(80) => self.owner(key),
            Mode::Cluster => self.rng.range(0, self.servers.len() as u64 - 1) as Id,
        }
    }

    fn look_up(
        &mut self,
        worker: usize,
        key: String,
        server: Id,
        hops: u32,
        first: Option<Ticket>,
    ) {
        let machine = self.workers[worker].machine;
        let node = match self.config.is(Broken::FromReplica) {
            true => self.machines[machine].master,
            false => server,
        };
        let ticket = match first {
            Some(ticket) if self.config.is(Broken::FirstServer) => ticket,
            _ => self.machines[machine].tier.ticket(&key, node),
        };
        let lookup = Lookup {
            worker,
            server,
            key,
            ticket,
            since: self.now,
            hops,
        };
        let there = self.delay();
        self.after(there, Happening::LookedUp(lookup));
    }

    fn found(&mut self, worker: usize, lookup: Lookup, found: Found) {
        let machine = self.workers[worker].machine;
        let Lookup {
            key, ticket, since, ..
        } = lookup;
        match found {
            Found::Moved(to) if lookup.hops < 3 => {
                self.look_up(worker, key, to, lookup.hops + 1, Some(ticket));
            }
            Found::Record(Some((value, expires))) => {
                let tier = &self.machines[machine].tier;
                let ticket = match self.config.is(Broken::LateTicket) {
                    true => tier.ticket(&key, ticket.node),
                    false => ticket,
                };
                let draft = Draft {
                    key,
                    value,
                    expires: expires.min(self.now + VALID),
                    ticket,
                    since,
                    alone: false,
                };
                self.workers[worker].todo.push_back(Step::Link(draft));
            }
            Found::Moved(_) | Found::Nobody | Found::Record(None) => {}
        }
    }

    fn take_step(&mut self, worker: usize, step: Step) {
        let machine = self.workers[worker].machine;
        self.note(|| format!("worker {worker}: {step:?}"));
        let check_first = self.config.is(Broken::CheckBeforeLink);
        let never = self.config.is(Broken::NoGeneration);
        let now = self.now;
        let tier = &mut self.machines[machine].tier;
        let todo = &mut self.workers[worker].todo;
        match step {
            Step::Effect(server, effect) => self.carry_out(worker, server, effect),
            Step::Kill(key) => tier.kill(&key),
            Step::Link(draft) if check_first => {
                if tier.holds(&draft.key, &draft.ticket) {
                    todo.push_front(Step::LinkLive(draft));
                    // Seldom would chance stop it just here.
                    let stops = self.config.was_faulty && self.rng.chance(2);
                    let until = if stops { self.now + 300 } else { 0 };
                    let it = &mut self.workers[worker];
                    it.stopped = it.stopped.max(until);
                }
            }
            Step::LinkLive(draft) => {
                let serial = tier.link(&draft, now);
                tier.enliven(&draft.key, serial);
            }
            Step::Replace(draft) => self.replace(machine, draft),
            Step::Post(key) => self.post(machine, key),
            Step::Link(draft) => {
                let serial = tier.link(&draft, now);
                todo.push_front(Step::Check(draft, serial));
            }
            Step::Check(draft, serial) => {
                let holds = match never {
                    true => tier.is_of_epoch(&draft.ticket),
                    false => tier.holds(&draft.key, &draft.ticket),
                };
                if holds {
                    todo.push_front(Step::Enliven(draft.key, serial));
                }
            }
            Step::Enliven(key, serial) => tier.enliven(&key, serial),
            Step::Master(master) => self.announce(machine, master),
            Step::RaiseAll => tier.raise_all(),
            Step::LeaveFeeds => self.leave_feeds(worker),
            Step::GiveUp => self.give_up(worker),
            Step::Release => self.release(worker),
            Step::StartFeeds => self.start_feeds(worker, false),
            Step::Seize => self.seize(worker),
        }
    }
}
