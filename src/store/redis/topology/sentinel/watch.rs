//! What the one worker does that asks the Sentinels: it carries out what the watcher of cache-core wants done.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use cache_core::cluster::Address;
use cache_core::lease::Held;
use cache_core::resp::Reply;
use cache_core::sentinel::reply::{self, Endpoint, Heard};
use cache_core::sentinel::{Action, Event, Master, Proof, Settings, Watcher};
use cache_core::shown::shown;
use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::announce;
use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::shm::StoreState;
use crate::store::background;
use crate::store::redis::config::{Login, Mode, ReadFrom, Server, StoreConfig};
use crate::store::redis::error::StoreError;
use crate::store::redis::line::Line;
use crate::store::redis::topology::server_at;

/// The longest time between two looks at what other workers have met, in milliseconds.
const LOOK: u64 = 50;

/// Where Sentinels say that a master has changed.
const CHANNEL: &[u8] = b"+switch-master";

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

/// One Sentinel.
struct Sentinel {
    text: String,
    line: Rc<Line>,
    feed: Rc<Line>,
    /// Whether it has failed, as the log has it.
    failing: Cell<bool>,
}

impl Watch {
    /// Begins to watch. `known` is what another worker has announced before.
    pub fn begin(
        config: &Rc<StoreConfig>,
        state: &'static StoreState,
        held: Held,
        known: Option<Master<Address>>,
    ) -> Rc<Watch> {
        let name = match &config.mode {
            Mode::Sentinel(name) => name.clone(),
            Mode::Standalone | Mode::Cluster => String::new(),
        };
        let to_sentinels = questions(config, config.sentinel_login.clone(), 0);
        let sentinel = |server: &Server| Sentinel {
            text: server.text.clone(),
            line: Line::new(&to_sentinels, server),
            feed: Line::new(&to_sentinels, server),
            failing: Cell::new(false),
        };
        let sentinels: Vec<Sentinel> = config.servers.iter().map(sentinel).collect();
        let seed = random::between(1, u64::from(u32::MAX));
        let watcher = Watcher::new(sentinels.len(), Settings::default(), seed);
        let watcher = match known {
            Some(master) => watcher.following(master),
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
        let own: Weak<Watch> = Rc::downgrade(&watch);
        let timer = Timer::new(true, move || {
            if let Some(own) = own.upgrade() {
                own.tick();
            }
        });
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
                    known.feed.ping();
                }
            }
            Action::Unsubscribe { sentinel } => {
                if let Some(known) = self.sentinels.get(sentinel) {
                    known.feed.close();
                }
            }
            Action::Announce(master) => {
                // Another worker watches by now, and knows better.
                if self.state.watch.is_held(self.held.get(), now_msec()) {
                    announce(&self.config, self.state, &master);
                }
            }
        }
    }

    async fn ask(self: Rc<Self>, number: usize) {
        let Some(sentinel) = self.sentinels.get(number) else {
            return;
        };
        let event = match self.answer(sentinel).await {
            Ok((address, epoch)) => {
                sentinel.well(&self.config);
                Event::Answered {
                    sentinel: number,
                    address,
                    epoch,
                }
            }
            Err(reason) => {
                sentinel.failed(&self.config, &reason);
                Event::Failed { sentinel: number }
            }
        };
        self.tell(event);
    }

    /// What a Sentinel says of the master: its address, and the config epoch if it tells that.
    async fn answer(&self, sentinel: &Sentinel) -> Result<(Address, Option<u64>), String> {
        let name = self.name.as_bytes();
        let words = |error: StoreError| error.to_string();
        let address = [b"SENTINEL", &b"GET-MASTER-ADDR-BY-NAME"[..], name];
        let epoch = [b"SENTINEL", &b"MASTER"[..], name];
        // Both are on their way at once.
        let address = sentinel.line.ask(&address, reply::LIMITS).map_err(words)?;
        let epoch = sentinel.line.ask(&epoch, reply::LIMITS).map_err(words)?;
        let told = address.await.map_err(|failure| words(failure.error))?;
        let epoch = epoch.await.map_err(|failure| words(failure.error))?;
        if let Reply::Error(text) = &told {
            let text = text.get(..200).unwrap_or(text);
            return Err(shown(text).to_string());
        }
        let address = reply::address(&told).and_then(|endpoint| to_address(&endpoint));
        let address = address.ok_or_else(|| format!("no master is called \"{}\"", self.name))?;
        Ok((address, reply::config_epoch(&epoch)))
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
        let heard = move |reply| {
            let Some(own) = own.upgrade() else { return };
            own.heard(number, reply);
        };
        let subscribed = sentinel.feed.subscribe(CHANNEL, reply::LIMITS, heard);
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
            Some(Heard::Switched { .. } | Heard::Other) => return,
        };
        let own = Rc::clone(self);
        background::spawn(async move { own.tell(event) });
    }
}

impl Sentinel {
    fn well(&self, config: &StoreConfig) {
        if self.failing.replace(false) {
            let (name, sentinel) = (&config.shown, &self.text);
            ngx_log_error!(
                NGX_LOG_NOTICE,
                ngx_cycle_log().as_ptr(),
                "redis store \"{name}\": the sentinel at {sentinel} answers again"
            );
        }
    }

    /// Says it once.
    fn failed(&self, config: &StoreConfig, reason: &str) {
        let level = if self.failing.replace(true) {
            NGX_LOG_INFO
        } else {
            NGX_LOG_ERR
        };
        let (name, sentinel) = (&config.shown, &self.text);
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\": the sentinel at {sentinel} doesn't say who the master is: {reason}; \
             others are asked"
        );
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

fn to_address(endpoint: &Endpoint) -> Option<Address> {
    Address::new(&endpoint.host, endpoint.port)
}
