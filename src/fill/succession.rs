//! A record that takes the place of what its own request invalidates: it may be written when that is done, if nothing else has
//! invalidated the key since the backend was asked.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::fence::Token;
use cache_core::flow::Trouble;

use crate::detached::Times;

/// The invalidation by a request whose response takes the place of what is invalidated. It says whether the response may.
pub struct Succession {
    /// Names the invalidation. The key's fence must hold it still when the record is written.
    pub token: Token,
    /// What the fence held before the backend was asked.
    pub seen: Bytes,
    /// When the response was asked for.
    pub times: Rc<Times>,
    /// Is told what has come of it.
    pub clearance: Rc<Clearance>,
}

impl Succession {
    /// The key is invalidated in this nginx, where it had been `before` times: that makes all worthless that was begun
    /// before, but this response. One that was begun at another count stays so.
    pub fn invalidated(&self, before: u64) {
        if self.times.invalidations() == Some(before) {
            self.times.set_invalidations(before.wrapping_add(1));
        }
    }

    /// The store has carried out the invalidation, or hasn't.
    pub fn cleared(self, result: Result<(), Trouble>) {
        self.clearance.settle(result);
    }
}

impl Drop for Succession {
    fn drop(&mut self) {
        // A second word changes nothing.
        self.clearance.settle(Err(Trouble::Unavailable));
    }
}

/// Whether a record may be written, once that is known.
#[derive(Default)]
pub struct Clearance {
    result: Cell<Option<Result<(), Trouble>>>,
    waker: Cell<Option<Waker>>,
}

impl Clearance {
    fn settle(&self, result: Result<(), Trouble>) {
        if self.result.get().is_none() {
            self.result.set(Some(result));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Waits for it.
    ///
    /// # Errors
    ///
    /// Why the record may not be written.
    pub async fn wait(&self) -> Result<(), Trouble> {
        poll_fn(|cx| match self.result.get() {
            Some(result) => Poll::Ready(result),
            None => {
                self.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}
