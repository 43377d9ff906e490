//! Hearing what becomes of fills on other machines: a line of this worker that is subscribed to the channels of their leases.
//!
//! It is opened when a request of this worker waits for another machine for the first time, and closed when none has for a
//! while. A message that is lost costs a little time: those who wait ask by themselves, too.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use cache_core::claim::{self, Channel, Told};
use cache_core::flow::Heard;
use cache_core::resp::Reply;
use cache_core::token::Token;

use super::config::StoreConfig;
use super::subscription::{LOOK, Subscriber, Subscription};
use super::topology::Topology;
use crate::ngx::event::{Timer, exact_msec};

/// After so many milliseconds without anybody who waits it is closed.
const UNUSED: u64 = 60_000;

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
        Subscription::hang_up(&*ear);
    }
}

/// The line of a worker to a store, and who hears what comes on it.
struct Ear {
    subscription: Subscription,
    channels: RefCell<HashMap<Channel, Subscribed>>,
    /// When somebody waited last, in milliseconds.
    used: Cell<u64>,
    has_left: Cell<bool>,
    timer: OnceCell<Timer>,
}

impl Ear {
    fn new(config: &Rc<StoreConfig>, topology: &Rc<Topology>) -> Rc<Ear> {
        let ear = Rc::new(Ear {
            subscription: Subscription::new(config, topology),
            channels: RefCell::default(),
            used: Cell::new(0),
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
        if self.subscription.is_open() {
            if is_new {
                self.subscription
                    .say(&[b"SUBSCRIBE", channel.to_string().as_bytes()]);
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
        if is_last && self.subscription.is_open() {
            self.subscription
                .say(&[b"UNSUBSCRIBE", channel.to_string().as_bytes()]);
        }
    }

    fn look(self: &Rc<Self>) {
        let now = exact_msec();
        let is_unused = self.channels.borrow().is_empty();
        if is_unused
            && (!self.subscription.is_open() || now > self.used.get().saturating_add(UNUSED))
        {
            Subscription::hang_up(&**self);
            return;
        }
        Subscription::follow(self);
        if let Some(timer) = self.timer.get()
            && !self.has_left.get()
        {
            timer.arm(LOOK);
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
        if let Some(subscribed) = self.channels.borrow_mut().get_mut(&channel) {
            subscribed.is_confirmed = true;
        }
        for own in self.waiting(channel) {
            own.note_news();
        }
    }
}

impl Subscriber for Ear {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn channels(&self) -> Vec<String> {
        let channels = self.channels.borrow();
        channels.keys().map(Channel::to_string).collect()
    }

    fn hear(&self, elements: &[Reply]) {
        if let Some(told) = claim::told(elements) {
            self.tell(told);
        } else if let Some(channel) = confirmed(elements) {
            self.confirm(channel);
        }
    }

    fn cut_off(&self) {
        for subscribed in self.channels.borrow_mut().values_mut() {
            subscribed.is_confirmed = false;
        }
    }

    fn without(&self) -> (&'static str, String) {
        (
            "what becomes of fills on other machines isn't heard, and is asked for every 250 ms",
            "\"+subscribe\" and the channels \"redis_cache:lock:*\"".to_owned(),
        )
    }
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
