//! What becomes of a fill's response beside its readers, and what its backend is to do: read on, wait, or stop.

use std::cell::{Cell, RefCell};
use std::rc::Weak;

use cache_core::flow::Ending;

/// How many bytes a response may be ahead of its slowest reader, once it isn't captured.
pub(super) const AHEAD: usize = 256 * 1024;

thread_local! {
    /// Bytes that the captures of this worker take.
    static CAPTURED: Cell<u64> = const { Cell::new(0) };

    /// What is done beside captures and gives way to them, the newest last.
    static BESIDE: RefCell<Vec<Weak<dyn GivesWay>>> = const { RefCell::new(Vec::new()) };
}

/// What takes of the worker's memory for captures, and can do without.
pub trait GivesWay {
    /// Gives up what it does and drops its [`Charge`], at once.
    fn give_way(&self);
}

/// Has something give way to captures from now on, as long as it is there.
pub fn give_way(beside: Weak<dyn GivesWay>) {
    BESIDE.with_borrow_mut(|all| {
        all.retain(|known| known.strong_count() > 0);
        all.push(beside);
    });
}

/// Bytes that the captures of this worker take.
pub(super) fn captured() -> u64 {
    CAPTURED.get()
}

/// Bytes that one capture, or what is made of it, takes of the worker's memory for captures. They are given back when it is
/// dropped.
#[derive(Default)]
pub struct Charge(usize);

impl Charge {
    /// Takes more bytes, unless all captures of the worker would take more than `most` then.
    pub(super) fn take(&mut self, bytes: usize, most: u64) -> bool {
        let all = CAPTURED.get() + bytes as u64;
        if all > most {
            return false;
        }
        CAPTURED.set(all);
        self.0 += bytes;
        true
    }

    /// The same for a capture: what is done beside captures is given up for it, the newest first.
    fn take_before_others(&mut self, bytes: usize, most: u64) -> bool {
        while !self.take(bytes, most) {
            let Some(newest) = BESIDE.with_borrow_mut(Vec::pop) else {
                return false;
            };
            if let Some(newest) = newest.upgrade() {
                newest.give_way();
            }
        }
        true
    }

    /// Gives so many bytes back.
    pub fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.0);
        self.0 -= bytes;
        CAPTURED.set(CAPTURED.get().saturating_sub(bytes as u64));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        CAPTURED.set(CAPTURED.get().saturating_sub(self.0 as u64));
    }
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

/// What becomes of the response beside its readers.
pub(super) enum Phase {
    /// All of it is kept, for the store and for those who join.
    Capturing(Charge),
    /// It is for its readers alone.
    Passing(Passing),
    /// No more comes.
    Ended(Ended),
}

/// A response that isn't captured, or isn't any more.
#[derive(Default)]
pub(super) struct Passing {
    /// Why its capture was given up, if it was.
    pub(super) given_up: Option<Ending>,
    /// Bytes that the capture took, until somebody asks.
    surplus: usize,
    /// Whether the backend waits for the slowest reader.
    blocked: bool,
}

/// A response of which no more comes.
pub(super) struct Ended {
    /// How it ended.
    pub(super) ending: Ending,
    /// Why its capture was given up, if it was.
    pub(super) given_up: Option<Ending>,
    /// What the capture takes, while all of it is still kept.
    kept: Option<Charge>,
    /// As in [`Passing`].
    surplus: usize,
}

impl Phase {
    /// A piece of the body has come, with which it has `total` bytes. It is captured as long as it has no more than
    /// `max_size` bytes, and all captures of the worker no more than `memory`.
    pub(super) fn grow(&mut self, bytes: usize, total: u64, max_size: u64, memory: u64) {
        let Phase::Capturing(charge) = self else {
            return;
        };
        if total > max_size {
            self.give_up(Ending::TooLarge);
        } else if !charge.take_before_others(bytes, memory) {
            self.give_up(Ending::NoRoom);
        }
    }

    /// It isn't captured any more. False if it wasn't before.
    pub(super) fn give_up(&mut self, why: Ending) -> bool {
        let Phase::Capturing(charge) = self else {
            return false;
        };
        *self = Phase::Passing(Passing {
            given_up: Some(why),
            surplus: charge.0,
            blocked: false,
        });
        true
    }

    /// It isn't to be captured, or all is done with it that was to be done: what remains is for its readers.
    pub(super) fn release(&mut self) {
        match self {
            Phase::Capturing(_) => *self = Phase::Passing(Passing::default()),
            Phase::Passing(_) => {}
            Phase::Ended(ended) => ended.kept = None,
        }
    }

    /// No more comes. What was captured is kept if that is `worth_keeping`. False if it had ended before.
    pub(super) fn end(&mut self, ending: Ending, worth_keeping: bool) -> bool {
        let (given_up, surplus, kept) = match self {
            Phase::Capturing(charge) => {
                let charge = std::mem::take(charge);
                (None, 0, worth_keeping.then_some(charge))
            }
            Phase::Passing(passing) => (passing.given_up, passing.surplus, None),
            Phase::Ended(_) => return false,
        };
        *self = Phase::Ended(Ended {
            ending,
            given_up,
            kept,
            surplus,
        });
        true
    }

    /// How it has ended.
    pub(super) fn ending(&self) -> Option<Ending> {
        match self {
            Phase::Ended(ended) => Some(ended.ending),
            Phase::Capturing(_) | Phase::Passing(_) => None,
        }
    }

    /// Whether all of it that has come is kept.
    pub(super) fn keeps_all(&self) -> bool {
        match self {
            Phase::Capturing(_) => true,
            Phase::Passing(_) => false,
            Phase::Ended(ended) => ended.kept.is_some(),
        }
    }

    /// Bytes that a capture took that was given up; then 0.
    pub(super) fn take_surplus(&mut self) -> usize {
        match self {
            Phase::Capturing(_) => 0,
            Phase::Passing(passing) => std::mem::take(&mut passing.surplus),
            Phase::Ended(ended) => std::mem::take(&mut ended.surplus),
        }
    }

    /// The slowest reader is so many bytes behind: the backend waits if that is too much.
    pub(super) fn block(&mut self, behind: usize) {
        if let Phase::Passing(passing) = self {
            passing.blocked = behind >= AHEAD;
        }
    }

    /// Whether the backend waits for the slowest reader.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(self, Phase::Passing(passing) if passing.blocked)
    }

    /// Whether the rest is for nobody, with so many readers.
    pub(super) fn is_unwanted(&self, readers: usize) -> bool {
        matches!(self, Phase::Passing(_)) && readers == 0
    }

    /// What the backend is to do now, with so many readers of which the slowest is so many bytes behind.
    pub(super) fn demand(&mut self, readers: usize, behind: usize) -> Demand {
        match self {
            Phase::Passing(_) if readers == 0 => Demand::Abort,
            Phase::Passing(passing) if passing.blocked && behind < AHEAD / 2 => {
                passing.blocked = false;
                Demand::Resume
            }
            Phase::Capturing(_) | Phase::Passing(_) | Phase::Ended(_) => Demand::Nothing,
        }
    }
}
