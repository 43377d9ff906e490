//! RESP2, the protocol of Redis, over byte slices: replies without copying their bodies, commands.

use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// One reply. Bytes share the buffer they were read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Status(Bytes),
    /// `-ERR ...`
    Error(Bytes),
    /// `:1`
    Integer(i64),
    /// `$3 abc`; `None` is `$-1`, nil.
    Bulk(Option<Bytes>),
    /// `*2 ...`; `None` is `*-1`, the nil of arrays.
    Array(Option<Vec<Reply>>),
}

/// A peer that doesn't speak RESP2, or says more than is sensible. The connection is of no further use:
/// where the next reply begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A reply begins with this byte.
    Type(u8),
    /// A line of text is longer than [`Limits::line`].
    LineTooLong,
    /// A line that doesn't end in CR LF, or a bulk that isn't followed by it.
    LineEnd,
    /// A number that is none, or too large for its purpose.
    Number,
    /// A bulk is longer than [`Limits::bulk`].
    BulkTooLong,
    /// A reply has more elements than [`Limits::elements`].
    TooManyElements,
    /// Arrays in arrays deeper than [`Limits::depth`].
    TooDeep,
}

impl ProtocolError {
    /// The fault as a phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Type(_) => "reply of unknown type",
            Self::LineTooLong => "line too long",
            Self::LineEnd => "missing line end",
            Self::Number => "invalid number",
            Self::BulkTooLong => "bulk too long",
            Self::TooManyElements => "too many elements",
            Self::TooDeep => "arrays nested too deep",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for ProtocolError {}

/// How much a reply may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a bulk. The default is what Redis itself allows.
    pub bulk: usize,
    /// Bytes of a line: a status, an error, a number.
    pub line: usize,
    /// Elements of all arrays of a reply together.
    pub elements: usize,
    /// Arrays in arrays.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bulk: 512 << 20,
            line: 64 << 10,
            elements: 1 << 20,
            depth: 8,
        }
    }
}

/// Takes replies from the front of a buffer that grows as bytes arrive.
///
/// Each byte is looked at once, however it is split: what is known of an unfinished reply is kept, parts
/// that are complete have left the buffer already, and an unfinished bulk costs a comparison per call.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    /// Arrays that are still open, the outermost first.
    open: Vec<OpenArray>,
    /// Elements announced by the arrays of this reply.
    elements: usize,
    /// Length of the bulk whose header has been read.
    bulk: Option<usize>,
    /// Bytes at the front of the buffer in which no line end was found.
    scanned: usize,
    missing: usize,
}

#[derive(Debug)]
struct OpenArray {
    missing: usize,
    elements: Vec<Reply>,
}

/// What the front of the buffer holds.
enum Step {
    /// A reply that has no parts, or the nil array, or an empty one.
    Complete(Reply),
    /// The header of something: its parts follow.
    Begun,
    /// Not enough.
    Incomplete,
}

impl Decoder {
    /// A decoder with its own limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes one whole reply from the front of `buf`. `Ok(None)` if it isn't all there: call again with
    /// more bytes appended to what this call left in `buf`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if this is no reply; the decoder and the buffer are then of no further use.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Reply>, ProtocolError> {
        loop {
            match self.step(buf)? {
                Step::Complete(reply) => {
                    if let Some(whole) = self.add(reply) {
                        self.elements = 0;
                        return Ok(Some(whole));
                    }
                }
                Step::Begun => {}
                Step::Incomplete => return Ok(None),
            }
        }
    }

    /// Bytes that are known to be missing from the buffer, at least, after [`Decoder::decode`] gave
    /// `Ok(None)`: room to reserve, so that a large bulk is read into one piece of memory. 0 between
    /// replies. It is what the peer announced, up to [`Limits::bulk`].
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Whether a reply has begun and isn't complete.
    #[must_use]
    pub fn is_midway(&self, buf: &BytesMut) -> bool {
        !self.open.is_empty() || self.bulk.is_some() || !buf.is_empty()
    }

    fn step(&mut self, buf: &mut BytesMut) -> Result<Step, ProtocolError> {
        if let Some(length) = self.bulk {
            return self.take_bulk(buf, length);
        }
        let Some(end) = self.find_line(buf)? else {
            return Ok(Step::Incomplete);
        };
        let (kind, number) = match buf.get(..=end).unwrap_or_default() {
            // A CR within a line would split what is logged of it, and no server sends one.
            [kind, text @ .., b'\r', b'\n'] if memchr::memchr(b'\r', text).is_none() => {
                (*kind, integer(text))
            }
            _ => return Err(ProtocolError::LineEnd),
        };
        if matches!(kind, b'+' | b'-') {
            let mut line = buf.split_to(end + 1).freeze();
            line.advance(1);
            line.truncate(end - 2);
            return Ok(Step::Complete(if kind == b'+' {
                Reply::Status(line)
            } else {
                Reply::Error(line)
            }));
        }
        buf.advance(end + 1);
        match kind {
            b':' => Ok(Step::Complete(Reply::Integer(number?))),
            b'$' => self.begin_bulk(number?),
            b'*' => self.begin_array(number?),
            other => Err(ProtocolError::Type(other)),
        }
    }

    /// Finds the LF of the line at the front of the buffer.
    fn find_line(&mut self, buf: &BytesMut) -> Result<Option<usize>, ProtocolError> {
        if let Some(&kind) = buf.first()
            && !b"+-:$*".contains(&kind)
        {
            return Err(ProtocolError::Type(kind));
        }
        let fresh = buf.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', fresh) else {
            self.scanned = buf.len();
            if self.scanned > self.limits.line {
                return Err(ProtocolError::LineTooLong);
            }
            let begun = !self.open.is_empty() || !buf.is_empty();
            self.missing = usize::from(begun);
            return Ok(None);
        };
        let end = self.scanned + found;
        self.scanned = 0;
        if end > self.limits.line {
            return Err(ProtocolError::LineTooLong);
        }
        Ok(Some(end))
    }

    fn begin_bulk(&mut self, number: i64) -> Result<Step, ProtocolError> {
        let Some(length) = length(number)? else {
            return Ok(Step::Complete(Reply::Bulk(None)));
        };
        if length > self.limits.bulk {
            return Err(ProtocolError::BulkTooLong);
        }
        self.bulk = Some(length);
        Ok(Step::Begun)
    }

    fn take_bulk(&mut self, buf: &mut BytesMut, length: usize) -> Result<Step, ProtocolError> {
        let whole = length.saturating_add(2);
        self.missing = whole.saturating_sub(buf.len());
        if self.missing > 0 {
            return Ok(Step::Incomplete);
        }
        let content = buf.split_to(length).freeze();
        if !buf.starts_with(b"\r\n") {
            return Err(ProtocolError::LineEnd);
        }
        buf.advance(2);
        self.bulk = None;
        Ok(Step::Complete(Reply::Bulk(Some(content))))
    }

    fn begin_array(&mut self, number: i64) -> Result<Step, ProtocolError> {
        // Room is made as elements arrive: a count is only what the peer says.
        const AT_ONCE: usize = 64;
        let Some(count) = length(number)? else {
            return Ok(Step::Complete(Reply::Array(None)));
        };
        self.elements = self.elements.saturating_add(count);
        if self.elements > self.limits.elements {
            return Err(ProtocolError::TooManyElements);
        }
        if self.open.len() >= self.limits.depth {
            return Err(ProtocolError::TooDeep);
        }
        if count == 0 {
            return Ok(Step::Complete(Reply::Array(Some(Vec::new()))));
        }
        self.open.push(OpenArray {
            missing: count,
            elements: Vec::with_capacity(count.min(AT_ONCE)),
        });
        Ok(Step::Begun)
    }

    /// Puts a complete reply into the array it belongs to; that may complete the array, and so on
    /// outwards. Gives back the outermost reply once it is whole.
    fn add(&mut self, reply: Reply) -> Option<Reply> {
        let mut reply = reply;
        while let Some(mut array) = self.open.pop() {
            array.elements.push(reply);
            array.missing = array.missing.saturating_sub(1);
            if array.missing > 0 {
                self.open.push(array);
                return None;
            }
            reply = Reply::Array(Some(array.elements));
        }
        self.missing = 0;
        Some(reply)
    }
}

/// A length or count: `None` for -1, which is nil.
fn length(number: i64) -> Result<Option<usize>, ProtocolError> {
    match number {
        -1 => Ok(None),
        value => usize::try_from(value)
            .map(Some)
            .map_err(|_| ProtocolError::Number),
    }
}

/// A number in decimal, with or without a sign.
fn integer(text: &[u8]) -> Result<i64, ProtocolError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(ProtocolError::Number);
    }
    // Downwards: there is one negative number more than positive ones.
    let number = digits.iter().try_fold(0_i64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_sub(i64::from(byte - b'0')),
        _ => None,
    });
    number
        .and_then(|number| {
            if negative {
                Some(number)
            } else {
                number.checked_neg()
            }
        })
        .ok_or(ProtocolError::Number)
}

/// Appends a command to `out`: an array of bulks.
pub fn command(out: &mut Vec<u8>, args: &[&[u8]]) {
    array_header(out, args.len());
    for arg in args {
        bulk_header(out, arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the head of a command of `count` arguments, each to follow as a bulk: for an argument that is
/// written from several pieces without joining them.
pub fn array_header(out: &mut Vec<u8>, count: usize) {
    header(out, b'*', count);
}

/// Appends the head of a bulk of `length` bytes; the bytes and CR LF are to follow.
pub fn bulk_header(out: &mut Vec<u8>, length: usize) {
    header(out, b'$', length);
}

fn header(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}
