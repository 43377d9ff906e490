//! Decodes a body piece by piece, so that it takes neither long at a time nor much memory, whatever the body is.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes};

use super::{ContentCoding, PIECE, Step, gzip, zstd};

/// Why a body isn't decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecoded {
    /// It isn't in its coding, is cut, has something behind its end, or is another than is recorded.
    Corrupt,
    /// There is no memory to decode it. It may be a good one.
    NoMemory,
}

impl fmt::Display for NotDecoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "compressed body is corrupt",
            Self::NoMemory => "no memory to decode a body",
        })
    }
}

impl Error for NotDecoded {}

/// Decodes a body, piece by piece. Beside what is given out it takes 48 kB for gzip, and for zstd what [`Decoder::ZSTD`] and
/// [`Decoder::ZSTD_SHORT`] say.
pub struct Decoder {
    codec: Codec,
    input: VecDeque<Bytes>,
    /// Bytes that are still to come.
    left: u64,
    /// Whether all has come, and its sum is right.
    ended: bool,
}

enum Codec {
    Gzip(gzip::Decompressor),
    Zstd(zstd::Decompressor),
}

impl Decoder {
    /// Bytes that one for zstd takes at most.
    pub const ZSTD: usize = zstd::DECOMPRESSOR;

    /// Bytes that one takes for a body of at most 32 kB whose length was known when it was compressed.
    pub const ZSTD_SHORT: usize = zstd::DECOMPRESSOR_OF_SHORT;

    /// For a body in these pieces, which decodes to `length` bytes: no more are ever made of it.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub fn new(
        coding: ContentCoding,
        pieces: impl IntoIterator<Item = Bytes>,
        length: u64,
    ) -> Result<Self, NotDecoded> {
        Ok(Self {
            codec: match coding {
                ContentCoding::Gzip => Codec::Gzip(gzip::Decompressor::new()),
                ContentCoding::Zstd => Codec::Zstd(zstd::Decompressor::new()?),
            },
            input: pieces.into_iter().collect(),
            left: length,
            ended: false,
        })
    }

    /// The next bytes of the body, at most 32 kB. `None` behind the last. The last ones are given out only if the sum of
    /// all is right.
    ///
    /// # Errors
    ///
    /// [`NotDecoded`]: what came before isn't the body.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, NotDecoded> {
        let room = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = Vec::with_capacity(room);
        while piece.len() < room {
            self.step(&mut piece)?;
            if self.ended && piece.len() < room {
                return Err(NotDecoded::Corrupt);
            }
        }
        self.left -= piece.len() as u64;
        if self.left == 0 {
            self.end()?;
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }

    /// Whether all of it was given out.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.ended && self.left == 0
    }

    /// Bytes that the library takes now. zlib-rs doesn't say: at most so many.
    #[must_use]
    pub fn in_use(&self) -> usize {
        match &self.codec {
            Codec::Gzip(_) => gzip::DECOMPRESSOR,
            Codec::Zstd(codec) => codec.in_use(),
        }
    }

    /// Reads the end: nothing more must come.
    fn end(&mut self) -> Result<(), NotDecoded> {
        let mut surplus = Vec::with_capacity(1);
        while !self.ended {
            self.step(&mut surplus)?;
            if !surplus.is_empty() {
                return Err(NotDecoded::Corrupt);
            }
        }
        if self.input.iter().all(Bytes::is_empty) {
            Ok(())
        } else {
            Err(NotDecoded::Corrupt)
        }
    }

    /// Decodes some of the first piece of input into the room that there is.
    fn step(&mut self, output: &mut Vec<u8>) -> Result<(), NotDecoded> {
        let input = self.input.front().map_or(&[][..], |piece| piece);
        let (made, given) = (output.len(), input.len());
        let Step { taken, ended } = match &mut self.codec {
            Codec::Gzip(codec) => codec.step(input, output)?,
            Codec::Zstd(codec) => codec.step(input, output)?,
        };
        self.ended = ended;
        let is_stuck = taken == 0 && output.len() == made && !ended;
        if let Some(piece) = self.input.front_mut() {
            piece.advance(taken.min(given));
            if piece.is_empty() {
                self.input.pop_front();
                return Ok(());
            }
        }
        if is_stuck {
            Err(NotDecoded::Corrupt)
        } else {
            Ok(())
        }
    }
}
