//! Bodies in gzip (RFC 1952), by zlib-rs.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{NotDecoded, NotEncoded, Step};

/// The level, unless the directive says otherwise: a response is compressed once, and sent often.
pub(super) const LEVEL: u8 = 6;

/// The highest level.
pub(super) const MOST_LEVEL: u8 = 9;

/// Bytes that a [`Compressor`] takes at most: 380,032 of zlib-rs at any level.
pub(super) const COMPRESSOR: usize = 372 << 10;

/// Bytes that a [`Decompressor`] takes: 47,552 of zlib-rs.
pub(super) const DECOMPRESSOR: usize = 48 << 10;

/// zlib's largest window: 2^15 bytes.
const WINDOW_BITS: u8 = 15;

/// Least bytes of a gzip: header, an empty block, and trailer (RFC 1952 2.3).
const LEAST: usize = 20;

pub(super) struct Compressor(Compress);

impl Compressor {
    pub(super) fn new(level: u8) -> Self {
        let level = Compression::new(u32::from(level));
        Self(Compress::new_gzip(level, WINDOW_BITS))
    }

    /// Compresses as much as there is room for.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        ends: bool,
    ) -> Result<Step, NotEncoded> {
        let flush = if ends {
            FlushCompress::Finish
        } else {
            FlushCompress::None
        };
        let before = self.0.total_in();
        let status = self.0.compress_vec(input, output, flush);
        let status = status.map_err(|_| NotEncoded)?;
        let taken = usize::try_from(self.0.total_in() - before).map_err(|_| NotEncoded)?;
        Ok(Step {
            taken,
            ended: status == Status::StreamEnd,
        })
    }
}

pub(super) struct Decompressor(Decompress);

impl Decompressor {
    pub(super) fn new() -> Self {
        Self(Decompress::new_gzip(WINDOW_BITS))
    }

    /// Inflates as much as there is room for.
    pub(super) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Step, NotDecoded> {
        let before = self.0.total_in();
        let status = self
            .0
            .decompress_vec(input, output, FlushDecompress::None)
            .map_err(|_| NotDecoded::Corrupt)?;
        let taken = usize::try_from(self.0.total_in() - before).map_err(|_| NotDecoded::Corrupt)?;
        Ok(Step {
            taken,
            ended: status == Status::StreamEnd,
        })
    }
}

/// Whether a body in one piece may be gzip of so many bytes, by its first and its last ones (RFC 1952 2.3).
pub(super) fn is_plausible(body: &[u8], length: u64) -> bool {
    // Magic, deflate, no optional fields.
    let begins = body.starts_with(&[0x1f, 0x8b, 8, 0]);
    let size = body.last_chunk().map(|size| u32::from_le_bytes(*size));
    let modulo = u32::try_from(length & u64::from(u32::MAX)).ok();
    begins && body.len() >= LEAST && size.is_some() && size == modulo
}
