//! What tasks wait with: a value to come, an alarm.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::world::World;

/// A value that comes later.
pub struct Later<T> {
    value: RefCell<Option<T>>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Later<T> {
    pub fn new() -> Rc<Later<T>> {
        Rc::new(Later {
            value: RefCell::new(None),
            waker: RefCell::new(None),
        })
    }

    /// The value is here; a second one is dropped.
    pub fn set(&self, value: T) {
        let mut place = self.value.borrow_mut();
        if place.is_none() {
            *place = Some(value);
        }
        drop(place);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub async fn get(&self) -> T {
        poll_fn(|cx| match self.value.borrow_mut().take() {
            Some(value) => Poll::Ready(value),
            None => {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

/// Wakes a task at a time. It may wake too early, never too late.
#[derive(Default)]
pub struct Alarm {
    at: Cell<u64>,
}

impl Alarm {
    pub fn set(&self, world: &World, waker: &Waker, at: u64) {
        if self.at.get() > world.now() && self.at.get() <= at {
            return;
        }
        self.at.set(at);
        let waker = waker.clone();
        world.at(at, move |_| waker.wake());
    }
}

/// Waits for a while.
pub async fn sleep(world: &World, delay: u64) {
    let (end, alarm) = (world.now() + delay, Alarm::default());
    poll_fn(|cx| {
        if world.now() >= end {
            return Poll::Ready(());
        }
        alarm.set(world, cx.waker(), end);
        Poll::Pending
    })
    .await;
}

/// Both, side by side.
pub async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|cx| {
        if of_a.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            of_a = Some(value);
        }
        if of_b.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            of_b = Some(value);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            halves => {
                (of_a, of_b) = halves;
                Poll::Pending
            }
        }
    })
    .await
}

/// What comes of `work`, if `end` doesn't come first.
pub async fn first<T>(work: impl Future<Output = T>, end: impl Future<Output = ()>) -> Option<T> {
    let (mut work, mut end) = (pin!(work), pin!(end));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}
