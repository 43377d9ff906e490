//! Bodies in gzip (RFC 1952), made and read piece by piece, so that neither takes long at a time or much memory.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Bytes of a piece that is made.
const PIECE: usize = 32 << 10;

/// zlib's largest window: 2^15 bytes.
const WINDOW_BITS: u8 = 15;

/// Least bytes of a gzip: header, an empty block, and trailer (RFC 1952 2.3).
const LEAST: usize = 20;

/// It isn't gzip, is cut, has something behind its end, or inflates to another length than is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("compressed body is corrupt")
    }
}

impl Error for Corrupt {}

/// Compresses a body.
pub struct Deflater {
    deflate: Compress,
    /// What is full.
    pieces: Vec<Bytes>,
    /// What is being filled.
    open: Vec<u8>,
}

impl Deflater {
    /// Bytes that it takes at most beside what it has made: 380,032 of zlib-rs at any level, and a piece.
    pub const MEMORY: usize = (372 << 10) + PIECE;

    /// For one body, at this level of zlib, 1 to 9. It takes [`Deflater::MEMORY`].
    #[must_use]
    pub fn new(level: u32) -> Self {
        Self {
            deflate: Compress::new_gzip(Compression::new(level), WINDOW_BITS),
            pieces: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    ///
    /// zlib has no memory.
    pub fn push(&mut self, mut input: &[u8]) -> Result<(), Corrupt> {
        while !input.is_empty() {
            let taken = self.step(input, FlushCompress::None)?.0;
            input = input.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the body, and gives the compressed one in pieces.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn finish(mut self) -> Result<Vec<Bytes>, Corrupt> {
        while self.step(&[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        if !self.open.is_empty() {
            self.open.shrink_to_fit();
            self.pieces.push(self.open.into());
        }
        Ok(self.pieces)
    }

    /// Bytes that were made so far.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.deflate.total_out()
    }

    /// Compresses as much as there is room for. Gives how many bytes were taken.
    fn step(&mut self, input: &[u8], flush: FlushCompress) -> Result<(usize, Status), Corrupt> {
        if self.open.len() == self.open.capacity() {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(PIECE));
            if !full.is_empty() {
                self.pieces.push(full.into());
            }
        }
        let before = self.deflate.total_in();
        let status = self.deflate.compress_vec(input, &mut self.open, flush);
        let status = status.map_err(|_| Corrupt)?;
        let taken = usize::try_from(self.deflate.total_in() - before).map_err(|_| Corrupt)?;
        // With room it takes something, or makes something.
        if taken == 0 && status == Status::BufError && self.open.len() < self.open.capacity() {
            return Err(Corrupt);
        }
        Ok((taken, status))
    }
}

/// Inflates a body, piece by piece. It takes 48 kB (47,552 bytes of zlib-rs) and what is given out.
pub struct Inflater {
    inflate: Decompress,
    input: VecDeque<Bytes>,
    /// Bytes that are still to come.
    left: u64,
    /// Whether all has come, and its sum is right.
    ended: bool,
}

impl Inflater {
    /// For a body in these pieces, which inflates to `length` bytes: no more are ever made of it.
    #[must_use]
    pub fn new(pieces: impl IntoIterator<Item = Bytes>, length: u64) -> Self {
        Self {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            input: pieces.into_iter().collect(),
            left: length,
            ended: false,
        }
    }

    /// The next bytes of the body, at most 32 kB. `None` behind the last. The last ones are given out only if the sum of
    /// all is right.
    ///
    /// # Errors
    ///
    /// [`Corrupt`]: what came before isn't the body.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, Corrupt> {
        let room = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = Vec::with_capacity(room);
        while piece.len() < room {
            self.step(&mut piece)?;
            if self.ended && piece.len() < room {
                return Err(Corrupt);
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
        self.ended
    }

    /// Reads the end: nothing more must come.
    fn end(&mut self) -> Result<(), Corrupt> {
        let mut surplus = Vec::with_capacity(1);
        while !self.ended {
            self.step(&mut surplus)?;
            if !surplus.is_empty() {
                return Err(Corrupt);
            }
        }
        if self.input.iter().all(Bytes::is_empty) {
            Ok(())
        } else {
            Err(Corrupt)
        }
    }

    /// Inflates some of the first piece of input into the room that there is.
    fn step(&mut self, output: &mut Vec<u8>) -> Result<(), Corrupt> {
        let input = self.input.front().map_or(&[][..], |piece| piece);
        let (read, made, given) = (self.inflate.total_in(), output.len(), input.len());
        let status = self
            .inflate
            .decompress_vec(input, output, FlushDecompress::None);
        let status = status.map_err(|_| Corrupt)?;
        let taken = usize::try_from(self.inflate.total_in() - read).map_err(|_| Corrupt)?;
        self.ended = status == Status::StreamEnd;
        let is_stuck = taken == 0 && output.len() == made && !self.ended;
        if let Some(piece) = self.input.front_mut() {
            piece.advance(taken.min(given));
            if piece.is_empty() {
                self.input.pop_front();
                return Ok(());
            }
        }
        if is_stuck { Err(Corrupt) } else { Ok(()) }
    }
}

/// Whether a body in one piece may be gzip of so many bytes, by its first and its last ones (RFC 1952 2.3): a look at each record, where
/// it is read.
#[must_use]
pub fn is_plausible(body: &[u8], length: u64) -> bool {
    // Magic, deflate, no optional fields.
    let begins = body.starts_with(&[0x1f, 0x8b, 8, 0]);
    let size = body.last_chunk().map(|size| u32::from_le_bytes(*size));
    let modulo = u32::try_from(length & u64::from(u32::MAX)).ok();
    begins && body.len() >= LEAST && size.is_some() && size == modulo
}
