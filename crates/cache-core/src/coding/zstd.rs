//! Bodies in zstd (RFC 8878), by libzstd.

use zstd_safe::zstd_sys::{ZSTD_EndDirective as End, ZSTD_ErrorCode as Fault};
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer};

use super::{NotDecoded, NotEncoded, Step};

/// The level, unless the directive says otherwise: libzstd's own.
pub(super) const LEVEL: u8 = 3;

/// The highest level. It takes 1 to 2 ms for a block, in which other requests have to wait; higher ones take 5 to 20 ms and save 2 to 4 %.
pub(super) const MOST_LEVEL: u8 = 12;

/// The window, as a power of two in bytes: that much of the body is kept by both who compress and who decode it. Twice of it would save
/// 1 to 2 %, and take 0.6 MB of each who decodes. What names a larger one isn't decoded.
const WINDOW_LOG: u32 = 16;

/// Powers of two of what libzstd remembers of a window to find in it what comes again. It would have up to 2^23.
const TABLE_LOG: u32 = WINDOW_LOG + 1;

/// The level from which on libzstd would have larger ones, if the length of the body isn't known.
const LARGE_TABLES: u8 = 4;

/// Bytes of the body that are compressed at once. libzstd would do so with 128 kB, which saves 1 to 3 %, but takes eight times as long.
const BLOCK: usize = 16 << 10;

/// Bytes that a [`Compressor`] takes at most, at any level.
pub(super) const COMPRESSOR: usize = 1488 << 10;

/// Bytes that a [`Decompressor`] takes at most.
pub(super) const DECOMPRESSOR: usize = 352 << 10;

/// Bytes that one takes for a frame that fits into one piece and says its length: libzstd needs no window beside it.
pub(super) const DECOMPRESSOR_OF_SHORT: usize = 96 << 10;

/// What each frame begins with (RFC 8878 3.1.1).
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Least bytes of a frame with a checksum (RFC 8878 3.1.1): magic, its descriptor, one byte of window or length, the head of a block, and the sum.
const LEAST: usize = 4 + 1 + 1 + 3 + 4;

pub(super) struct Compressor {
    context: CCtx<'static>,
    /// Bytes of the block that is being filled.
    filled: usize,
}

impl Compressor {
    pub(super) fn new(level: u8, length: Option<u64>) -> Result<Self, NotEncoded> {
        let mut context = CCtx::try_create().ok_or(NotEncoded)?;
        let mut parameters = vec![
            CParameter::CompressionLevel(i32::from(level)),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChecksumFlag(true),
        ];
        if level >= LARGE_TABLES {
            parameters.push(CParameter::HashLog(TABLE_LOG));
            parameters.push(CParameter::ChainLog(TABLE_LOG));
        }
        for parameter in parameters {
            context.set_parameter(parameter).map_err(|_| NotEncoded)?;
        }
        context
            .set_pledged_src_size(length)
            .map_err(|_| NotEncoded)?;
        Ok(Self { context, filled: 0 })
    }

    pub(super) fn in_use(&self) -> usize {
        self.context.sizeof()
    }

    /// Compresses as much as there is room for.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        ends: bool,
    ) -> Result<Step, NotEncoded> {
        let room = BLOCK - self.filled;
        let part = input.get(..room).unwrap_or(input);
        let what = if ends {
            End::ZSTD_e_end
        } else if part.len() == room {
            End::ZSTD_e_flush
        } else {
            End::ZSTD_e_continue
        };
        let mut from = InBuffer::around(part);
        let before = output.len();
        let mut to = OutBuffer::around_pos(output, before);
        let left = self
            .context
            .compress_stream2(&mut to, &mut from, what)
            .map_err(|_| NotEncoded)?;
        let taken = from.pos();
        self.filled += taken;
        if what == End::ZSTD_e_flush && left == 0 {
            self.filled = 0;
        }
        Ok(Step {
            taken,
            ended: ends && left == 0,
        })
    }
}

pub(super) struct Decompressor(DCtx<'static>);

impl Decompressor {
    pub(super) fn new() -> Result<Self, NotDecoded> {
        let mut context = DCtx::try_create().ok_or(NotDecoded::NoMemory)?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(fault)?;
        Ok(Self(context))
    }

    pub(super) fn in_use(&self) -> usize {
        self.0.sizeof()
    }

    /// Decodes as much as there is room for. It ends with the first frame.
    pub(super) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Step, NotDecoded> {
        let mut from = InBuffer::around(input);
        let before = output.len();
        let mut to = OutBuffer::around_pos(output, before);
        let hint = self
            .0
            .decompress_stream(&mut to, &mut from)
            .map_err(fault)?;
        Ok(Step {
            taken: from.pos(),
            ended: hint == 0,
        })
    }
}

/// What an error of libzstd means. Its functions give it as a negative size.
fn fault(code: ErrorCode) -> NotDecoded {
    if code.wrapping_neg() == Fault::ZSTD_error_memory_allocation as usize {
        NotDecoded::NoMemory
    } else {
        NotDecoded::Corrupt
    }
}

/// Whether a body in one piece may be zstd of so many bytes, by its first ones (RFC 8878 3.1.1.1).
pub(super) fn is_plausible(body: &[u8], length: u64) -> bool {
    let says = zstd_safe::get_frame_content_size(body);
    body.len() >= LEAST
        && body.starts_with(&MAGIC)
        && says.is_ok_and(|says| says.is_none_or(|says| says == length))
}
