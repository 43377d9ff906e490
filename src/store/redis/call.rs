//! A call: a command on one side, and the futures that wait for its result on the other.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use cache_core::attempts::{self, Next};

use super::error::StoreError;
use super::found::Found;

/// How a command ended without a result, and what may be tried.
pub type Failure = attempts::Failure<StoreError>;

/// A command that has ended with this error, which nothing can be done about.
pub fn stopped(error: StoreError) -> Failure {
    Failure {
        error,
        next: Next::Stop,
        unsure: false,
    }
}

/// Where a result is left for the futures that wait for it.
struct Call<T> {
    outcome: OnceCell<Result<T, Failure>>,
    wakers: RefCell<Vec<Option<Waker>>>,
}

/// A side that waits. If all are dropped the reply is discarded when it comes.
pub struct Waiting<T> {
    call: Rc<Call<T>>,
    /// Which of the wakers is its own.
    waker: Option<usize>,
}

/// The side that will have the result. If it is dropped without one, the command has failed.
pub struct Promise<T> {
    call: Rc<Call<T>>,
    kept: bool,
}

/// A caller that waits for what is found under a key.
pub type WaitingLookup = Waiting<Rc<Found>>;

/// The side that will have what is found.
pub type LookupPromise = Promise<Rc<Found>>;

/// Both sides of a new call.
pub fn call<T>() -> (Promise<T>, Waiting<T>) {
    let call = Rc::new(Call {
        outcome: OnceCell::new(),
        wakers: RefCell::default(),
    });
    let promise = Promise {
        call: Rc::clone(&call),
        kept: false,
    };
    (promise, Waiting { call, waker: None })
}

impl<T> Promise<T> {
    /// Whether somebody waits, or is about to. All who have waited may be gone.
    pub fn is_wanted(&self) -> bool {
        let wakers = self.call.wakers.borrow();
        wakers.is_empty() || wakers.iter().any(Option::is_some)
    }

    pub fn finish(mut self, outcome: Result<T, Failure>) {
        self.kept = self.call.outcome.set(outcome).is_ok();
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.kept {
            // Fails where there is a result, which then stands.
            let _ = self.call.outcome.set(Err(Failure {
                error: StoreError::Closed,
                next: Next::Stop,
                unsure: true,
            }));
        }
        for waker in self.call.wakers.take().into_iter().flatten() {
            waker.wake();
        }
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        // A task that no longer waits isn't woken.
        let mut wakers = self.call.wakers.borrow_mut();
        if let Some(waker) = self.waker.and_then(|own| wakers.get_mut(own)) {
            *waker = None;
        }
    }
}

impl<T> Waiting<T> {
    /// Another side that waits for the same result.
    pub fn another(&self) -> Waiting<T> {
        Waiting {
            call: Rc::clone(&self.call),
            waker: None,
        }
    }
}

impl<T: Clone> Future for Waiting<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = Rc::clone(&self.call);
        if let Some(outcome) = call.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        let mut wakers = call.wakers.borrow_mut();
        match self.waker.and_then(|own| wakers.get_mut(own)) {
            Some(Some(known)) if known.will_wake(cx.waker()) => {}
            Some(known) => *known = Some(cx.waker().clone()),
            None => {
                self.waker = Some(wakers.len());
                wakers.push(Some(cx.waker().clone()));
            }
        }
        Poll::Pending
    }
}
