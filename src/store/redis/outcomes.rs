//! Hearing what becomes of fills on other machines: a line of this worker that is subscribed to the channels of their leases.
//!
//! It is opened when a request of this worker waits for another machine for the first time, and closed when none has for a
//! while. A message that is lost costs a little time: those who wait ask by themselves, too.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::mem::ManuallyDrop;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use cache_core::claim::{self, Channel, Told};
use cache_core::flow::Heard;
use cache_core::resp::{Limits, Received, Reply};
use cache_core::shown::shown;
use cache_core::token::Token;
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::config::{ReadFrom, StoreConfig};
use super::line::Line;
use super::topology::Topology;
use crate::ngx::event::{Timer, exact_msec};
use crate::store::background;

/// How often the line is looked after, in milliseconds.
const LOOK: u64 = 200;

/// After so many milliseconds without anybody who waits it is closed.
const UNUSED: u64 = 60_000;

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

/// How many messages wait for one who hears, at most: beyond that it asks.
const MESSAGES: usize = 16;

thread_local! {
    /// The worker's ears, one for each store.
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static EARS: ManuallyDrop<RefCell<Vec<Known>>> = ManuallyDrop::default();
}

/// Whose ear it is, and the ear.
type Known = (Rc<StoreConfig>, Rc<Ear>);

/// Hears what becomes of the fills of one key by other machines, until it is dropped.
pub struct Hearer {
    ear: Rc<Ear>,
    channel: Channel,
    own: Rc<Own>,
}

/// What has come for one who waits.
#[derive(Default)]
struct Own {
    told: RefCell<VecDeque<Told>>,
    /// It hasn't noticed yet that something may have escaped it until now.
    news: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Own {
    fn wake(&self) {
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn tell(&self, told: Told) {
        {
            let mut all = self.told.borrow_mut();
            if all.len() < MESSAGES {
                all.push_back(told);
            }
        }
        self.wake();
    }

    /// From now on nothing escapes it.
    fn note_news(&self) {
        self.news.set(true);
        self.wake();
    }
}

impl Hearer {
    /// What was heard of the fill that was claimed as `by`. Each message is heard once.
    pub fn poll(&self, by: Token, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut other = false;
        let mut told = self.own.told.borrow_mut();
        while let Some(told) = told.pop_front() {
            if told.token == by {
                return Poll::Ready(Heard::Ended(told.verdict));
            }
            other = true;
        }
        if self.own.news.take() || other {
            return Poll::Ready(Heard::Again);
        }
        self.own.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Hearer {
    fn drop(&mut self) {
        self.ear.leave(self.channel, &self.own);
    }
}

/// Those who wait for one channel.
#[derive(Default)]
struct Subscribed {
    /// The server has agreed.
    is_confirmed: bool,
    all: Vec<Rc<Own>>,
}

/// Hears of a channel from now on, for as long as the hearer lives.
pub fn hear(config: &Rc<StoreConfig>, topology: &Rc<Topology>, channel: Channel) -> Hearer {
    let ear = EARS.with(|ears| {
        let mut ears = ears.borrow_mut();
        let known = ears.iter().find(|(known, _)| Rc::ptr_eq(known, config));
        if let Some((_, ear)) = known {
            return Rc::clone(ear);
        }
        let ear = Ear::new(config, topology);
        ears.push((Rc::clone(config), Rc::clone(&ear)));
        ear
    });
    let own = ear.join(channel);
    Hearer { ear, channel, own }
}

/// Hears no more, for this worker's exit or for a store that is no more.
pub fn leave(config: &Rc<StoreConfig>) {
    let ears = EARS.with(|ears| ears.take());
    let (left, others): (Vec<Known>, Vec<Known>) = ears
        .into_iter()
        .partition(|(known, _)| Rc::ptr_eq(known, config));
    EARS.with(|ears| ears.replace(others));
    for (_, ear) in left {
        ear.has_left.set(true);
        if let Some(timer) = ear.timer.get() {
            timer.disarm();
        }
        ear.hang_up();
    }
}

/// The line of a worker to a store, and who hears what comes on it.
struct Ear {
    config: Rc<StoreConfig>,
    topology: Rc<Topology>,
    channels: RefCell<HashMap<Channel, Subscribed>>,
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
    /// When somebody waited last, in milliseconds.
    used: Cell<u64>,
    /// No new line before this time, in milliseconds.
    patience: Cell<u64>,
    is_refused: Cell<bool>,
    /// The line's server has agreed to tell.
    is_subscribed: Cell<bool>,
    /// How many channels the server has refused to take back.
    left_behind: Cell<usize>,
    has_left: Cell<bool>,
    timer: OnceCell<Timer>,
}

impl Ear {
    fn new(config: &Rc<StoreConfig>, topology: &Rc<Topology>) -> Rc<Ear> {
        let ear = Rc::new(Ear {
            // Masters alone are listened to.
            config: Rc::new(StoreConfig {
                read_from: ReadFrom::Master,
                ..StoreConfig::clone(config)
            }),
            topology: Rc::clone(topology),
            channels: RefCell::default(),
            line: RefCell::default(),
            is_open: Cell::new(false),
            server: RefCell::default(),
            version: Cell::new(0),
            number: Cell::new(0),
            heard: Cell::new(0),
            asked: Cell::new(0),
            looked_up: Cell::new(0),
            used: Cell::new(0),
            patience: Cell::new(0),
            is_refused: Cell::new(false),
            is_subscribed: Cell::new(false),
            left_behind: Cell::new(0),
            has_left: Cell::new(false),
            timer: OnceCell::new(),
        });
        let timer = Timer::of(Rc::downgrade(&ear), Ear::look);
        timer.set_cancelable(true);
        let _ = ear.timer.set(timer);
        ear
    }

    /// One more waits for a channel.
    fn join(&self, channel: Channel) -> Rc<Own> {
        let own = Rc::<Own>::default();
        let (is_new, is_confirmed) = {
            let mut channels = self.channels.borrow_mut();
            let subscribed = channels.entry(channel).or_default();
            subscribed.all.push(Rc::clone(&own));
            (subscribed.all.len() == 1, subscribed.is_confirmed)
        };
        // What came before it has joined has escaped it.
        own.news.set(is_confirmed);
        self.used.set(exact_msec());
        if self.is_open.get() {
            if is_new {
                self.say(&[b"SUBSCRIBE", channel.to_string().as_bytes()]);
            }
        } else if let Some(timer) = self.timer.get()
            && !self.has_left.get()
        {
            // Not in the midst of what is going on.
            timer.arm(0);
        }
        own
    }

    fn leave(&self, channel: Channel, own: &Rc<Own>) {
        let is_last = {
            let mut channels = self.channels.borrow_mut();
            let Some(subscribed) = channels.get_mut(&channel) else {
                return;
            };
            subscribed.all.retain(|one| !Rc::ptr_eq(one, own));
            let is_last = subscribed.all.is_empty();
            if is_last {
                channels.remove(&channel);
            }
            is_last
        };
        self.used.set(exact_msec());
        if is_last && self.is_open.get() {
            self.say(&[b"UNSUBSCRIBE", channel.to_string().as_bytes()]);
        }
    }

    fn say(&self, words: &[&[u8]]) {
        let line = self.line.borrow().clone();
        if let Some(line) = line {
            line.say(words);
        }
    }

    fn look(self: &Rc<Self>) {
        let now = exact_msec();
        let is_unused = self.channels.borrow().is_empty();
        if is_unused && (!self.is_open.get() || now > self.used.get().saturating_add(UNUSED)) {
            self.hang_up();
            return;
        }
        self.follow(now);
        if let Some(timer) = self.timer.get()
            && !self.has_left.get()
        {
            timer.arm(LOOK);
        }
    }

    /// Has a line to a server that has keys: any of a Cluster tells what was published at another.
    fn follow(self: &Rc<Self>, now: u64) {
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
            let (own, number) = (Rc::downgrade(self), self.number.get());
            // Commands go to the server that has the name by now.
            line.look_up(move || lose(&own, number, 0));
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
        self.left_behind.set(0);
        let names: Vec<String> = {
            let mut channels = self.channels.borrow_mut();
            channels
                .values_mut()
                .for_each(|subscribed| subscribed.is_confirmed = false);
            channels.keys().map(Channel::to_string).collect()
        };
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        if line.subscribe(&names, Limits::FEED, heard).is_err() {
            self.lost(PAUSE);
        }
    }

    /// Something has come, or the line has ended: it may be in the middle of that.
    fn hears(self: &Rc<Self>, received: Option<Received>) {
        self.heard.set(exact_msec());
        match received {
            Some(Received::Reply(Reply::Error(text))) if !self.is_subscribed.get() => {
                self.refused(&text);
                self.lose_soon(REFUSED);
            }
            Some(Received::Reply(Reply::Error(text))) if is_of_unsubscribe(&text) => {
                let count = self.left_behind.get() + 1;
                self.left_behind.set(count);
                if count == LEFT_BEHIND {
                    self.lose_soon(0);
                }
            }
            // PING isn't permitted, or not for now: the server lives, and tells what is published.
            Some(Received::Reply(Reply::Error(text)))
                if text.starts_with(b"NOPERM") || text.starts_with(b"MISCONF") => {}
            Some(Received::Reply(Reply::Error(_))) | None => self.lose_soon(PAUSE),
            Some(Received::Reply(reply)) => {
                let Some(elements) = reply.elements() else {
                    return;
                };
                if let Some(told) = claim::told(elements) {
                    self.tell(told);
                } else if let Some(channel) = confirmed(elements) {
                    self.confirm(channel);
                }
            }
            Some(Received::Push(_)) => {}
        }
    }

    fn waiting(&self, channel: Channel) -> Vec<Rc<Own>> {
        let channels = self.channels.borrow();
        let subscribed = channels.get(&channel);
        subscribed
            .map(|known| known.all.clone())
            .unwrap_or_default()
    }

    fn tell(&self, told: Told) {
        for own in self.waiting(told.channel) {
            own.tell(told);
        }
    }

    fn confirm(&self, channel: Channel) {
        self.is_subscribed.set(true);
        if let Some(subscribed) = self.channels.borrow_mut().get_mut(&channel) {
            subscribed.is_confirmed = true;
        }
        for own in self.waiting(channel) {
            own.note_news();
        }
    }

    /// Not in the midst of what has come.
    fn lose_soon(self: &Rc<Self>, pause: u64) {
        let (own, number) = (Rc::downgrade(self), self.number.get());
        background::spawn(async move { lose(&own, number, pause) });
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
        for subscribed in self.channels.borrow_mut().values_mut() {
            subscribed.is_confirmed = false;
        }
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
            "redis store \"{store}\": what becomes of fills on other machines isn't heard, and is asked for every 250 ms: {words}; \
             it needs \"+subscribe\" and the channels \"redis_cache:lock:*\""
        );
    }
}

/// The line of this number is lost.
fn lose(ear: &Weak<Ear>, number: u64, pause: u64) {
    if let Some(ear) = ear.upgrade()
        && ear.number.get() == number
    {
        ear.lost(pause);
    }
}

/// Whether an error says that a channel may not be left.
fn is_of_unsubscribe(text: &[u8]) -> bool {
    let word = b"unsubscribe";
    text.starts_with(b"NOPERM")
        && text
            .windows(word.len())
            .any(|it| it.eq_ignore_ascii_case(word))
}

/// The channel that the server has agreed to tell of.
fn confirmed(elements: &[Reply]) -> Option<Channel> {
    let [kind, channel, _] = elements else {
        return None;
    };
    if kind.text()? != "subscribe" {
        return None;
    }
    Channel::parse(channel.text()?)
}
