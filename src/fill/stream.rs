//! A fill's answer as it comes: written by the capture, read by any number of subscribers.
//!
//! While the answer is captured nothing is forgotten and a slow reader slows nobody. Once it is
//! not, pieces behind the slowest reader are dropped and the backend waits for that reader.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::flow::{Ending, Finding};
use cache_core::headers::Headers;
use cache_core::vary::Variant;

// The path is said because tests take this file in from elsewhere.
#[path = "stream/subscription.rs"]
mod subscription;

pub use subscription::{Next, Subscription};

/// How many bytes an answer for clients may be ahead of the slowest, once it isn't captured.
const AHEAD: usize = 256 * 1024;

/// A response header as subscribers get it.
#[derive(Debug)]
pub struct ResponseHead {
    /// Its status.
    pub status: u16,
    /// Its lines, without Content-Length.
    pub headers: Headers,
    /// The length of the body, where it is known.
    pub content_length: Option<u64>,
    /// When the backend says that it made it, else when it came, in unix seconds.
    pub date: u64,
    /// Fields that the backend's Connection names: not stored.
    pub connection: Vec<Bytes>,
    /// Its Location is a path for nginx to complete.
    pub own_location: bool,
    /// Fields that are for nobody but the client that asked: neither stored nor given to those who join.
    pub withheld: Vec<Bytes>,
    /// Whether nginx made it in want of an answer of the backend.
    pub generated: bool,
    /// Whether the backend was asked to confirm a record.
    pub asked: bool,
    /// What becomes of it.
    pub finding: Finding,
    /// What it varies on, if it does, and which variant it is.
    pub variant: Option<Variant>,
}

#[derive(Default)]
struct State {
    head: Option<Rc<ResponseHead>>,
    pieces: VecDeque<Bytes>,
    /// How many pieces were dropped from the front.
    dropped: usize,
    /// How often the backend's location has asked that nothing be held back.
    flushes: u64,
    retained: usize,
    total: u64,
    capturing: bool,
    /// Why it isn't captured to its end, once that is so.
    given_up: Option<Ending>,
    /// How much of the worker's memory for captures it takes.
    charged: usize,
    /// How much a capture took that was given up, until somebody asks.
    surplus: usize,
    ending: Option<Ending>,
    readers: Vec<(u64, usize)>,
    next_reader: u64,
    version: u64,
    wakers: Vec<Waker>,
    blocked: bool,
}

/// What the capture must do after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// Read on from the backend.
    Resume,
    /// Nobody wants the rest.
    Abort,
}

type Control = Box<dyn Fn(Demand)>;

/// The answer of one fill.
pub struct Stream {
    state: RefCell<State>,
    control: RefCell<Option<Control>>,
    /// Bytes beyond which the answer isn't captured any more.
    max_size: u64,
    /// Bytes that all captures of the worker may take.
    memory: u64,
    /// How many bytes an answer that isn't captured may be ahead of its slowest reader.
    ahead: usize,
}

thread_local! {
    /// Bytes that the captures of this worker take.
    static CAPTURED: Cell<u64> = const { Cell::new(0) };
}

fn charge(bytes: usize) {
    CAPTURED.set(CAPTURED.get() + bytes as u64);
}

fn discharge(bytes: usize) {
    CAPTURED.set(CAPTURED.get().saturating_sub(bytes as u64));
}

impl Stream {
    /// An answer of which up to `max_size` bytes are captured, as long as all captures of the worker
    /// take no more than `memory`.
    pub fn new(max_size: u64, memory: u64) -> Rc<Stream> {
        let state = State {
            capturing: true,
            ..State::default()
        };
        Rc::new(Stream {
            state: RefCell::new(state),
            control: RefCell::new(None),
            max_size,
            memory,
            ahead: AHEAD,
        })
    }

    /// An answer that is for those who read it, at once and all of it, and is given up when nobody does.
    pub fn passing() -> Rc<Stream> {
        Rc::new(Stream {
            state: RefCell::default(),
            control: RefCell::new(None),
            max_size: 0,
            memory: 0,
            ahead: usize::MAX,
        })
    }

    /// Sets what is called when the readers' demand changes. It must not call back.
    pub fn set_control(&self, control: impl Fn(Demand) + 'static) {
        *self.control.borrow_mut() = Some(Box::new(control));
    }

    /// The header has come.
    pub fn set_head(&self, head: ResponseHead) {
        let mut state = self.state.borrow_mut();
        // What isn't stored is only passed on.
        state.capturing &= head.finding.is_kept();
        state.head = Some(Rc::new(head));
        wake(state);
        self.demand();
    }

    /// A piece of the body has come.
    pub fn push(&self, piece: Bytes) {
        let mut state = self.state.borrow_mut();
        state.total += piece.len() as u64;
        if state.capturing {
            let length = piece.len();
            if state.total > self.max_size {
                state.give_up(Ending::TooLarge);
            } else if CAPTURED.get() + length as u64 > self.memory {
                state.give_up(Ending::NoRoom);
            } else {
                charge(length);
                state.charged += length;
            }
        }
        if !piece.is_empty() {
            state.retained += piece.len();
            state.pieces.push_back(piece);
        }
        state.forget();
        state.blocked = !state.capturing && state.retained >= self.ahead;
        wake(state);
    }

    /// What has come so far is to reach the readers' clients before more comes.
    pub fn flush(&self) {
        let mut state = self.state.borrow_mut();
        state.flushes += 1;
        wake(state);
    }

    /// Gives up the capture for want of memory, and what only it needs. False if there is none.
    pub fn cease_capture(&self) -> bool {
        let mut state = self.state.borrow_mut();
        if !state.capturing || state.ending.is_some() {
            return false;
        }
        state.give_up(Ending::NoRoom);
        state.forget();
        wake(state);
        true
    }

    /// How many bytes a capture took that was given up, once its readers have caught up; then 0.
    pub fn take_surplus(&self) -> usize {
        let mut state = self.state.borrow_mut();
        if state.retained >= AHEAD {
            return 0;
        }
        std::mem::take(&mut state.surplus)
    }

    /// Whether the backend shall wait before it sends more: the slowest reader is far behind.
    pub fn is_blocked(&self) -> bool {
        self.state.borrow().blocked
    }

    /// The body has ended. Later calls change nothing.
    pub fn end(&self, ending: Ending) {
        let mut state = self.state.borrow_mut();
        if state.ending.is_none() {
            state.ending = Some(ending);
        }
        wake(state);
    }

    /// Bytes of the body so far.
    pub fn total(&self) -> u64 {
        self.state.borrow().total
    }

    /// Whether the body has ended, whole or not.
    pub fn ended(&self) -> bool {
        self.state.borrow().ending.is_some()
    }

    /// Whether nobody reads it and it isn't captured.
    pub fn is_unwanted(&self) -> bool {
        let state = self.state.borrow();
        state.readers.is_empty() && !state.capturing
    }

    /// Whether the header has come.
    pub fn has_head(&self) -> bool {
        self.state.borrow().head.is_some()
    }

    /// The header, once it has come.
    pub fn head(&self) -> Option<Rc<ResponseHead>> {
        self.state.borrow().head.clone()
    }

    /// The body, once it has ended whole and captured.
    pub fn body(&self) -> Vec<Bytes> {
        self.state.borrow().pieces.iter().cloned().collect()
    }

    /// Waits for the header; `None` if the fill ended without one.
    pub async fn wait_head(&self) -> Option<Rc<ResponseHead>> {
        self.until(|state| match (&state.head, state.ending) {
            (Some(head), _) => Some(Some(Rc::clone(head))),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        })
        .await
    }

    /// Waits for the end, or for the body to outgrow what may be captured.
    pub async fn wait_ending(&self) -> Ending {
        self.until(|state| state.given_up.or(state.ending)).await
    }

    async fn until<T>(&self, ready: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            match ready(&state) {
                Some(value) => Poll::Ready(value),
                None => {
                    state.listen(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether the beginning is still there, and the rest will be kept for everybody or is here.
    pub fn is_joinable(&self) -> bool {
        let state = self.state.borrow();
        state.dropped == 0
            && state.capturing
            && (state.ending.is_none() || (state.ending == Some(Ending::Whole) && state.is_kept()))
    }

    /// Joins the answer to somebody else's request, from its beginning.
    pub fn join(self: &Rc<Self>) -> Subscription {
        self.reader(true)
    }

    /// Reads the answer from its beginning.
    pub fn subscribe(self: &Rc<Self>) -> Subscription {
        self.reader(false)
    }

    fn reader(self: &Rc<Self>, joined: bool) -> Subscription {
        let mut state = self.state.borrow_mut();
        state.next_reader += 1;
        let id = state.next_reader;
        let position = state.dropped;
        state.readers.push((id, position));
        Subscription {
            stream: Rc::clone(self),
            id,
            joined,
        }
    }

    /// Tells the capture what the readers want of it now.
    fn demand(&self) {
        let demand = self.state.borrow_mut().take_demand();
        if demand != Demand::Nothing
            && let Some(control) = self.control.borrow().as_ref()
        {
            control(demand);
        }
    }
}

/// Wakes everybody, with the state given back first.
fn wake(mut state: std::cell::RefMut<'_, State>) {
    state.version += 1;
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    for waker in wakers {
        waker.wake();
    }
}

impl State {
    fn listen(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    /// Drops what every reader has read, once nobody else may need it.
    fn forget(&mut self) {
        if self.capturing
            || (self.ending == Some(Ending::Whole) && self.given_up.is_none() && self.is_kept())
        {
            return;
        }
        let slowest = self.readers.iter().map(|(_, position)| *position).min();
        let keep_from = slowest.unwrap_or(self.dropped + self.pieces.len());
        while self.dropped < keep_from {
            let Some(piece) = self.pieces.pop_front() else {
                break;
            };
            self.retained -= piece.len();
            self.dropped += 1;
        }
    }

    /// From now on the answer is only passed on.
    fn give_up(&mut self, why: Ending) {
        self.capturing = false;
        self.given_up = Some(why);
        self.surplus = std::mem::take(&mut self.charged);
        discharge(self.surplus);
    }

    fn is_kept(&self) -> bool {
        self.head
            .as_ref()
            .is_some_and(|head| head.finding.is_kept())
    }

    fn take_demand(&mut self) -> Demand {
        if self.ending.is_some() {
            return Demand::Nothing;
        }
        if self.readers.is_empty() && !self.capturing {
            return Demand::Abort;
        }
        if self.blocked && self.retained < AHEAD / 2 {
            self.blocked = false;
            return Demand::Resume;
        }
        Demand::Nothing
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        discharge(self.state.get_mut().charged);
    }
}
