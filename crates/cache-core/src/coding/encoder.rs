//! Compresses a body piece by piece, so that it takes neither long at a time nor much memory.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use super::{ContentCoding, PIECE, Step, gzip, zstd};

/// Bytes from which on it doesn't matter whether the length of a body is known before: see [`Encoder::new`].
pub const KNOWN_LENGTH: u64 = 64 << 10;

/// A body can't be compressed: the library has no memory, or the body hasn't the length that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEncoded;

impl fmt::Display for NotEncoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("body can't be compressed")
    }
}

impl Error for NotEncoded {}

/// Compresses one body.
pub struct Encoder {
    codec: Codec,
    /// What is full.
    pieces: Vec<Bytes>,
    /// What is being filled.
    open: Vec<u8>,
    /// Bytes in both.
    made: u64,
}

enum Codec {
    Gzip(Box<gzip::Compressor>),
    Zstd(zstd::Compressor),
}

impl Encoder {
    /// Bytes that it takes at most beside what it has made.
    #[must_use]
    pub fn memory(coding: ContentCoding) -> usize {
        PIECE
            + match coding {
                ContentCoding::Gzip => gzip::COMPRESSOR,
                ContentCoding::Zstd => zstd::COMPRESSOR,
            }
    }

    /// For a body, at this level: see [`ContentCoding::most_level`]. `length`: bytes of the body, if they are known. With
    /// them a short body in zstd takes less memory where it is decoded; gzip doesn't use them.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub fn new(coding: ContentCoding, level: u8, length: Option<u64>) -> Result<Self, NotEncoded> {
        Ok(Self {
            codec: match coding {
                ContentCoding::Gzip => Codec::Gzip(Box::new(gzip::Compressor::new(level))),
                ContentCoding::Zstd => Codec::Zstd(zstd::Compressor::new(level, length)?),
            },
            pieces: Vec::new(),
            open: Vec::new(),
            made: 0,
        })
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    ///
    /// [`NotEncoded`]: the body is to be stored as it is.
    pub fn push(&mut self, mut input: &[u8]) -> Result<(), NotEncoded> {
        while !input.is_empty() {
            let taken = self.step(input, false)?.taken;
            input = input.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the body, and gives the compressed one in pieces of at most 32 kB.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn finish(mut self) -> Result<Vec<Bytes>, NotEncoded> {
        while !self.step(&[], true)?.ended {}
        if !self.open.is_empty() {
            self.open.shrink_to_fit();
            self.pieces.push(self.open.into());
        }
        Ok(self.pieces)
    }

    /// Bytes that were made so far.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Bytes that the library takes now. zlib-rs doesn't say: at most so many.
    #[must_use]
    pub fn in_use(&self) -> usize {
        match &self.codec {
            Codec::Gzip(_) => gzip::COMPRESSOR,
            Codec::Zstd(codec) => codec.in_use(),
        }
    }

    /// Compresses as much as there is room for.
    fn step(&mut self, input: &[u8], ends: bool) -> Result<Step, NotEncoded> {
        if self.open.len() == self.open.capacity() {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(PIECE));
            if !full.is_empty() {
                self.pieces.push(full.into());
            }
        }
        let before = self.open.len();
        let step = match &mut self.codec {
            Codec::Gzip(codec) => codec.step(input, &mut self.open, ends)?,
            Codec::Zstd(codec) => codec.step(input, &mut self.open, ends)?,
        };
        let made = self.open.len() - before;
        self.made += made as u64;
        // With room it takes something, or makes something.
        let has_room = self.open.len() < self.open.capacity();
        if step.taken == 0 && made == 0 && !step.ended && has_room {
            return Err(NotEncoded);
        }
        Ok(step)
    }
}
