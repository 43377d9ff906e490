//! Hearing what other machines invalidate: the worker that listens on the store's channel marks in the zones what is told
//! there, so that nobody joins a fill from before.
//!
//! One worker of an nginx that fills does so. A message that is lost costs those who join such a fill meanwhile; the store
//! refuses its record all the same (see [`cache_core::fence`]).

use std::cell::{Cell, OnceCell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use cache_core::fence::{self, CHANNEL};
use cache_core::lease::{Held, Lease};
use cache_core::resp::{Limits, Received, Reply};
use cache_core::shown::shown;
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::config::{ReadFrom, StoreConfig};
use super::line::Line;
use super::protocol::purges;
use super::purges::Purges;
use super::topology::Topology;
use crate::ngx::event::{Timer, exact_msec};
use crate::ngx::shutdown;
use crate::shm::process::pid;
use crate::shm::zone;
use crate::store::background;

/// How often a worker looks whether somebody listens, in milliseconds.
const LOOK: u64 = 200;

/// After so many milliseconds without a sign of life of the worker that listens another takes over.
const LEASE: u64 = 1000;

/// How often the server is asked for a sign of life, in milliseconds.
const PING: u64 = 5000;

/// How long one may be silent, in milliseconds.
const SILENCE: u64 = 12_000;

/// How long a server is left alone that was lost, and one that has refused, in milliseconds.
const PAUSE: u64 = 500;
const REFUSED: u64 = 30_000;

/// How often the name of a server is looked up, in milliseconds.
const NAME: u64 = 1000;

/// What is listened to: what is invalidated, and what is purged.
const CHANNELS: [&[u8]; 2] = [CHANNEL.as_bytes(), purges::CHANNEL.as_bytes()];

/// Whether this is a message that tells of a purge.
fn tells_of_purge(elements: &[Reply]) -> bool {
    let is = |reply: &Reply, text: &[u8]| reply.text().is_some_and(|said| said == text);
    match elements {
        [kind, channel, _] => is(kind, b"message") && is(channel, purges::CHANNEL.as_bytes()),
        _ => false,
    }
}

thread_local! {
    /// The worker's parts, one for each store, kept apart from what each request copies of its store.
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static PARTS: ManuallyDrop<RefCell<Vec<Part>>> = ManuallyDrop::default();
}

/// Whose part it is, and the part.
type Part = (Rc<StoreConfig>, Rc<Hearing>);

/// Sees to it from now on that somebody of this nginx listens: a fill begins.
pub fn begin(config: &Rc<StoreConfig>, topology: &Rc<Topology>, purges: &Rc<Purges>) {
    PARTS.with(|parts| {
        let is_known = |part: &Part| Rc::ptr_eq(&part.0, config);
        if parts.borrow().iter().any(is_known) {
            return;
        }
        let hearing = Hearing::begin(config, topology, purges);
        parts.borrow_mut().push((Rc::clone(config), hearing));
    });
}

/// Gives it up, for this worker's exit or for a store that is no more.
pub fn leave(config: &Rc<StoreConfig>) {
    let parts = PARTS.with(|parts| parts.take());
    let (left, others): (Vec<Part>, Vec<Part>) = parts
        .into_iter()
        .partition(|(known, _)| Rc::ptr_eq(known, config));
    PARTS.with(|parts| parts.replace(others));
    for (_, hearing) in left {
        hearing.leave();
    }
}

/// A worker's part: it listens, or sees to it that another one does.
struct Hearing {
    config: Rc<StoreConfig>,
    topology: Rc<Topology>,
    purges: Rc<Purges>,
    held: Cell<Option<Held>>,
    /// It keeps its TLS session while it is closed.
    line: RefCell<Option<Rc<Line>>>,
    is_open: Cell<bool>,
    /// Where the line leads to.
    server: RefCell<String>,
    /// The topology's version to which that fits.
    version: Cell<u64>,
    /// Counts lines: what comes of an earlier one isn't heard.
    number: Cell<u64>,
    /// When something was heard last, and asked for, in milliseconds.
    heard: Cell<u64>,
    asked: Cell<u64>,
    /// When the name of the server was looked up last, in milliseconds.
    looked_up: Cell<u64>,
    /// No new line before this time, in milliseconds.
    patience: Cell<u64>,
    is_refused: Cell<bool>,
    /// The line's server has agreed to tell.
    is_subscribed: Cell<bool>,
    timer: OnceCell<Timer>,
}

impl Hearing {
    /// Begins, once what is going on is over: that may be in the middle of the first command.
    fn begin(
        config: &Rc<StoreConfig>,
        topology: &Rc<Topology>,
        purges: &Rc<Purges>,
    ) -> Rc<Hearing> {
        let hearing = Rc::new(Hearing {
            // Masters alone are listened to.
            config: Rc::new(StoreConfig {
                read_from: ReadFrom::Master,
                ..StoreConfig::clone(config)
            }),
            topology: Rc::clone(topology),
            purges: Rc::clone(purges),
            held: Cell::new(None),
            line: RefCell::default(),
            is_open: Cell::new(false),
            server: RefCell::default(),
            version: Cell::new(0),
            number: Cell::new(0),
            heard: Cell::new(0),
            asked: Cell::new(0),
            looked_up: Cell::new(0),
            patience: Cell::new(0),
            is_refused: Cell::new(false),
            is_subscribed: Cell::new(false),
            timer: OnceCell::new(),
        });
        let timer = Timer::of(Rc::downgrade(&hearing), Hearing::look);
        timer.set_cancelable(true);
        timer.arm(0);
        let _ = hearing.timer.set(timer);
        hearing
    }

    fn leave(&self) {
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
        self.hang_up();
        if let (Some(lease), Some(held)) = (self.lease(), self.held.take()) {
            lease.release(held);
        }
    }

    /// `None`: the workers share nothing of the store, and each listens for itself.
    fn lease(&self) -> Option<&'static Lease> {
        let state = self.config.memory?.state()?;
        Some(&state.hearing)
    }

    /// Keeps the right to listen for all workers, or takes it if nobody has it. Whether this worker has it.
    fn has_right(&self) -> bool {
        let Some(lease) = self.lease() else {
            return true;
        };
        let now = exact_msec();
        let renewed = self
            .held
            .get()
            .and_then(|held| lease.renew(held, now, LEASE));
        let who = u32::try_from(pid()).unwrap_or_default();
        self.held
            .set(renewed.or_else(|| lease.take(who, now, LEASE)));
        self.held.get().is_some()
    }

    fn look(self: &Rc<Self>) {
        if shutdown::has_begun() {
            // It knows nothing of zones that a newer configuration has, and its clients join no fill from now on.
            return self.leave();
        }
        if self.has_right() {
            self.follow();
        } else {
            self.hang_up();
        }
        if let Some(timer) = self.timer.get() {
            timer.arm(LOOK);
        }
    }

    /// Has a line to a server that has keys: any of a Cluster tells what was published at another.
    fn follow(self: &Rc<Self>) {
        let now = exact_msec();
        let line = self.line.borrow().clone();
        let Some(line) = line.filter(|_| self.is_open.get()) else {
            return self.connect(now);
        };
        let is_silent = now > self.heard.get().saturating_add(SILENCE);
        if is_silent || !self.is_at_master() {
            self.lost(PAUSE);
            return;
        }
        if now >= self.asked.get().saturating_add(PING) {
            self.asked.set(now);
            line.say(&[b"PING"]);
        }
        if now >= self.looked_up.get().saturating_add(NAME) {
            self.looked_up.set(now);
            // Commands go to the server that has the name by now.
            let (own, number) = (Rc::downgrade(self), self.number.get());
            line.look_up(move || {
                if let Some(own) = own.upgrade()
                    && own.number.get() == number
                {
                    own.lose(0);
                }
            });
        }
    }

    /// Whether the line leads to a server that has keys still.
    fn is_at_master(&self) -> bool {
        let version = self.topology.version();
        if self.version.replace(version) == version {
            return true;
        }
        let masters = self.topology.masters();
        let server = self.server.borrow();
        masters.iter().any(|master| master.server.text == *server)
    }

    fn connect(self: &Rc<Self>, now: u64) {
        if now < self.patience.get() {
            return;
        }
        self.version.set(self.topology.version());
        let mut masters = self.topology.masters();
        // One that is down is found again by those who need it.
        masters.retain(|master| self.topology.is_up(master));
        let number = self.number.get() + 1;
        let turn = usize::try_from(number).unwrap_or_default() % masters.len().max(1);
        let Some(master) = masters.get(turn) else {
            return;
        };
        self.number.set(number);
        let server = self.server.replace(master.server.text.clone());
        let is_same = server == master.server.text;
        self.heard.set(now);
        self.asked.set(now);
        let known = self.line.borrow().clone();
        let line = known.filter(|_| is_same);
        let line = line.unwrap_or_else(|| Line::new(&self.config, &master.server));
        let own = Rc::downgrade(self);
        let heard = move |received: Option<Received>| {
            if let Some(own) = own.upgrade()
                && own.number.get() == number
            {
                own.hears(received);
            }
        };
        self.line.replace(Some(Rc::clone(&line)));
        self.is_open.set(true);
        self.is_subscribed.set(false);
        if line.subscribe(&CHANNELS, Limits::FEED, heard).is_err() {
            self.lost(PAUSE);
        }
    }

    /// Something has come, or the line has ended: it may be in the middle of that.
    fn hears(self: &Rc<Self>, received: Option<Received>) {
        self.heard.set(exact_msec());
        match received {
            Some(Received::Reply(Reply::Error(text))) if !self.is_subscribed.get() => {
                self.refused(&text);
                self.lose(REFUSED);
            }
            // PING isn't permitted, or not for now: the server lives, and tells what is published.
            Some(Received::Reply(Reply::Error(text)))
                if text.starts_with(b"NOPERM") || text.starts_with(b"MISCONF") => {}
            Some(Received::Reply(Reply::Error(_))) => self.lose(PAUSE),
            Some(Received::Reply(reply)) => {
                self.is_subscribed.set(true);
                let elements = reply.elements();
                if elements.is_some_and(tells_of_purge) {
                    self.purges.heard();
                }
                if let Some(told) = elements.and_then(fence::told) {
                    zone::heard_in_all(self.config.name.as_bytes(), &told.key, told.token.number());
                }
            }
            Some(Received::Push(_)) => {}
            None => self.lose(PAUSE),
        }
    }

    fn lose(self: &Rc<Self>, pause: u64) {
        let (own, number) = (Rc::clone(self), self.number.get());
        background::spawn(async move {
            if own.number.get() == number {
                own.lost(pause);
            }
        });
    }

    fn lost(&self, pause: u64) {
        self.hang_up();
        self.patience.set(exact_msec().saturating_add(pause));
    }

    fn hang_up(&self) {
        if !self.is_open.replace(false) {
            return;
        }
        self.number.set(self.number.get() + 1);
        let line = self.line.borrow().clone();
        if let Some(line) = line {
            line.close();
        }
    }

    /// Says it once.
    fn refused(&self, text: &[u8]) {
        if self.is_refused.replace(true) {
            return;
        }
        let (store, words) = (&self.config.shown, shown(text.get(..200).unwrap_or(text)));
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{store}\": its invalidations by other machines aren't heard, and requests may wait for fills that began before one: {words}; \
             it needs \"+subscribe\" and the channels \"{CHANNEL}\" and \"{}\"",
            purges::CHANNEL
        );
    }
}
