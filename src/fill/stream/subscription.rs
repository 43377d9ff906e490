//! One reader of a response.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use cache_core::flow::{Ending, HeaderWait};
use cache_core::headers::Headers;
use cache_core::record::without;
use cache_core::slices::Brought;
use cache_core::vary::Variant;

use super::{ResponseHead, Stream};

/// What the reader gets next.
pub enum Next {
    /// A piece of the body.
    Piece(Bytes),
    /// The end.
    End(Ending),
    /// Nothing yet.
    Wait,
}

/// One reader of a response. Dropping it gives its place up.
pub struct Subscription {
    pub(super) stream: Rc<Stream>,
    /// Among those who are woken.
    pub(super) number: u64,
    pub(super) joined: bool,
    /// The piece that it reads next.
    pub(super) position: Cell<usize>,
    /// How many of the hints it has had, or wasn't to have.
    pub(super) hints: Cell<usize>,
}

impl Subscription {
    /// Waits for the header; `None` if the fill ended without one. Each 103 (Early Hints) that this reader may have is
    /// given to `hint` as it comes.
    pub async fn wait_head(&self, hint: impl Fn(&Headers)) -> Option<Rc<ResponseHead>> {
        loop {
            self.hints(&hint);
            let seen = self.hints.get();
            // None: there is another hint.
            let head = self.stream.until(self.number, |state| {
                if state.hints.len() > seen {
                    return Some(None);
                }
                state.verdict().map(Some)
            });
            if let Some(head) = head.await {
                return head;
            }
        }
    }

    /// Gives each 103 (Early Hints) to `hint` that has come since it was last asked, and that this reader may have.
    pub fn hints(&self, hint: impl Fn(&Headers)) {
        while let Some((lines, is_for_all)) = self.next_hint() {
            if is_for_all || !self.joined {
                hint(&lines);
            }
        }
    }

    fn next_hint(&self) -> Option<(Rc<Headers>, bool)> {
        let state = self.stream.state.borrow();
        let next = state.hints.get(self.hints.get())?;
        self.hints.set(self.hints.get() + 1);
        Some((Rc::clone(&next.lines), next.is_for_all))
    }

    /// The header lines that this reader may have.
    pub fn headers<'a>(&self, head: &'a ResponseHead) -> Cow<'a, Headers> {
        if self.joined && !head.withheld.is_empty() {
            Cow::Owned(without(&head.headers, &head.withheld))
        } else {
            Cow::Borrowed(&head.headers)
        }
    }

    /// What is known of the response so far, for a waiter.
    pub fn verdict(&self) -> Option<HeaderWait> {
        let head = self.stream.state.borrow().verdict()?;
        Some(head.map_or(HeaderWait::Failed, |head| match &head.brought {
            // All who wait for a slice are to know why there is none,
            Brought::Refused(_) => HeaderWait::Shared,
            // and who waits for the whole asks again.
            Brought::Unfit(_) => HeaderWait::Failed,
            Brought::Whole | Brought::First(..) | Brought::Slice => head.finding.head(),
        }))
    }

    /// What the response varies on, if its header has come and it does.
    pub fn variant(&self) -> Option<Variant> {
        let state = self.stream.state.borrow();
        state.head.as_ref()?.variant.clone()
    }

    /// Has `waker` woken at the next change.
    pub fn listen(&self, waker: &Waker) {
        let mut state = self.stream.state.borrow_mut();
        state.listeners.listen(self.number, waker);
    }

    /// The next piece of the body.
    pub fn next(&self) -> Next {
        let next = {
            let mut state = self.stream.state.borrow_mut();
            match state.pieces.read(self.position.get()) {
                Some(piece) => {
                    self.position.set(self.position.get() + 1);
                    state.forget();
                    Next::Piece(piece)
                }
                None => state.phase.ending().map_or(Next::Wait, Next::End),
            }
        };
        self.stream.demand();
        next
    }

    /// How often it was asked so far that what has come isn't held back.
    pub fn flushes(&self) -> u64 {
        self.stream.state.borrow().flushes
    }

    /// Waits until there may be more.
    pub async fn changed(&self) {
        let seen = self.stream.state.borrow().listeners.version();
        self.stream
            .until(self.number, |state| {
                (state.listeners.version() != seen).then_some(())
            })
            .await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        {
            let mut state = self.stream.state.borrow_mut();
            let waker = state.listeners.leave(self.number);
            state.joined -= usize::from(self.joined);
            state.pieces.leave(self.position.get());
            state.forget();
            drop(state);
            drop(waker);
        }
        self.stream.demand();
    }
}
