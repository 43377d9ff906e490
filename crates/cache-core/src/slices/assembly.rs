//! How a slice is put together of several answers, where the backend sends less than it was asked for, or is cut (RFC 9111
//! 3.3, 3.4).

use super::object::Span;

/// Most requests for one slice.
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
            turns: 0,
        }
    }

    /// The first slice of an object, whose request has been made and answered with `bytes` bytes to come.
    #[must_use]
    pub fn answered(span: Span, bytes: u64) -> Self {
        let mut assembly = Self::new(span);
        assembly.turns = 1;
        assembly.promise(bytes);
        assembly
    }

    /// What is to be asked for first.
    pub const fn begin(&mut self) -> Next {
        self.ask()
    }

    /// The header of an answer has come, and is right: it brings so many bytes.
    pub fn promise(&mut self, bytes: u64) {
        self.promised = self.have.saturating_add(bytes).min(self.span.length());
    }

    /// So many bytes have come. Gives how many of them count: no more than were promised.
    pub fn receive(&mut self, bytes: u64) -> u64 {
        let counted = bytes.min(self.promised - self.have);
        self.have += counted;
        counted
    }

    /// The answer has ended, whole or not.
    pub const fn end(&mut self) -> Next {
        if self.have == self.span.length() {
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

    const fn ask(&mut self) -> Next {
        if self.turns == TURNS {
            return Next::Failed;
        }
        self.turns += 1;
        self.began = self.have;
        self.promised = self.have;
        Next::Ask(Span {
            first: self.span.first + self.have,
            last: self.span.last,
        })
    }
}
