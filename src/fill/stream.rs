//! A fill's answer as it comes: written by the capture, read by any number of subscribers.
//!
//! While the answer is captured nothing is forgotten and a slow reader slows nobody. Once it is
//! not, pieces behind the slowest reader are dropped and the backend waits for that reader.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::flow::{Ending, Finding};
use cache_core::headers::Headers;
use cache_core::record::Unsent;
use cache_core::vary::Variant;

// The paths are said because tests take this file in from elsewhere.
#[path = "stream/pieces.rs"]
mod pieces;
#[path = "stream/subscription.rs"]
mod subscription;

use pieces::Pieces;

pub use subscription::{Next, Subscription};

/// How many bytes an answer may be ahead of its slowest reader, once it isn't captured.
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
    /// What the backend said that clients aren't sent.
    pub unsent: Unsent,
    /// The backend's own header, as it came.
    pub upstream: Headers,
    /// Whether nginx made it in want of an answer of the backend.
    pub generated: bool,
    /// The status of the backend's own answer, if it gave one.
    pub backend_status: Option<u16>,
    /// Whether the backend could confirm a record with it.
    pub conditional: bool,
    /// What becomes of it.
    pub finding: Finding,
    /// What it varies on, if it does, and which variant it is.
    pub variant: Option<Variant>,
}

/// What becomes of the answer beside its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// All of it is kept, for the store and for those who join.
    Capturing,
    /// It is for its readers alone; why it isn't captured any more, if it was.
    Passing(Option<Ending>),
    /// No more comes.
    Ended {
        /// How it ended.
        ending: Ending,
        /// Why it wasn't captured to its end, if so.
        given_up: Option<Ending>,
        /// Whether all of it is still kept.
        kept: bool,
    },
}

/// The fill's own task, among those who are woken. Readers have higher numbers.
const TASK: u64 = 0;

struct State {
    phase: Phase,
    head: Option<Rc<ResponseHead>>,
    pieces: Pieces,
    /// How often the backend's location has asked that nothing be held back.
    flushes: u64,
    total: u64,
    /// How much of the worker's memory for captures it takes.
    charged: usize,
    /// How much a capture took that was given up, until somebody asks.
    surplus: usize,
    /// How many of the readers have joined.
    joined: usize,
    last_reader: u64,
    version: u64,
    /// Who is woken at the next change, in the order in which they came.
    wakers: BTreeMap<u64, Waker>,
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
        Rc::new(Stream {
            state: RefCell::new(State::new()),
            control: RefCell::new(None),
            max_size,
            memory,
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
        if state.phase == Phase::Capturing && !head.finding.is_kept() {
            state.phase = Phase::Passing(None);
        }
        state.head = Some(Rc::new(head));
        self.changed(state);
    }

    /// A piece of the body has come.
    pub fn push(&self, piece: Bytes) {
        let mut state = self.state.borrow_mut();
        let length = piece.len();
        state.total += length as u64;
        if state.phase == Phase::Capturing {
            if state.total > self.max_size {
                state.give_up(Ending::TooLarge);
            } else if CAPTURED.get() + length as u64 > self.memory {
                state.give_up(Ending::NoRoom);
            } else {
                charge(length);
                state.charged += length;
            }
        }
        state.pieces.push(piece);
        state.forget();
        state.blocked = state.phase != Phase::Capturing && state.pieces.bytes() >= AHEAD;
        self.changed(state);
    }

    /// What has come so far is to reach the readers' clients before more comes.
    pub fn flush(&self) {
        let mut state = self.state.borrow_mut();
        state.flushes += 1;
        self.changed(state);
    }

    /// Gives up the capture, and what only it needs. False if there is none.
    pub fn cease_capture(&self, why: Ending) -> bool {
        let mut state = self.state.borrow_mut();
        if state.phase != Phase::Capturing {
            return false;
        }
        state.give_up(why);
        state.forget();
        self.changed(state);
        true
    }

    /// The fill has done with the answer what was to be done: what remains of it is for its readers alone.
    pub fn release(&self) {
        let mut state = self.state.borrow_mut();
        match &mut state.phase {
            Phase::Capturing => state.phase = Phase::Passing(None),
            Phase::Passing(_) => {}
            Phase::Ended { kept, .. } => *kept = false,
        }
        state.discharge();
        state.forget();
        drop(state);
        self.demand();
    }

    /// How many bytes a capture took that was given up, once its readers have caught up; then 0.
    pub fn take_surplus(&self) -> usize {
        let mut state = self.state.borrow_mut();
        if state.pieces.bytes() >= AHEAD {
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
        let (given_up, captured) = match state.phase {
            Phase::Capturing => (None, true),
            Phase::Passing(why) => (why, false),
            Phase::Ended { .. } => return,
        };
        let kept = captured && ending == Ending::Whole && state.is_kept();
        state.phase = Phase::Ended {
            ending,
            given_up,
            kept,
        };
        if !kept {
            state.discharge();
            state.forget();
        }
        self.changed(state);
    }

    /// Whether the body has ended, whole or not.
    pub fn ended(&self) -> bool {
        self.state.borrow().ending().is_some()
    }

    /// Whether nobody reads it and it isn't captured, so that the rest of it is for nobody.
    pub fn is_unwanted(&self) -> bool {
        self.state.borrow().is_unwanted()
    }

    /// How many have joined it, and still read it or wait for its header.
    pub fn joined(&self) -> usize {
        self.state.borrow().joined
    }

    /// The header, once it has come.
    pub fn head(&self) -> Option<Rc<ResponseHead>> {
        self.state.borrow().head.clone()
    }

    /// The body, once it has ended whole and captured.
    pub fn body(&self) -> Vec<Bytes> {
        self.state.borrow().pieces.all()
    }

    /// The fill's task waits for the header; `None` if the fill ended without one.
    pub async fn wait_head(&self) -> Option<Rc<ResponseHead>> {
        self.until(TASK, State::verdict).await
    }

    /// The fill's task waits for the end, or for the capture to be given up.
    pub async fn wait_ending(&self) -> Ending {
        self.until(TASK, |state| match state.phase {
            Phase::Capturing => None,
            Phase::Passing(why) => why,
            Phase::Ended {
                ending, given_up, ..
            } => given_up.or(Some(ending)),
        })
        .await
    }

    /// Waits, as the one of this number: the last one of a number is woken.
    async fn until<T>(&self, number: u64, ready: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            match ready(&state) {
                Some(value) => Poll::Ready(value),
                None => {
                    state.listen(number, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether the beginning is still there, and the rest will be kept for everybody or is here.
    pub fn is_joinable(&self) -> bool {
        matches!(
            self.state.borrow().phase,
            Phase::Capturing | Phase::Ended { kept: true, .. }
        )
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
        state.last_reader += 1;
        state.joined += usize::from(joined);
        let position = Cell::new(state.pieces.enter());
        Subscription {
            stream: Rc::clone(self),
            number: state.last_reader,
            joined,
            position,
        }
    }

    /// Wakes everybody, with the state given back first, and tells the capture what is wanted of it now.
    fn changed(&self, mut state: RefMut<'_, State>) {
        state.version += 1;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers.into_values() {
            waker.wake();
        }
        self.demand();
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

impl State {
    fn new() -> State {
        State {
            phase: Phase::Capturing,
            head: None,
            pieces: Pieces::default(),
            flushes: 0,
            total: 0,
            charged: 0,
            surplus: 0,
            joined: 0,
            last_reader: TASK,
            version: 0,
            wakers: BTreeMap::new(),
            blocked: false,
        }
    }

    fn listen(&mut self, number: u64, waker: &Waker) {
        self.wakers
            .entry(number)
            .and_modify(|known| known.clone_from(waker))
            .or_insert_with(|| waker.clone());
    }

    fn ending(&self) -> Option<Ending> {
        match self.phase {
            Phase::Ended { ending, .. } => Some(ending),
            Phase::Capturing | Phase::Passing(_) => None,
        }
    }

    /// The header, or that there will be none.
    fn verdict(&self) -> Option<Option<Rc<ResponseHead>>> {
        match (&self.head, self.ending()) {
            (Some(head), _) => Some(Some(Rc::clone(head))),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        }
    }

    /// Drops what every reader has read, once nobody else may need it.
    fn forget(&mut self) {
        match self.phase {
            Phase::Capturing | Phase::Ended { kept: true, .. } => {}
            Phase::Passing(_) | Phase::Ended { .. } => self.pieces.forget(),
        }
    }

    /// From now on the answer is only passed on.
    fn give_up(&mut self, why: Ending) {
        self.phase = Phase::Passing(Some(why));
        self.surplus = self.discharge();
    }

    /// No capture needs the memory any more.
    fn discharge(&mut self) -> usize {
        let charged = std::mem::take(&mut self.charged);
        discharge(charged);
        charged
    }

    fn is_kept(&self) -> bool {
        self.head
            .as_ref()
            .is_some_and(|head| head.finding.is_kept())
    }

    fn is_unwanted(&self) -> bool {
        matches!(self.phase, Phase::Passing(_)) && self.pieces.readers() == 0
    }

    fn take_demand(&mut self) -> Demand {
        if self.ending().is_some() {
            return Demand::Nothing;
        }
        if self.is_unwanted() {
            return Demand::Abort;
        }
        if self.blocked && self.pieces.bytes() < AHEAD / 2 {
            self.blocked = false;
            return Demand::Resume;
        }
        Demand::Nothing
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.state.get_mut().discharge();
    }
}
