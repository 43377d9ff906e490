//! What a location answers to an exchange, as it comes, and its one reader.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::flow::Ending;

use crate::detached::Sink;
use crate::ngx::request::Request;
use crate::ngx::upstream::captured::Captured;

/// What the reader gets next.
pub enum Next {
    /// A piece of the body.
    Piece(Bytes),
    /// The end, whether the body was whole or not.
    End,
    /// Nothing yet.
    Wait,
}

/// How many bytes a location may be ahead of its reader. A record of the usual size fits, whatever comes in one turn of
/// the loop: nginx would put what must wait into a temporary file.
const AHEAD: usize = 16 << 20;

/// The response. What has come is kept until it is read, and the location waits for that.
pub struct Reply {
    state: RefCell<State>,
    wake: OnceCell<Box<dyn Fn()>>,
}

#[derive(Default)]
struct State {
    status: Option<u16>,
    pieces: VecDeque<Bytes>,
    /// Bytes of the pieces.
    ahead: usize,
    /// The location waits for the reader.
    is_blocked: bool,
    is_over: bool,
    /// Its reader has left.
    is_unread: bool,
    /// How often something has come.
    changes: u64,
    reader: Option<Waker>,
}

/// The reader of a reply. An exchange without a reader is broken off.
pub struct Reader(Rc<Reply>);

/// A response that has yet to come, for the exchange and for who reads it.
pub fn pair() -> (Rc<Reply>, Reader) {
    let reply = Rc::new(Reply {
        state: RefCell::default(),
        wake: OnceCell::new(),
    });
    (Rc::clone(&reply), Reader(reply))
}

impl Reply {
    /// Something has come, unless the end came before: wakes the reader. Without one the exchange is told so.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let (reader, is_unread) = {
            let mut state = self.state.borrow_mut();
            if state.is_over {
                return;
            }
            change(&mut state);
            state.changes += 1;
            (state.reader.take(), state.is_unread && !state.is_over)
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        if is_unread {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }
}

impl State {
    /// So many bytes were read. Whether the location, which has waited for that, is to go on.
    fn has_read(&mut self, bytes: usize) -> bool {
        self.ahead = self.ahead.saturating_sub(bytes);
        let goes_on = self.is_blocked && self.ahead < AHEAD / 2;
        if goes_on {
            self.is_blocked = false;
        }
        goes_on
    }
}

impl Sink for Reply {
    fn header(&self, _: Request, captured: Captured, _: bool) {
        self.change(|state| state.status = Some(captured.status));
    }

    fn push(&self, piece: Bytes) {
        self.change(|state| {
            if !state.is_unread {
                state.ahead += piece.len();
                state.is_blocked = state.ahead >= AHEAD;
                state.pieces.push_back(piece);
            }
        });
    }

    fn flush(&self) {
        self.change(|_| {});
    }

    fn end(&self, _: Ending) {
        self.change(|state| state.is_over = true);
    }

    fn has_ended(&self) -> bool {
        self.state.borrow().is_over
    }

    fn is_unwanted(&self) -> bool {
        let state = self.state.borrow();
        state.is_unread && !state.is_over
    }

    fn is_blocked(&self) -> bool {
        self.state.borrow().is_blocked
    }

    fn set_wake(&self, wake: Box<dyn Fn()>) {
        let _ = self.wake.set(wake);
    }
}

impl Reader {
    /// Waits for the status; `None` if the exchange ended without one.
    pub async fn status(&self) -> Option<u16> {
        self.until(|state| match (state.status, state.is_over) {
            (None, false) => None,
            (status, _) => Some(status),
        })
        .await
    }

    /// What is there of the body.
    pub fn next(&self) -> Next {
        let (next, goes_on) = {
            let mut state = self.0.state.borrow_mut();
            match state.pieces.pop_front() {
                Some(piece) => {
                    let goes_on = state.has_read(piece.len());
                    (Next::Piece(piece), goes_on)
                }
                None if state.is_over => (Next::End, false),
                None => (Next::Wait, false),
            }
        };
        if goes_on {
            self.0.wake();
        }
        next
    }

    /// Waits until there may be more.
    pub async fn changed(&self) {
        let seen = self.0.state.borrow().changes;
        self.until(|state| (state.changes != seen).then_some(()))
            .await;
    }

    async fn until<T>(&self, ready: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut state = self.0.state.borrow_mut();
            match ready(&state) {
                Some(value) => Poll::Ready(value),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (left, reader) = {
            let mut state = self.0.state.borrow_mut();
            state.is_unread = true;
            state.is_blocked = false;
            (std::mem::take(&mut state.pieces), state.reader.take())
        };
        drop((left, reader));
        if self.0.is_unwanted() {
            self.0.wake();
        }
    }
}
