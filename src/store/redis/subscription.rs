//! A line that is subscribed to channels of a store, kept: it is opened, looked after, and opened anew once it is lost.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use cache_core::resp::{Limits, Received, Reply};
use cache_core::shown::shown;
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::config::{ReadFrom, StoreConfig};
use super::line::Line;
use super::topology::Topology;
use crate::ngx::event::exact_msec;
use crate::store::background;

/// How often [`Subscription::follow`] is to be called, in milliseconds.
pub const LOOK: u64 = 200;

/// How often the server is asked for a sign of life, in milliseconds.
const PING: u64 = 5000;

/// How long one may be silent, in milliseconds.
const SILENCE: u64 = 12_000;

/// How long a server is left alone that was lost, and one that has refused, in milliseconds.
const PAUSE: u64 = 500;
const REFUSED: u64 = 30_000;

/// How often the name of a server is looked up, in milliseconds.
const NAME: u64 = 1000;

/// So many channels are left without the server's agreement (UNSUBSCRIBE isn't permitted) before the line is closed, which leaves
/// them all.
const LEFT_BEHIND: usize = 64;

/// Somebody who is subscribed.
pub trait Subscriber: 'static {
    /// The line.
    fn subscription(&self) -> &Subscription;
    /// The channels to which a new line is subscribed.
    fn channels(&self) -> Vec<String>;
    /// Something was told, or the server has agreed to tell of a channel.
    fn hear(&self, elements: &[Reply]);
    /// Nothing is told from now on, until the server agrees anew.
    fn cut_off(&self);
    /// What can't be done where the server refuses, and what it needs, for the log: the server's words come between the two.
    fn without(&self) -> (&'static str, String);
}

/// A line of a worker to a server of a store.
pub struct Subscription {
    config: Rc<StoreConfig>,
    topology: Rc<Topology>,
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
    /// How many channels the server has refused to take back.
    left_behind: Cell<usize>,
}

impl Subscription {
    /// One that isn't open.
    pub fn new(config: &Rc<StoreConfig>, topology: &Rc<Topology>) -> Subscription {
        Subscription {
            // Masters alone are listened to.
            config: Rc::new(StoreConfig {
                read_from: ReadFrom::Master,
                ..StoreConfig::clone(config)
            }),
            topology: Rc::clone(topology),
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
            left_behind: Cell::new(0),
        }
    }

    /// The store, whose masters alone are listened to.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Whether there is a line, which may not be established yet.
    pub fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// Sends a command on the line, if there is one.
    pub fn say(&self, words: &[&[u8]]) {
        let line = self.line.borrow().clone();
        if let Some(line) = line.filter(|_| self.is_open.get()) {
            line.say(words);
        }
    }

    /// Sees to it that there is a line to a server that has keys: any of a Cluster tells what was published at another.
    pub fn follow<T: Subscriber>(owner: &Rc<T>) {
        let (own, now) = (owner.subscription(), exact_msec());
        let line = own.line.borrow().clone();
        let Some(line) = line.filter(|_| own.is_open.get()) else {
            return connect(owner, now);
        };
        let is_silent = now > own.heard.get().saturating_add(SILENCE);
        if is_silent || !own.is_at_master() {
            lost(&**owner, PAUSE);
            return;
        }
        if now >= own.asked.get().saturating_add(PING) {
            own.asked.set(now);
            line.say(&[b"PING"]);
        }
        if now >= own.looked_up.get().saturating_add(NAME) {
            own.looked_up.set(now);
            let (weak, number) = (Rc::downgrade(owner), own.number.get());
            // Commands go to the server that has the name by now.
            line.look_up(move || lose(&weak, number, 0));
        }
    }

    /// Closes the line.
    pub fn hang_up<T: Subscriber>(owner: &T) {
        let own = owner.subscription();
        if !own.is_open.replace(false) {
            return;
        }
        own.number.set(own.number.get() + 1);
        owner.cut_off();
        let line = own.line.borrow().clone();
        if let Some(line) = line {
            line.close();
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

    /// Says it once.
    fn refused(&self, (what, needed): (&str, String), text: &[u8]) {
        if self.is_refused.replace(true) {
            return;
        }
        let (store, words) = (&self.config.shown, shown(text.get(..200).unwrap_or(text)));
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{store}\": {what}: {words}; it needs {needed}"
        );
    }
}

fn connect<T: Subscriber>(owner: &Rc<T>, now: u64) {
    let own = owner.subscription();
    if now < own.patience.get() {
        return;
    }
    own.version.set(own.topology.version());
    let mut masters = own.topology.masters();
    // One that is down is found again by those who need it.
    masters.retain(|master| own.topology.is_up(master));
    let number = own.number.get() + 1;
    let turn = usize::try_from(number).unwrap_or_default() % masters.len().max(1);
    let Some(master) = masters.get(turn) else {
        return;
    };
    own.number.set(number);
    let server = own.server.replace(master.server.text.clone());
    let is_same = server == master.server.text;
    own.heard.set(now);
    own.asked.set(now);
    let known = own.line.borrow().clone();
    let line = known.filter(|_| is_same);
    let line = line.unwrap_or_else(|| Line::new(&own.config, &master.server));
    let weak = Rc::downgrade(owner);
    let heard = move |received: Option<Received>| {
        if let Some(owner) = weak.upgrade()
            && owner.subscription().number.get() == number
        {
            hears(&owner, received);
        }
    };
    own.line.replace(Some(Rc::clone(&line)));
    own.is_open.set(true);
    own.is_subscribed.set(false);
    own.left_behind.set(0);
    let names = owner.channels();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    if line.subscribe(&names, Limits::FEED, heard).is_err() {
        lost(&**owner, PAUSE);
    }
}

/// Something has come, or the line has ended: it may be in the middle of that.
fn hears<T: Subscriber>(owner: &Rc<T>, received: Option<Received>) {
    let own = owner.subscription();
    own.heard.set(exact_msec());
    match received {
        Some(Received::Reply(Reply::Error(text))) if !own.is_subscribed.get() => {
            own.refused(owner.without(), &text);
            lose_soon(owner, REFUSED);
        }
        Some(Received::Reply(Reply::Error(text))) if is_of_unsubscribe(&text) => {
            let count = own.left_behind.get() + 1;
            own.left_behind.set(count);
            if count == LEFT_BEHIND {
                lose_soon(owner, 0);
            }
        }
        // PING isn't permitted, or not for now: the server lives, and tells what is published.
        Some(Received::Reply(Reply::Error(text)))
            if text.starts_with(b"NOPERM") || text.starts_with(b"MISCONF") => {}
        Some(Received::Reply(Reply::Error(_))) | None => lose_soon(owner, PAUSE),
        Some(Received::Reply(reply)) => {
            own.is_subscribed.set(true);
            if let Some(elements) = reply.elements() {
                owner.hear(elements);
            }
        }
        Some(Received::Push(_)) => {}
    }
}

/// Not in the midst of what has come.
fn lose_soon<T: Subscriber>(owner: &Rc<T>, pause: u64) {
    let (weak, number) = (Rc::downgrade(owner), owner.subscription().number.get());
    background::spawn(async move { lose(&weak, number, pause) });
}

/// The line of this number is lost.
fn lose<T: Subscriber>(owner: &Weak<T>, number: u64, pause: u64) {
    if let Some(owner) = owner.upgrade()
        && owner.subscription().number.get() == number
    {
        lost(&*owner, pause);
    }
}

fn lost<T: Subscriber>(owner: &T, pause: u64) {
    Subscription::hang_up(owner);
    let patience = exact_msec().saturating_add(pause);
    owner.subscription().patience.set(patience);
}

/// Whether an error says that a channel may not be left.
fn is_of_unsubscribe(text: &[u8]) -> bool {
    let word = b"unsubscribe";
    text.starts_with(b"NOPERM")
        && text
            .windows(word.len())
            .any(|it| it.eq_ignore_ascii_case(word))
}
