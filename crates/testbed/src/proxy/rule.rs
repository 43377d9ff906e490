//! What a proxy makes of the bytes that pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::backend::Gate;

/// Bytes that came from one side.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The bytes, as many as came at once.
    pub bytes: &'a [u8],
    /// How many came before them on this connection, in this direction.
    pub before: usize,
}

/// What to do, in turn, where a piece has come.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes on, in one write.
    Send(Vec<u8>),
    /// Does nothing for so long.
    Wait(Duration),
    /// Does nothing until the gate is open.
    Hold(Gate),
    /// Ends the connection on both sides.
    Close,
    /// Resets the connection on both sides.
    Reset,
}

type Function = dyn Fn(&Piece<'_>) -> Vec<Step> + Send + Sync;

/// A rule for one direction: from a piece to the steps that stand for it.
#[derive(Clone)]
pub struct Rule(pub(super) Arc<Function>);

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rule")
    }
}

impl Default for Rule {
    fn default() -> Rule {
        Rule::pass()
    }
}

impl Rule {
    /// A rule of the test's own.
    #[must_use]
    pub fn new(rule: impl Fn(&Piece<'_>) -> Vec<Step> + Send + Sync + 'static) -> Rule {
        Rule(Arc::new(rule))
    }

    /// Everything goes on as it came.
    #[must_use]
    pub fn pass() -> Rule {
        Rule::new(|piece| vec![Step::Send(piece.bytes.to_vec())])
    }

    /// Everything goes on after this long.
    #[must_use]
    pub fn delay(time: Duration) -> Rule {
        Rule::new(move |piece| vec![Step::Wait(time), Step::Send(piece.bytes.to_vec())])
    }

    /// Nothing goes on until the gate is open.
    #[must_use]
    pub fn hold(gate: &Gate) -> Rule {
        let gate = gate.clone();
        Rule::new(move |piece| vec![Step::Hold(gate.clone()), Step::Send(piece.bytes.to_vec())])
    }

    /// Goes on in writes of `size` bytes with a pause after each.
    #[must_use]
    pub fn trickle(size: usize, pause: Duration) -> Rule {
        Rule::new(move |piece| {
            let parts = piece.bytes.chunks(size);
            parts
                .flat_map(|part| [Step::Send(part.to_vec()), Step::Wait(pause)])
                .collect()
        })
    }

    /// Each piece goes on in two writes: `at` bytes, then after `pause` the rest.
    #[must_use]
    pub fn split(at: usize, pause: Duration) -> Rule {
        Rule::new(move |piece| {
            let (first, rest) = piece.bytes.split_at(at.min(piece.bytes.len()));
            vec![
                Step::Send(first.to_vec()),
                Step::Wait(pause),
                Step::Send(rest.to_vec()),
            ]
        })
    }

    /// Once: after `bytes` more bytes (of all connections together) that connection ends. Then everything passes.
    #[must_use]
    pub fn cut_once(bytes: usize) -> Rule {
        Rule::end_once(bytes, Step::Close)
    }

    /// Once: after `bytes` more bytes (of all connections together) that connection is reset. Then everything passes.
    #[must_use]
    pub fn reset_once(bytes: usize) -> Rule {
        Rule::end_once(bytes, Step::Reset)
    }

    fn end_once(bytes: usize, end: Step) -> Rule {
        let (left, done) = (AtomicUsize::new(bytes), AtomicBool::new(false));
        Rule::new(move |piece| {
            let now = left.load(Ordering::SeqCst);
            if done.load(Ordering::SeqCst) || piece.bytes.len() < now {
                left.store(now.saturating_sub(piece.bytes.len()), Ordering::SeqCst);
                return vec![Step::Send(piece.bytes.to_vec())];
            }
            done.store(true, Ordering::SeqCst);
            vec![Step::Send(piece.bytes[..now].to_vec()), end.clone()]
        })
    }

    /// Every connection ends after `bytes` bytes of a piece.
    #[must_use]
    pub fn cut_each(bytes: usize) -> Rule {
        Rule::new(move |piece| {
            let bytes = bytes.min(piece.bytes.len());
            vec![Step::Send(piece.bytes[..bytes].to_vec()), Step::Close]
        })
    }

    /// These bytes go on instead of those that came.
    #[must_use]
    pub fn replace(bytes: impl Into<Vec<u8>>) -> Rule {
        let bytes = bytes.into();
        Rule::new(move |_| vec![Step::Send(bytes.clone())])
    }

    /// What the function makes of the bytes goes on.
    #[must_use]
    pub fn change(change: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Rule {
        Rule::new(move |piece| vec![Step::Send(change(piece.bytes))])
    }
}
