//! How a slice is put together of several answers, where the backend sends less than it was asked for, or is cut (RFC 9110
//! 15.3.7; RFC 9111 3.3, 3.4). All of them have the strong validator of the first: see [`super::further`].

use std::ops::Range;

use super::answer::Useful;
use super::object::Span;

/// Most requests for one slice. Each must have brought something before there is another.
pub const TURNS: u32 = 8;

/// What is done next for a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes are asked for.
    Ask(Span),
    /// All is there.
    Done,
    /// It has come to nothing: too many requests, or one that brought nothing.
    Failed,
}

/// A slice that is being fetched.
#[derive(Clone, Debug)]
pub struct Assembly {
    span: Span,
    /// Bytes that are there, from the first on,
    have: u64,
    /// so many when the last request began,
    began: u64,
    /// and so many at most when it ends: what its header has promised.
    promised: u64,
    /// Bytes of the answer that come before those that count.
    skip: u64,
    turns: u32,
}

impl Assembly {
    /// Nothing of it is there, and nothing is asked for.
    #[must_use]
    pub const fn new(span: Span) -> Self {
        Self {
            span,
            have: 0,
            began: 0,
            promised: 0,
            skip: 0,
            turns: 0,
        }
    }

    /// A slice whose first request has been made and answered with this to come.
    #[must_use]
    pub fn answered(span: Span, useful: Useful) -> Self {
        let mut assembly = Self::new(span);
        assembly.turns = 1;
        assembly.promise(useful);
        assembly
    }

    /// What is to be asked for first.
    pub const fn begin(&mut self) -> Next {
        self.ask()
    }

    /// The header of an answer has come, and is right: it brings this.
    pub fn promise(&mut self, useful: Useful) {
        self.skip = useful.skip;
        self.promised = self
            .have
            .saturating_add(useful.bytes)
            .min(self.span.length());
    }

    /// So many bytes have come. Gives which of them count: they come next in the slice.
    pub fn receive(&mut self, bytes: u64) -> Range<u64> {
        let skipped = bytes.min(self.skip);
        self.skip -= skipped;
        let counted = (bytes - skipped).min(self.promised - self.have);
        self.have += counted;
        skipped..skipped + counted
    }

    /// Whether all of it is there: what more comes of an answer is of no use.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.have == self.span.length()
    }

    /// The answer has ended, whole or not.
    pub const fn end(&mut self) -> Next {
        if self.is_done() {
            return Next::Done;
        }
        if self.have == self.began {
            return Next::Failed;
        }
        self.ask()
    }

    /// Bytes that are there, from the first on.
    #[must_use]
    pub const fn have(&self) -> u64 {
        self.have
    }

    /// Those that are missing. `None`: none are.
    #[must_use]
    pub const fn missing(&self) -> Option<Span> {
        Span::new(self.span.first + self.have, self.span.last)
    }

    const fn ask(&mut self) -> Next {
        if self.turns == TURNS {
            return Next::Failed;
        }
        self.turns += 1;
        self.began = self.have;
        self.promised = self.have;
        self.skip = 0;
        Next::Ask(Span {
            first: self.span.first + self.have,
            last: self.span.last,
        })
    }
}
