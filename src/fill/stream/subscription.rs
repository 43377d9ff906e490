//! One reader of an answer.

use std::borrow::Cow;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use cache_core::flow::{Ending, Head};
use cache_core::headers::Headers;
use cache_core::record::without;
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

/// One reader of an answer. Dropping it gives its place up.
pub struct Subscription {
    pub(super) stream: Rc<Stream>,
    pub(super) id: u64,
    pub(super) joined: bool,
}

impl Subscription {
    /// Waits for the header; `None` if the fill ended without one.
    pub async fn wait_head(&self) -> Option<Rc<ResponseHead>> {
        self.stream.wait_head().await
    }

    /// The header lines that this reader may have.
    pub fn headers<'a>(&self, head: &'a ResponseHead) -> Cow<'a, Headers> {
        if self.joined && !head.withheld.is_empty() {
            Cow::Owned(without(&head.headers, &head.withheld))
        } else {
            Cow::Borrowed(&head.headers)
        }
    }

    /// What is known of the answer so far, for a waiter.
    pub fn verdict(&self) -> Option<Head> {
        let state = self.stream.state.borrow();
        match (&state.head, state.ending) {
            (Some(head), _) => Some(head.finding.head()),
            (None, Some(_)) => Some(Head::Failed),
            (None, None) => None,
        }
    }

    /// What the answer varies on, if its header has come and it does.
    pub fn variant(&self) -> Option<Variant> {
        let state = self.stream.state.borrow();
        state.head.as_ref()?.variant.clone()
    }

    /// Has `waker` woken at the next change.
    pub fn listen(&self, waker: &Waker) {
        self.stream.state.borrow_mut().listen(waker);
    }

    /// The next piece of the body.
    pub fn next(&self) -> Next {
        let next = {
            let mut state = self.stream.state.borrow_mut();
            let dropped = state.dropped;
            let Some(index) = state.readers.iter().position(|(id, _)| *id == self.id) else {
                return Next::End(Ending::Cut);
            };
            let position = state
                .readers
                .get(index)
                .map_or(0, |(_, position)| *position);
            match state.pieces.get(position.saturating_sub(dropped)).cloned() {
                Some(piece) => {
                    if let Some((_, position)) = state.readers.get_mut(index) {
                        *position += 1;
                    }
                    state.forget();
                    Next::Piece(piece)
                }
                None => state.ending.map_or(Next::Wait, Next::End),
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
        let seen = self.stream.state.borrow().version;
        self.stream
            .until(|state| (state.version != seen).then_some(()))
            .await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        {
            let mut state = self.stream.state.borrow_mut();
            state.readers.retain(|(id, _)| *id != self.id);
            state.forget();
        }
        self.stream.demand();
    }
}
