//! What the elected worker of a machine does for all: it runs the feeds, and carries out what they want done.

use bytes::Bytes;
use cache_core::cluster::Slot;
use cache_core::feed::{Effect, Event, Feed, Settings, Shadow};
use cache_core::resp::{Push, Reply};

use crate::config::{Broken, Mode};
use crate::server::{Conn, Id, bounds};
use crate::serving::CHANNEL;
use crate::trouble::Trouble;
use crate::wire::Item;
use crate::worker::{Ear, Input, Step, Succession};
use crate::world::{Happening, World};

/// How long a worker that runs the feeds has the lease, and how often it renews it, in milliseconds.
const WATCH: u64 = 1000;
const RENEW: u64 = 200;

/// How long a worker tries to take over without a gap, in milliseconds.
const SUCCESSION: u64 = 5000;

impl World {
    /// Whether a worker runs the feeds of its machine.
    pub fn watches(&self, worker: usize) -> bool {
        let it = &self.workers[worker];
        let tier = &self.machines[it.machine].tier;
        it.held
            .is_some_and(|held| tier.watch.is_held(held, self.now))
    }

    /// Its timer: it takes the lease, or renews it, and lets its feeds go on.
    pub fn tick(&mut self, worker: usize) {
        let machine = self.workers[worker].machine;
        let who = u32::try_from(worker).unwrap() + 1;
        let watch = &self.machines[machine].tier.watch;
        let it = &self.workers[worker];
        if it.is_leaving && it.leaves <= self.now {
            if it.held.is_some() {
                self.workers[worker].todo.push_back(Step::GiveUp);
            }
            self.end_succession(worker);
        } else if let Some(held) = self.workers[worker].held {
            let renewed = watch.renew(held, self.now, WATCH);
            self.workers[worker].held = renewed;
            if renewed.is_none() {
                self.note(|| format!("worker {worker} has lost the watch"));
                self.drop_feeds(worker);
            }
        } else if !self.workers[worker].is_leaving
            && let Some(held) = watch.take(who, self.now, WATCH)
        {
            self.note(|| format!("worker {worker} watches"));
            self.end_succession(worker);
            let it = &mut self.workers[worker];
            it.held = Some(held);
            it.todo.push_back(Step::StartFeeds);
        } else {
            self.succeed(worker, who);
        }
        self.workers[worker].is_settled = true;
        let nodes: Vec<Id> = self.workers[worker].ears.keys().copied().collect();
        for node in nodes {
            self.handle(worker, node, Event::Tick);
        }
        self.wake_at(worker, self.now + RENEW);
    }

    /// A worker that starts while another one watches is to take over from it.
    fn succeed(&mut self, worker: usize, who: u32) {
        let it = &self.workers[worker];
        let (machine, now) = (it.machine, self.now);
        let (tier, master) = (&self.machines[machine].tier, self.machines[machine].master);
        match &it.succeeds {
            None if it.is_settled || it.is_leaving => {}
            None => {
                if let Some(held) = tier.successor.take(who, now, WATCH) {
                    self.note(|| format!("worker {worker} is to take over"));
                    self.workers[worker].succeeds = Some(Succession {
                        held,
                        until: now + SUCCESSION,
                        master,
                    });
                    self.start_feeds(worker, true);
                }
            }
            Some(succession) => {
                let lasts = succession.until > now && succession.master == master;
                let renewed = tier.successor.renew(succession.held, now, WATCH);
                match renewed.filter(|_| lasts && !it.is_leaving) {
                    Some(held) => {
                        let succession = self.workers[worker].succeeds.as_mut();
                        succession.unwrap().held = held;
                        self.workers[worker].todo.push_back(Step::Seize);
                    }
                    None => self.end_succession(worker),
                }
            }
        }
    }

    fn end_succession(&mut self, worker: usize) {
        if let Some(succession) = self.workers[worker].succeeds.take() {
            let machine = self.workers[worker].machine;
            let tier = &self.machines[machine].tier;
            tier.successor.release(succession.held);
            self.drop_feeds(worker);
        }
    }

    /// Its feeds have heard all: they count from now on.
    pub fn seize(&mut self, worker: usize) {
        let it = &self.workers[worker];
        let machine = it.machine;
        let is_covered = |(node, ear): (&Id, &Ear)| {
            let mut known = self.machines[machine].tier.known(*node);
            if self.config.is(Broken::OldLease) {
                known.leased_until += 3000;
            }
            if self.config.is(Broken::EagerSeize) {
                known.leased_until = u64::MAX;
            }
            let shadow = ear.shadow.as_ref();
            shadow.is_some_and(|shadow| shadow.is_covered(known))
        };
        if it.ears.is_empty() || !it.ears.iter().all(is_covered) {
            return;
        }
        let master = self.machines[machine].master;
        let it = &mut self.workers[worker];
        let Some(succession) = it.succeeds.take_if(|it| it.master == master) else {
            return;
        };
        let who = u32::try_from(worker).unwrap() + 1;
        let tier = &self.machines[machine].tier;
        tier.successor.release(succession.held);
        it.held = tier.watch.seize(who, self.now, WATCH);
        if it.held.is_none() {
            return self.drop_feeds(worker);
        }
        it.ears.values_mut().for_each(|ear| ear.shadow = None);
        self.judge.takeovers += 1;
        self.note(|| format!("worker {worker} has taken over"));
    }

    /// What a feed does whose time hasn't come. Whether an effect is to be carried out.
    fn is_for_now(&mut self, worker: usize, node: Id, effect: &Effect) -> bool {
        let it = &mut self.workers[worker];
        let epoch = self.machines[it.machine].tier.epoch(node);
        let shadow = it.ears.get_mut(&node).and_then(|ear| ear.shadow.as_mut());
        shadow.is_none_or(|shadow| shadow.take(self.now, effect, epoch))
    }

    pub fn start_feeds(&mut self, worker: usize, as_shadows: bool) {
        if !as_shadows && !self.watches(worker) {
            return;
        }
        let machine = self.workers[worker].machine;
        let masters = match self.config.mode {
            Mode::Sentinel => vec![self.machines[machine].master],
            Mode::Cluster => (0..self.servers.len()).collect(),
        };
        for node in masters {
            let slots = (self.config.mode == Mode::Cluster).then(|| {
                let (first, last) = bounds(node, self.servers.len());
                vec![Slot::new(first).unwrap()..=Slot::new(last).unwrap()]
            });
            let settings = Settings {
                prefix: Vec::new(),
                channel: CHANNEL.to_vec(),
                slots,
                connect_timeout: 500,
                read_timeout: 400,
            };
            let feed = Feed::new(settings, self.rng.next());
            let ear = Ear {
                feed,
                conn: None,
                shadow: as_shadows.then(Shadow::default),
            };
            self.workers[worker].ears.insert(node, ear);
            self.handle(worker, node, Event::Tick);
        }
    }

    /// Another worker watches by now: nothing more is said.
    fn drop_feeds(&mut self, worker: usize) {
        let ears = std::mem::take(&mut self.workers[worker].ears);
        for conn in ears.into_values().filter_map(|ear| ear.conn) {
            self.close(conn);
        }
    }

    pub fn leave_feeds(&mut self, worker: usize) {
        let mut ears = std::mem::take(&mut self.workers[worker].ears);
        for (node, ear) in &mut ears {
            let mut effects = Vec::new();
            ear.feed.leave(&mut effects);
            let todo = &mut self.workers[worker].todo;
            todo.extend(
                effects
                    .into_iter()
                    .map(|effect| Step::Effect(*node, effect)),
            );
        }
        for conn in ears.into_values().filter_map(|ear| ear.conn) {
            self.close(conn);
        }
    }

    /// Leaves the watch to another worker, once its feeds have said their last words.
    pub fn give_up(&mut self, worker: usize) {
        self.leave_feeds(worker);
        self.workers[worker].todo.push_back(Step::Release);
    }

    pub fn release(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        if let Some(held) = it.held.take() {
            self.machines[it.machine].tier.watch.release(held);
        }
    }

    /// The Sentinels have another master.
    pub fn new_master(&mut self, worker: usize, master: Id) {
        let machine = self.workers[worker].machine;
        if !self.watches(worker) {
            return self.tell_of_master(machine, master);
        }
        let todo = &mut self.workers[worker].todo;
        todo.push_back(Step::Master(master));
        if !self.config.is(Broken::OldMaster) {
            todo.extend([Step::RaiseAll, Step::LeaveFeeds, Step::StartFeeds]);
        }
    }

    /// All workers of a machine look there from now on.
    pub fn announce(&mut self, machine: usize, master: Id) {
        self.note(|| format!("machine {machine} takes {master} for the master"));
        let it = &mut self.machines[machine];
        it.master = master;
        it.masters.push((self.now, master));
    }

    /// Somebody must tell the workers: the one who watches, or who will.
    pub fn tell_of_master(&mut self, machine: usize, master: Id) {
        if self.master != master || self.machines[machine].master == master {
            return;
        }
        let workers = self.machines[machine].workers.clone();
        let watching = workers.into_iter().find(|worker| {
            let it = &self.workers[*worker];
            it.is_alive && self.watches(*worker)
        });
        match watching {
            Some(worker) => self.tell(worker, Input::Master(master)),
            None => {
                let trouble = Trouble::Announce(machine, master);
                self.after(100, Happening::Trouble(trouble));
            }
        }
    }

    pub fn feed_told(&mut self, worker: usize, conn: Conn, item: Item) {
        let ears = &self.workers[worker].ears;
        let Some((node, _)) = ears.iter().find(|(_, ear)| ear.conn == Some(conn)) else {
            return;
        };
        let node = *node;
        if matches!(item, Item::Closed) {
            self.wires.remove(&conn);
            self.workers[worker].ears.get_mut(&node).unwrap().conn = None;
        }
        let is_flush =
            matches!(&item, Item::Push(Push(said)) if said.last() == Some(&Reply::Bulk(None)));
        if is_flush && self.config.is(Broken::NoFlush) {
            return;
        }
        let event = match &item {
            Item::Connected => Event::Connected,
            Item::Closed => Event::Closed,
            Item::Reply(reply) => Event::Reply(reply),
            Item::Push(push) => Event::Push(push),
            Item::Published(reply) => Event::Published(reply),
        };
        self.handle(worker, node, event);
        if matches!(item, Item::Connected) && self.config.is(Broken::EarlyEpoch) {
            let machine = self.workers[worker].machine;
            self.machines[machine].tier.raise_epoch(node);
        }
    }

    fn handle(&mut self, worker: usize, node: Id, event: Event<'_>) {
        let mut effects = Vec::new();
        let now = self.now;
        let Some(ear) = self.workers[worker].ears.get_mut(&node) else {
            return;
        };
        ear.feed.handle(now, event, &mut effects);
        let wakes = ear.feed.wakes_at();
        let todo = &mut self.workers[worker].todo;
        todo.extend(effects.into_iter().map(|effect| Step::Effect(node, effect)));
        self.wake_at(worker, wakes);
    }

    pub fn carry_out(&mut self, worker: usize, node: Id, effect: Effect) {
        if !self.is_for_now(worker, node, &effect) {
            return;
        }
        let machine = self.workers[worker].machine;
        let conn = self.workers[worker]
            .ears
            .get(&node)
            .and_then(|ear| ear.conn);
        match effect {
            Effect::Connect => {
                let conn = self.open(worker, node);
                if let Some(ear) = self.workers[worker].ears.get_mut(&node) {
                    ear.conn = Some(conn);
                }
            }
            Effect::Close => {
                if let Some(ear) = self.workers[worker].ears.get_mut(&node) {
                    ear.conn = None;
                }
                conn.into_iter().for_each(|conn| self.close(conn));
            }
            Effect::Send(words) => {
                if let Some(conn) = conn {
                    self.send(worker, node, conn, words);
                }
            }
            Effect::Publish { message, .. } => {
                if let Some(conn) = conn {
                    let delay = self.delay();
                    self.after(delay, Happening::Published(conn, message));
                }
            }
            Effect::Invalidate(key) => {
                let key = String::from_utf8_lossy(&key).into_owned();
                self.machines[machine].tier.raise_generation(&key);
                self.workers[worker].todo.push_front(Step::Kill(key));
            }
            Effect::RaiseEpoch => {
                let never = [Broken::EarlyEpoch, Broken::NoEpoch];
                if !never.iter().any(|broken| self.config.is(*broken)) {
                    let tier = &mut self.machines[machine].tier;
                    tier.raise_epoch(node);
                }
            }
            Effect::RaiseAll if self.config.is(Broken::NoView) => {}
            Effect::RaiseAll => self.machines[machine].tier.raise_all(),
            Effect::Lease { until } if self.watches(worker) => {
                let until = match self.config.broken {
                    Some(Broken::LeaseFromPong) => self.now + 3000,
                    Some(Broken::LongMessages) => until + 2000,
                    _ => until,
                };
                let tier = &mut self.machines[machine].tier;
                tier.lease(node, until);
            }
            Effect::Tell { .. } if self.config.is(Broken::Unheeded) && self.config.lost > 0 => {}
            Effect::Tell { until } => {
                let telling = &mut self.machines[machine].telling;
                *telling = until.max(*telling);
            }
            Effect::Revoke if self.watches(worker) => self.machines[machine].tier.revoke(node),
            Effect::Lease { .. } | Effect::Revoke | Effect::Refresh => {}
            Effect::Say(_, text) => self.note(|| format!("worker {worker}, server {node}: {text}")),
        }
    }

    fn send(&mut self, worker: usize, node: Id, conn: Conn, words: Vec<Bytes>) {
        let canary = (words[0] == "SET").then(|| words[1].clone());
        self.send_up(conn, words);
        if let Some(key) = canary.filter(|_| self.config.is(Broken::NoCanary)) {
            let kind = Reply::Bulk(Some(Bytes::from_static(b"invalidate")));
            let keys = Reply::Array(Some(vec![Reply::Bulk(Some(key))]));
            self.handle(worker, node, Event::Push(&Push(vec![kind, keys])));
        }
    }
}
