//! What the one worker does that asks the Sentinels: it carries out what the watcher of cache-core wants done.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use cache_core::cluster::Address;
use cache_core::lease::Held;
use cache_core::resp::{Received, Reply};
use cache_core::sentinel::reply::{self, Heard};
use cache_core::sentinel::{Action, Announced, Event, Proof, Settings, Watcher};
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::asked::{Answer, Sentinel};
use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::shm::StoreState;
use crate::store::background;
use crate::store::redis::config::{Login, Mode, ReadFrom, StoreConfig};
use crate::store::redis::line::Line;
use crate::store::redis::topology::server_at;

/// The longest time between two looks at what other workers have met, in milliseconds.
const LOOK: u64 = 50;

/// Where Sentinels say that a master has changed, and that a replica has come, gone or returned.
const CHANNELS: [&[u8]; 4] = [b"+switch-master", b"+slave", b"+sdown", b"-sdown"];

/// The worker's part.
pub struct Watch {
    config: Rc<StoreConfig>,
    /// The same for questions to servers that may be masters.
    to_servers: Rc<StoreConfig>,
    state: &'static StoreState,
    /// The name of the master.
    name: String,
    held: Cell<Held>,
    watcher: RefCell<Watcher<Address>>,
    sentinels: Vec<Sentinel>,
    /// The last suspicion that was passed on.
    suspected: Cell<u64>,
    timer: OnceCell<Timer>,
}

impl Watch {
    /// Begins to watch. `known` is what another worker has announced before.
    pub fn begin(
        config: &Rc<StoreConfig>,
        state: &'static StoreState,
        held: Held,
        known: Option<Announced>,
    ) -> Rc<Watch> {
        let name = match &config.mode {
            Mode::Sentinel(name) => name.clone(),
            Mode::Standalone | Mode::Cluster => String::new(),
        };
        let to_sentinels = questions(config, config.sentinel_login.clone(), 0);
        let servers = config.servers.iter();
        let sentinels: Vec<Sentinel> = servers
            .map(|server| Sentinel::new(&to_sentinels, server))
            .collect();
        let seed = random::between(1, u64::from(u32::MAX));
        let watcher = Watcher::new(sentinels.len(), Settings::default(), seed);
        let watcher = match known {
            Some(known) => watcher.following(known.master, known.replicas),
            None => watcher,
        };
        let watch = Rc::new(Watch {
            config: Rc::clone(config),
            to_servers: questions(config, config.login.clone(), config.database),
            state,
            name,
            held: Cell::new(held),
            watcher: RefCell::new(watcher),
            sentinels,
            suspected: Cell::new(state.suspected()),
            timer: OnceCell::new(),
        });
        let timer = Timer::of(Rc::downgrade(&watch), Watch::tick);
        timer.arm(0);
        let _ = watch.timer.set(timer);
        watch
    }

    /// Says that this worker still watches. False if another one does by now.
    pub fn renew(&self, millis: u64) -> bool {
        let renewed = self.state.watch.renew(self.held.get(), now_msec(), millis);
        if let Some(held) = renewed {
            self.held.set(held);
        }
        renewed.is_some()
    }

    /// Another worker may watch from now on.
    pub fn leave(&self) {
        self.state.watch.release(self.held.get());
    }

    fn tick(self: &Rc<Self>) {
        let suspected = self.state.suspected();
        if self.suspected.replace(suspected) != suspected
            && let Some(master) = self.master()
        {
            self.tell(Event::Suspect { address: master });
        }
        self.tell(Event::Tick);
    }

    fn master(&self) -> Option<Address> {
        let watcher = self.watcher.borrow();
        watcher.master().map(|master| master.address.clone())
    }

    /// Tells the watcher, and does what it wants done.
    fn tell(self: &Rc<Self>, event: Event<Address>) {
        let mut actions = Vec::new();
        let now = now_msec();
        let wakes_at = {
            let mut watcher = self.watcher.borrow_mut();
            watcher.handle(now, event, &mut actions);
            watcher.wakes_at()
        };
        for action in actions {
            self.carry_out(action);
        }
        if let Some(timer) = self.timer.get() {
            timer.arm(wakes_at.saturating_sub(now).clamp(1, LOOK));
        }
    }

    fn carry_out(self: &Rc<Self>, action: Action<Address>) {
        match action {
            Action::Ask { sentinel } => {
                let own = Rc::clone(self);
                background::spawn(async move { own.ask(sentinel).await });
            }
            Action::Verify { address, proof } => {
                let own = Rc::clone(self);
                background::spawn(async move { own.verify(address, proof).await });
            }
            Action::Subscribe { sentinel } => self.subscribe(sentinel),
            Action::Ping { sentinel } => {
                if let Some(known) = self.sentinels.get(sentinel) {
                    known.feed.say(&[b"PING"]);
                }
            }
            Action::Unsubscribe { sentinel } => {
                if let Some(known) = self.sentinels.get(sentinel) {
                    known.feed.close();
                }
            }
            Action::Announce(master) => {
                let (address, epoch) = (&master.address, master.epoch);
                self.announce(&format!("the master is {address} (config epoch {epoch})"));
            }
            Action::Replicas(replicas) if replicas.is_empty() => {
                self.announce("lookups go to the master: no replica is healthy");
            }
            Action::Replicas(replicas) => {
                let replicas: Vec<String> = replicas.iter().map(Address::to_string).collect();
                self.announce(&format!("lookups go to replicas: {}", replicas.join(", ")));
            }
        }
    }

    /// Says to all workers what the watcher has found, and to the log what is new.
    fn announce(&self, news: &str) {
        // Another worker watches by now, and knows better.
        if !self.state.watch.is_held(self.held.get(), now_msec()) {
            return;
        }
        let announced = {
            let watcher = self.watcher.borrow();
            let Some(master) = watcher.master().cloned() else {
                return;
            };
            let replicas = watcher.replicas().to_vec();
            Announced { master, replicas }
        };
        self.state.write_topology(&announced.encode());
        let name = &self.config.shown;
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\": {news}"
        );
    }

    async fn ask(self: Rc<Self>, number: usize) {
        let Some(sentinel) = self.sentinels.get(number) else {
            return;
        };
        self.tell(match sentinel.answer(&self.config, &self.name).await {
            Some(answer) => {
                let Answer {
                    address,
                    epoch,
                    replicas,
                } = answer;
                Event::Answered {
                    sentinel: number,
                    address,
                    epoch,
                    replicas,
                }
            }
            None => Event::Failed { sentinel: number },
        });
    }

    async fn verify(self: Rc<Self>, address: Address, proof: Proof) {
        let line = Line::new(&self.to_servers, &server_at(&address));
        let question: &[&[u8]] = match proof {
            Proof::Role => &[b"ROLE"],
            Proof::Info => &[b"INFO", b"replication"],
        };
        let role = match line.ask(question, reply::LIMITS) {
            Ok(waiting) => waiting.await.ok().map(|said| match proof {
                Proof::Role => reply::role(&said),
                Proof::Info => reply::info(&said),
            }),
            Err(_) => None,
        };
        line.close();
        self.tell(match role {
            Some(role) => Event::Role { address, role },
            None => Event::Unreachable { address },
        });
    }

    fn subscribe(self: &Rc<Self>, number: usize) {
        let Some(sentinel) = self.sentinels.get(number) else {
            return;
        };
        let own = Rc::downgrade(self);
        let heard = move |received| {
            let Some(own) = own.upgrade() else { return };
            match received {
                Some(Received::Reply(reply)) => own.heard(number, Some(reply)),
                // Not of RESP2.
                Some(Received::Push(_)) => {}
                None => own.heard(number, None),
            }
        };
        // Only the first is about the master.
        let count = match self.config.read_from {
            ReadFrom::Master => 1,
            ReadFrom::Replica => CHANNELS.len(),
        };
        let channels = CHANNELS.get(..count).unwrap_or_default();
        let subscribed = sentinel.feed.subscribe(channels, reply::LIMITS, heard);
        if subscribed.is_err() {
            // Not from within the watcher's own actions.
            let own = Rc::clone(self);
            background::spawn(async move { own.tell(Event::FeedLost { sentinel: number }) });
        }
    }

    fn heard(self: &Rc<Self>, sentinel: usize, reply: Option<Reply>) {
        let event = match reply.as_ref().map(reply::heard) {
            None => Event::FeedLost { sentinel },
            Some(Heard::Subscribed) => Event::Subscribed { sentinel },
            Some(Heard::Pong) => Event::Pong { sentinel },
            Some(Heard::Switched { name, .. }) if name == self.name.as_bytes() => {
                Event::Switched { sentinel }
            }
            Some(Heard::Replica { name }) if name == self.name.as_bytes() => {
                Event::Changed { sentinel }
            }
            Some(Heard::Switched { .. } | Heard::Replica { .. } | Heard::Other) => return,
        };
        let own = Rc::clone(self);
        background::spawn(async move { own.tell(event) });
    }
}

/// The configuration of lines on which questions are asked.
fn questions(config: &StoreConfig, login: Login, database: u32) -> Rc<StoreConfig> {
    Rc::new(StoreConfig {
        mode: Mode::Standalone,
        read_from: ReadFrom::Master,
        login,
        database,
        ..config.clone()
    })
}
