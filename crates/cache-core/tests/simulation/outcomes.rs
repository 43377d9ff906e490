//! What machines hear of each other's fills: messages that may be lost, doubled and late.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::claim::{self, Channel, Told};
use cache_core::flow::{Heard, Verdict};
use cache_core::resp::Reply;
use cache_core::token::Token;

use super::config::Key;
use super::servers;
use super::store;
use super::topology::Broken;
use super::variants::key_of;
use super::wait::Alarm;
use super::world::World;

/// One who hears what becomes of a lease.
pub struct Listener {
    pub lock: Key,
    subscribed: Cell<bool>,
    /// It hasn't noticed yet that it is subscribed.
    news: Cell<bool>,
    told: RefCell<VecDeque<Told>>,
    waker: RefCell<Option<Waker>>,
}

/// All who hear.
#[derive(Default)]
pub struct Listeners(RefCell<Vec<Weak<Listener>>>);

impl Listeners {
    /// How many there are.
    pub fn count(&self) -> usize {
        let all = self.0.borrow();
        all.iter().filter(|one| one.strong_count() > 0).count()
    }
}

/// The name of a lease.
fn name(lock: Key) -> Vec<u8> {
    let own = format!("{}/{lock}", servers::name(key_of(lock)));
    claim::name(own.as_bytes(), None)
}

impl Listener {
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Subscribes; that takes as long as a command, and nothing comes of it while the store is down.
pub fn listen(world: &Rc<World>, lock: Key) -> Rc<Listener> {
    let listener = Rc::new(Listener {
        lock,
        subscribed: Cell::new(false),
        news: Cell::new(false),
        told: RefCell::default(),
        waker: RefCell::default(),
    });
    let mut all = world.listeners.0.borrow_mut();
    all.retain(|one| one.strong_count() > 0);
    all.push(Rc::downgrade(&listener));
    drop(all);
    if store::is_available(world) && !world.fault(world.config.faults.lookup_fails) {
        let (there, back) = (
            world.between(world.config.store_delay),
            world.between(world.config.store_delay),
        );
        let weak = Rc::downgrade(&listener);
        world.after(there, move |world| {
            let Some(listener) = weak.upgrade() else {
                return;
            };
            listener.subscribed.set(true);
            let weak = Rc::downgrade(&listener);
            world.after(back, move |_| {
                if let Some(listener) = weak.upgrade() {
                    listener.news.set(true);
                    listener.wake();
                }
            });
        });
    }
    listener
}

/// The store tells all who have subscribed what came of a lease.
pub fn tell(world: &Rc<World>, lock: Key, token: Token, verdict: Verdict) {
    let lies = verdict == Verdict::Unavailable && world.breaks(Broken::TellsStored);
    let said = if lies { Verdict::Stored } else { verdict };
    let message = claim::message(token, said);
    let channel = Channel::of(&name(lock)).to_string();
    world.note(|| format!("told of lease {lock}: {message}"));
    let all: Vec<Rc<Listener>> = {
        let all = world.listeners.0.borrow();
        all.iter().filter_map(Weak::upgrade).collect()
    };
    for listener in all {
        if listener.lock != lock || !listener.subscribed.get() {
            continue;
        }
        let faults = &world.config.faults;
        if world.fault(faults.wake_lost) {
            continue;
        }
        let copies = if world.fault(faults.wake_late) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = if world.fault(faults.wake_late) {
                world.between((1, 3000))
            } else {
                world.between(world.config.wake_delay)
            };
            let bulk = |text: &[u8]| Reply::Bulk(Some(Bytes::copy_from_slice(text)));
            let elements = [
                bulk(b"message"),
                bulk(channel.as_bytes()),
                bulk(message.as_bytes()),
            ];
            let weak = Rc::downgrade(&listener);
            world.after(delay, move |_| {
                if let (Some(listener), Some(told)) = (weak.upgrade(), claim::told(&elements)) {
                    listener.told.borrow_mut().push_back(told);
                    listener.wake();
                }
            });
        }
    }
}

/// Waits until something is heard of a claim.
pub async fn hear(world: &Rc<World>, listener: &Listener, by: Token, until: u64) -> Heard {
    let alarm = Alarm::default();
    poll_fn(|cx| {
        let (own, mut other) = (Channel::of(&name(listener.lock)), false);
        while let Some(told) = listener.told.borrow_mut().pop_front() {
            if told.channel == own && told.token == by {
                return Poll::Ready(Heard::Ended(told.verdict));
            }
            other = true;
        }
        if listener.news.take() || other {
            return Poll::Ready(Heard::Again);
        }
        if until <= world.now() {
            return Poll::Ready(Heard::Late);
        }
        *listener.waker.borrow_mut() = Some(cx.waker().clone());
        alarm.set(world, cx.waker(), until);
        Poll::Pending
    })
    .await
}
