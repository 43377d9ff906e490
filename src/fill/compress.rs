//! The body of a fill's response is compressed as it comes (`redis_cache_compress`), a piece at a time, so that other requests have
//! their turn.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::coding::{Coded, Compress, ContentCoding, Encoder, KNOWN_LENGTH};
use cache_core::flow::Finding;
use cache_core::headers::Headers;
use cache_core::slices::Brought;

use super::stream::{Charge, GivesWay, ResponseHead, Stream, give_way};
use crate::ngx::event::sleep;

/// Bytes that are compressed in one turn of the loop.
const AT_ONCE: usize = 16 << 10;

/// A compressed body in pieces.
#[derive(Clone)]
pub struct Compressed {
    /// Its coding.
    pub coding: ContentCoding,
    /// The pieces.
    pub body: Vec<Bytes>,
    /// Bytes of the body before.
    pub length: u64,
}

impl Compressed {
    /// Bytes of it.
    pub fn bytes(&self) -> u64 {
        self.body.iter().map(|piece| piece.len() as u64).sum()
    }

    /// What it changes in this header.
    pub fn coded(&self, headers: &Headers) -> Coded {
        Coded::of(self.coding, headers, self.length)
    }
}

/// Compresses the body of one fill's response.
#[derive(Default)]
pub struct Compression {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
enum State {
    /// It isn't compressed, or not any more.
    #[default]
    Off,
    /// If the header says so.
    Waiting(Rc<Compress>),
    /// It is being compressed.
    Running(Box<Running>),
    /// It is, and its pieces take memory until the fill ends.
    Done {
        compressed: Compressed,
        _charge: Charge,
    },
}

struct Running {
    compress: Rc<Compress>,
    encoder: Encoder,
    /// What it takes of the worker's memory for captures: [`Encoder::memory`], and so many bytes for what it has made.
    charge: Charge,
    charged: u64,
    /// Which piece is next,
    next: usize,
    /// and which of its bytes.
    from: usize,
}

/// What a step has come to.
enum Step {
    /// It takes memory from now on.
    Begins,
    /// So many bytes were compressed.
    Worked(usize),
    /// There is nothing more for now: this piece is awaited.
    Waits(usize),
    /// There is no more.
    Over,
}

impl Compression {
    /// By what the directive says, if it does.
    pub fn new(compress: Option<Rc<Compress>>) -> Compression {
        let state = compress.map_or(State::Off, State::Waiting);
        Compression {
            state: Rc::new(RefCell::new(state)),
        }
    }

    /// Compresses what comes until the body has ended, or isn't captured any more. It may be dropped and called again at any time, and goes
    /// on where it was.
    pub async fn run(&self, stream: &Stream) {
        let mut at_once = 0;
        loop {
            let step = self.state.borrow_mut().step(stream);
            match step {
                Step::Begins => {
                    let state: Weak<RefCell<State>> = Rc::downgrade(&self.state);
                    give_way(state);
                }
                Step::Worked(bytes) => at_once += bytes,
                Step::Waits(piece) => stream.wait_piece(piece).await,
                Step::Over => return,
            }
            if at_once >= AT_ONCE {
                at_once = 0;
                sleep(0).await;
            }
        }
    }

    /// The compressed body, if it is one that is worth it.
    pub fn compressed(&self) -> Option<Compressed> {
        match &*self.state.borrow() {
            State::Done { compressed, .. } => Some(compressed.clone()),
            _ => None,
        }
    }
}

impl GivesWay for RefCell<State> {
    /// The body is stored as it is: a record is worth more than its compression.
    fn give_way(&self) {
        // What is compressed is about to be stored, and gives its memory back then.
        if let Ok(mut state) = self.try_borrow_mut()
            && matches!(&*state, State::Running(_))
        {
            *state = State::Off;
        }
    }
}

impl State {
    fn step(&mut self, stream: &Stream) -> Step {
        if !matches!(self, State::Done { .. }) && !stream.is_joinable() {
            // Its pieces are dropped.
            *self = State::Off;
        }
        if let State::Waiting(compress) = self {
            let Some(head) = stream.head() else {
                return Step::Waits(0);
            };
            if !is_to_be_compressed(compress, &head) {
                *self = State::Off;
                return Step::Over;
            }
            let length = match head.content_length {
                Some(length) => Some(length),
                None if stream.ended() => Some(stream.total()),
                // A short body is compressed when all of it is here: what is told its length serves it at less cost.
                None if stream.total() < KNOWN_LENGTH => return Step::Waits(stream.pieces()),
                None => None,
            };
            return match Running::new(compress, length, stream) {
                Some(running) => {
                    *self = State::Running(running);
                    Step::Begins
                }
                None => {
                    *self = State::Off;
                    Step::Over
                }
            };
        }
        let State::Running(running) = self else {
            return Step::Over;
        };
        if let Some(piece) = stream.piece(running.next) {
            return match running.take(&piece, stream) {
                Some(bytes) => Step::Worked(bytes),
                None => {
                    *self = State::Off;
                    Step::Over
                }
            };
        }
        if !stream.ended() {
            return Step::Waits(running.next);
        }
        if let State::Running(running) = std::mem::take(self) {
            *self = running.finish(stream.total());
        }
        Step::Over
    }
}

impl Running {
    /// `None` if there is no room for it: the body is stored as it is.
    fn new(compress: &Rc<Compress>, length: Option<u64>, stream: &Stream) -> Option<Box<Running>> {
        let mut charge = Charge::default();
        if length.is_some_and(|length| !compress.is_long_enough(length))
            || !stream.charge(&mut charge, Encoder::memory(compress.coding()))
        {
            return None;
        }
        Some(Box::new(Running {
            encoder: Encoder::new(compress.coding(), compress.level(), length).ok()?,
            compress: Rc::clone(compress),
            charge,
            charged: 0,
            next: 0,
            from: 0,
        }))
    }

    /// Compresses some of a piece. `None` if there is no room for more.
    fn take(&mut self, piece: &Bytes, stream: &Stream) -> Option<usize> {
        let rest = piece.get(self.from..).unwrap_or_default();
        let part = rest.get(..AT_ONCE).unwrap_or(rest);
        self.encoder.push(part).ok()?;
        let made = self.encoder.made();
        let more = usize::try_from(made - self.charged).ok()?;
        self.charged = made;
        if !stream.charge(&mut self.charge, more) {
            return None;
        }
        self.from += part.len();
        if self.from >= piece.len() {
            (self.next, self.from) = (self.next + 1, 0);
        }
        Some(part.len())
    }

    fn finish(self, length: u64) -> State {
        let Running {
            compress,
            encoder,
            mut charge,
            ..
        } = self;
        let Ok(body) = encoder.finish() else {
            return State::Off;
        };
        let coding = compress.coding();
        charge.give_back(Encoder::memory(coding));
        let compressed = Compressed {
            coding,
            body,
            length,
        };
        if compress.is_long_enough(length) && Compress::is_worth_it(length, compressed.bytes()) {
            State::Done {
                compressed,
                _charge: charge,
            }
        } else {
            State::Off
        }
    }
}

/// Whether a response with this header is compressed for the store, if it turns out to be long enough and worth it.
pub fn is_to_be_compressed(compress: &Compress, head: &ResponseHead) -> bool {
    // What nginx hides of it decides as well.
    let said = head.unsent.with(&head.headers);
    matches!(head.finding, Finding::Storable(_))
        && head.brought == Brought::Whole
        && compress.applies(head.status, &said, head.content_length)
}
