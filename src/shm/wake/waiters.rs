//! The requests of this worker that wait for a lock's release. However many wait for one, it is looked at once.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use cache_core::flow::Verdict;
use cache_core::key::LockKey;

use super::super::mapping::Mapping;
use crate::ngx::event::Timer;

/// How often a lock that is waited for is looked at, in milliseconds: wake-ups are hints and may be lost, and a
/// holder that was killed wakes nobody.
const LOOK: u64 = 50;

/// One holding of a lock: from its being taken to its release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The memory of its zone.
    pub zone: Mapping,
    /// The lock.
    pub key: LockKey,
    /// Tells it from other holdings of this lock.
    pub instance: u64,
}

/// A holding that requests of this worker wait for.
struct Watch {
    holding: Holding,
    /// Asks the zone for a wake-up, unless there is nothing to wait for any more.
    look: Box<dyn Fn() -> Option<Verdict>>,
    verdict: Cell<Option<Verdict>>,
    wakers: RefCell<HashMap<u64, Option<Waker>>>,
    timer: OnceCell<Timer>,
}

#[derive(Default)]
struct Watches {
    next: u64,
    keys: HashMap<LockKey, Vec<Rc<Watch>>>,
}

thread_local! {
    static WATCHES: RefCell<Watches> = RefCell::default();
}

/// A request that waits. It ends when dropped.
pub struct Waiter {
    watch: Rc<Watch>,
    id: u64,
}

/// Waits for the release of a holding; `look` is how the zone is asked, and what it says.
pub fn join(holding: Holding, look: impl Fn() -> Option<Verdict> + 'static) -> Waiter {
    let (watch, new, id) = WATCHES.with_borrow_mut(|watches| {
        watches.next += 1;
        let id = watches.next;
        let of_key = watches.keys.entry(holding.key).or_default();
        if let Some(known) = of_key.iter().find(|watch| watch.holding == holding) {
            return (Rc::clone(known), false, id);
        }
        let watch = Rc::new(Watch {
            holding,
            look: Box::new(look),
            verdict: Cell::new(None),
            wakers: RefCell::default(),
            timer: OnceCell::new(),
        });
        of_key.push(Rc::clone(&watch));
        (watch, true, id)
    });
    watch.wakers.borrow_mut().insert(id, None);
    if new {
        // It is among those that are woken already: a release in between isn't missed.
        watch.look();
    }
    Waiter { watch, id }
}

/// Looks at the locks of a key: one was released, it seems.
pub fn wake(key: &LockKey) {
    let watches = WATCHES.with_borrow(|watches| watches.keys.get(key).cloned());
    for watch in watches.into_iter().flatten() {
        watch.look();
    }
}

/// Has the requests that wait for the release of a key's lock look whether they can join its fill by now.
pub fn rouse(key: &LockKey) {
    let watches = WATCHES.with_borrow(|watches| watches.keys.get(key).cloned());
    for watch in watches.into_iter().flatten() {
        let wakers: Vec<Waker> = {
            let wakers = watch.wakers.borrow();
            wakers.values().flatten().cloned().collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Watch {
    fn look(self: &Rc<Self>) {
        if self.verdict.get().is_some() {
            return;
        }
        // Armed first: a look that fails is made again.
        let timer = self
            .timer
            .get_or_init(|| Timer::of(Rc::downgrade(self), Watch::look));
        timer.arm(LOOK);
        let Some(verdict) = (self.look)() else { return };
        self.verdict.set(Some(verdict));
        self.end();
        let wakers = self.wakers.take();
        for waker in wakers.into_values().flatten() {
            waker.wake();
        }
    }

    /// Nobody looks any more.
    fn end(&self) {
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
        let gone = WATCHES.with_borrow_mut(|watches| {
            let of_key = watches.keys.get_mut(&self.holding.key)?;
            let place = of_key
                .iter()
                .position(|watch| std::ptr::eq(Rc::as_ptr(watch), self))?;
            let gone = of_key.swap_remove(place);
            if of_key.is_empty() {
                watches.keys.remove(&self.holding.key);
            }
            Some(gone)
        });
        drop(gone);
    }
}

impl Waiter {
    /// What the release has said, once it is there.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Verdict> {
        if let Some(verdict) = self.watch.verdict.get() {
            return Poll::Ready(verdict);
        }
        let waker = Some(cx.waker().clone());
        self.watch.wakers.borrow_mut().insert(self.id, waker);
        Poll::Pending
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let waker = self.watch.wakers.borrow_mut().remove(&self.id);
        drop(waker);
        if self.watch.wakers.borrow().is_empty() && self.watch.verdict.get().is_none() {
            self.watch.end();
        }
    }
}
