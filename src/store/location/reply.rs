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

/// The response. All of it is kept until it is read.
pub struct Reply {
    state: RefCell<State>,
    wake: OnceCell<Box<dyn Fn()>>,
}

#[derive(Default)]
struct State {
    status: Option<u16>,
    pieces: VecDeque<Bytes>,
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

impl Sink for Reply {
    fn header(&self, _: Request, captured: Captured, _: bool) {
        self.change(|state| state.status = Some(captured.status));
    }

    fn push(&self, piece: Bytes) {
        self.change(|state| {
            if !state.is_unread {
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
        let mut state = self.0.state.borrow_mut();
        match state.pieces.pop_front() {
            Some(piece) => Next::Piece(piece),
            None if state.is_over => Next::End,
            None => Next::Wait,
        }
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
            (std::mem::take(&mut state.pieces), state.reader.take())
        };
        drop((left, reader));
        if self.0.is_unwanted() {
            self.0.wake();
        }
    }
}
