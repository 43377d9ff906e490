//! A fill's response as it comes: written by the capture, read by any number of subscribers.
//!
//! While the response is captured nothing is forgotten, and a slow reader slows nobody. Once it is not, pieces behind
//! the slowest reader are dropped, and the backend waits for that reader.

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::flow::Ending;
use cache_core::headers::Headers;

mod header;
mod listeners;
mod phase;
mod pieces;
mod subscription;

use listeners::{Listeners, TASK};
use phase::{AHEAD, Phase};
use pieces::Pieces;

pub use header::ResponseHead;
pub use phase::{Charge, Demand, GivesWay, give_way};
pub use subscription::{Next, Subscription};

struct State {
    phase: Phase,
    head: Option<Rc<ResponseHead>>,
    pieces: Pieces,
    /// Bytes of the body that have come.
    total: u64,
    /// How often the backend's location has asked that nothing be held back.
    flushes: u64,
    /// How many of the readers have joined.
    joined: usize,
    /// What the backend has said before its header.
    hints: Vec<Hint>,
    listeners: Listeners,
}

/// A 103 (Early Hints).
struct Hint {
    lines: Rc<Headers>,
    /// Whether those who have joined may have it.
    is_for_all: bool,
}

type Control = Box<dyn Fn(Demand)>;

/// The response of one fill.
pub struct Stream {
    state: RefCell<State>,
    control: RefCell<Option<Control>>,
    /// Bytes beyond which the response isn't captured any more.
    max_size: u64,
    /// Bytes that all captures of the worker may take.
    memory: u64,
}

impl Stream {
    /// A response of which up to `max_size` bytes are captured, as long as all captures of the worker
    /// take no more than `memory`.
    pub fn new(max_size: u64, memory: u64) -> Rc<Stream> {
        Rc::new(Stream {
            state: RefCell::new(State::new()),
            control: RefCell::new(None),
            max_size,
            memory,
        })
    }

    /// Whether the captures of this worker take more than half of the `memory` that they may take.
    pub fn is_pressed(memory: u64) -> bool {
        phase::captured() > memory / 2
    }

    /// Sets what is called when the readers' demand changes. It must not call back.
    pub fn set_control(&self, control: impl Fn(Demand) + 'static) {
        *self.control.borrow_mut() = Some(Box::new(control));
    }

    /// The header has come.
    pub fn set_head(&self, head: ResponseHead) {
        let mut state = self.state.borrow_mut();
        // What isn't stored is only passed on.
        if !head.finding.is_kept() {
            state.phase.release();
        }
        state.head = Some(Rc::new(head));
        self.changed(state);
    }

    /// A 103 (Early Hints) has come. `is_for_all`: those who have joined may have it, and not alone the one whose
    /// request it was.
    pub fn hint(&self, lines: Headers, is_for_all: bool) {
        let mut state = self.state.borrow_mut();
        let lines = Rc::new(lines);
        state.hints.push(Hint { lines, is_for_all });
        self.changed(state);
    }

    /// A piece of the body has come.
    pub fn push(&self, piece: Bytes) {
        let mut state = self.state.borrow_mut();
        let (length, max_size, memory) = (piece.len(), self.max_size, self.memory);
        state.total += length as u64;
        let total = state.total;
        state.phase.grow(length, total, max_size, memory);
        state.pieces.push(piece);
        state.forget();
        let behind = state.pieces.bytes();
        state.phase.block(behind);
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
        if !state.phase.give_up(why) {
            return false;
        }
        state.forget();
        self.changed(state);
        true
    }

    /// The fill has done with the response what was to be done: what remains of it is for its readers alone.
    pub fn release(&self) {
        let mut state = self.state.borrow_mut();
        state.phase.release();
        state.forget();
        drop(state);
        self.demand();
    }

    /// How many bytes of the body have come so far.
    pub fn total(&self) -> u64 {
        self.state.borrow().total
    }

    /// How many bytes a capture took that was given up, once its readers have caught up; then 0.
    pub fn take_surplus(&self) -> usize {
        let mut state = self.state.borrow_mut();
        if state.pieces.bytes() >= AHEAD {
            return 0;
        }
        state.phase.take_surplus()
    }

    /// Whether the backend shall wait before it sends more: the slowest reader is far behind.
    pub fn is_blocked(&self) -> bool {
        self.state.borrow().phase.is_blocked()
    }

    /// The body has ended. Later calls change nothing.
    pub fn end(&self, ending: Ending) {
        let mut state = self.state.borrow_mut();
        let stored = state
            .head
            .as_ref()
            .is_some_and(|head| head.finding.is_kept());
        if !state.phase.end(ending, ending == Ending::Whole && stored) {
            return;
        }
        state.forget();
        self.changed(state);
    }

    /// Whether the body has ended, whole or not.
    pub fn ended(&self) -> bool {
        self.state.borrow().phase.ending().is_some()
    }

    /// Whether nobody reads it and it isn't captured, so that the rest of it is for nobody.
    pub fn is_unwanted(&self) -> bool {
        let state = self.state.borrow();
        state.phase.is_unwanted(state.pieces.readers())
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

    /// How many pieces of the body are still there.
    pub fn pieces(&self) -> usize {
        self.state.borrow().pieces.len()
    }

    /// A piece of the body, counted from the first that is still there: while it is captured all are.
    pub fn piece(&self, number: usize) -> Option<Bytes> {
        self.state.borrow().pieces.get(number)
    }

    /// Has `charge` take more bytes of the worker's memory for captures. False if there is no room.
    pub fn charge(&self, charge: &mut Charge, bytes: usize) -> bool {
        charge.take(bytes, self.memory)
    }

    /// The fill's task waits for the header and this piece, for the end, or for the capture to be given up.
    pub async fn wait_piece(&self, number: usize) {
        let is_there = |state: &State| state.head.is_some() && state.pieces.get(number).is_some();
        let is_over = |state: &State| !matches!(state.phase, Phase::Capturing(_));
        self.until(TASK, |state| {
            (is_there(state) || is_over(state)).then_some(())
        })
        .await;
    }

    /// The fill's task waits for the header; `None` if the fill ended without one.
    pub async fn wait_head(&self) -> Option<Rc<ResponseHead>> {
        self.until(TASK, State::verdict).await
    }

    /// The fill's task waits for the end, or for the capture to be given up.
    pub async fn wait_ending(&self) -> Ending {
        let ending = |state: &State| match &state.phase {
            Phase::Capturing(_) => None,
            Phase::Passing(passing) => passing.given_up,
            Phase::Ended(ended) => ended.given_up.or(Some(ended.ending)),
        };
        self.until(TASK, ending).await
    }

    /// Waits, as the one of this number: the last one of a number is woken.
    async fn until<T>(&self, number: u64, ready: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            match ready(&state) {
                Some(value) => Poll::Ready(value),
                None => {
                    state.listeners.listen(number, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether the beginning is still there, and the rest will be kept for everybody or is here.
    pub fn is_joinable(&self) -> bool {
        self.state.borrow().phase.keeps_all()
    }

    /// Joins the response to somebody else's request, from its beginning.
    pub fn join(self: &Rc<Self>) -> Subscription {
        self.reader(true)
    }

    /// Reads the response from its beginning.
    pub fn subscribe(self: &Rc<Self>) -> Subscription {
        self.reader(false)
    }

    fn reader(self: &Rc<Self>, joined: bool) -> Subscription {
        let mut state = self.state.borrow_mut();
        let number = state.listeners.number();
        state.joined += usize::from(joined);
        let position = Cell::new(state.pieces.enter());
        Subscription {
            stream: Rc::clone(self),
            number,
            joined,
            position,
            hints: Cell::new(0),
        }
    }

    /// Wakes everybody, with the state given back first, and tells the capture what is wanted of it now.
    fn changed(&self, mut state: RefMut<'_, State>) {
        let wakers = state.listeners.take();
        drop(state);
        wakers.into_values().for_each(Waker::wake);
        self.demand();
    }

    /// Tells the capture what the readers want of it now.
    fn demand(&self) {
        let demand = self.state.borrow_mut().demand();
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
            phase: Phase::Capturing(Charge::default()),
            head: None,
            pieces: Pieces::default(),
            total: 0,
            flushes: 0,
            joined: 0,
            hints: Vec::new(),
            listeners: Listeners::default(),
        }
    }

    /// The header, or that there will be none.
    fn verdict(&self) -> Option<Option<Rc<ResponseHead>>> {
        match (&self.head, self.phase.ending()) {
            (Some(head), _) => Some(Some(Rc::clone(head))),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        }
    }

    /// Drops what every reader has read, once nobody else may need it.
    fn forget(&mut self) {
        if !self.phase.keeps_all() {
            self.pieces.forget();
        }
    }

    fn demand(&mut self) -> Demand {
        let (readers, behind) = (self.pieces.readers(), self.pieces.bytes());
        self.phase.demand(readers, behind)
    }
}
