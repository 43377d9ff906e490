//! Replies and pushes from bytes as they arrive.

use bytes::{Buf, Bytes, BytesMut};

use super::error::ProtocolError;
use super::header::{Aggregate, Blob, Header, is_kind};
use super::limits::Limits;
use super::number::{is_big_number, is_double, line_of_number};
use super::reply::{Push, Received, Reply};

/// Takes replies from the front of a buffer that grows as bytes arrive. It reads RESP2 and RESP3.
///
/// Each byte is looked at once, however it is split: what is known of an unfinished reply is kept, parts
/// that are complete have left the buffer already, and an unfinished bulk costs a comparison per call.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    push_limits: Limits,
    /// Arrays that are still open, the outermost first.
    open: Vec<Open>,
    /// Elements announced by the arrays of this reply.
    elements: usize,
    /// The bulk whose header has been read.
    bulk: Option<(Blob, usize)>,
    /// Bytes at the front of the buffer in which no line end was found.
    scanned: usize,
    missing: usize,
    /// Whether a push is under way.
    pushing: bool,
    /// Whether attributes of the reply have been read, and nothing of the reply itself.
    attributed: bool,
    /// What is to be given back now.
    whole: Option<Received>,
}

/// An aggregate whose elements aren't all there.
#[derive(Debug)]
struct Open {
    kind: Aggregate,
    missing: usize,
    elements: Vec<Reply>,
}

/// What became of the front of the buffer. Replies go where they belong at once: to hand each part of one up through
/// results would cost more than to read it.
enum Step {
    /// [`Decoder::whole`] is filled.
    Whole,
    /// A part of a reply, or of its attributes.
    Part,
    /// Not enough.
    Incomplete,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder with limits for its replies. Those of pushes are [`Limits::PUSH`].
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            push_limits: Limits::PUSH,
            open: Vec::new(),
            elements: 0,
            bulk: None,
            scanned: 0,
            missing: 0,
            pushing: false,
            attributed: false,
            whole: None,
        }
    }

    /// Sets the limits of the reply that is read now or next: those of the oldest command that is owed a reply. A
    /// connection calls this before [`Decoder::receive`] whenever another command has become the oldest.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sets the limits of pushes.
    pub const fn set_push_limits(&mut self, limits: Limits) {
        self.push_limits = limits;
    }

    /// Takes one whole reply or push from the front of `buf`. `Ok(None)` if it isn't all there: call again with
    /// more bytes appended to what this call left in `buf`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if this is no reply; the decoder and the buffer are then of no further use.
    pub fn receive(&mut self, buf: &mut BytesMut) -> Result<Option<Received>, ProtocolError> {
        loop {
            match self.step(buf)? {
                Step::Whole => {
                    self.reset();
                    return Ok(self.whole.take());
                }
                Step::Part => {}
                Step::Incomplete => return Ok(None),
            }
        }
    }

    /// The next reply or push begins.
    fn reset(&mut self) {
        self.elements = 0;
        self.missing = 0;
        self.pushing = false;
        self.attributed = false;
    }

    /// As [`Decoder::receive`], for a connection that has asked for no pushes: those that come are skipped.
    ///
    /// # Errors
    ///
    /// As [`Decoder::receive`].
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Reply>, ProtocolError> {
        loop {
            match self.receive(buf)? {
                Some(Received::Reply(reply)) => return Ok(Some(reply)),
                Some(Received::Push(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Bytes that are known to be missing from the buffer, at least, after [`Decoder::receive`] gave
    /// `Ok(None)`: room to reserve, so that a large bulk is read into one piece of memory. 0 between
    /// replies. It is what the peer announced, up to [`Limits::bulk`].
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Whether a reply or a push has begun and isn't complete.
    #[must_use]
    pub fn is_midway(&self, buf: &BytesMut) -> bool {
        self.has_begun() || self.bulk.is_some() || !buf.is_empty()
    }

    fn has_begun(&self) -> bool {
        !self.open.is_empty() || self.attributed
    }

    const fn limits(&self) -> &Limits {
        if self.pushing {
            &self.push_limits
        } else {
            &self.limits
        }
    }

    fn step(&mut self, buf: &mut BytesMut) -> Result<Step, ProtocolError> {
        if let Some((kind, length)) = self.bulk {
            return self.take_blob(buf, kind, length);
        }
        // Most lines are a number, and there at once.
        if self.scanned == 0
            && let Some((kind, number, end)) = line_of_number(buf)
            && end <= self.limits().line
            && let Some(header) = Header::of_number(kind, number)?
        {
            buf.advance(end + 1);
            return self.begin(buf, header);
        }
        let Some(end) = self.find_line(buf)? else {
            return Ok(Step::Incomplete);
        };
        let (kind, text) = match buf.get(..=end).unwrap_or_default() {
            // A CR within a line would split what is logged of it, and no server sends one.
            [kind, text @ .., b'\r', b'\n'] if memchr::memchr(b'\r', text).is_none() => {
                (*kind, text)
            }
            _ => return Err(ProtocolError::LineEnd),
        };
        let reply = match kind {
            b'+' => Reply::Status(take_line(buf, end)),
            b'-' => Reply::Error(take_line(buf, end)),
            b',' if is_double(text) => Reply::Double(take_line(buf, end)),
            b'(' if is_big_number(text) => Reply::BigNumber(take_line(buf, end)),
            _ => {
                let header = Header::read(kind, text)?;
                buf.advance(end + 1);
                return self.begin(buf, header);
            }
        };
        Ok(self.add(reply))
    }

    /// Takes what a header announces, as far as it is there. The header has left the buffer.
    #[inline]
    fn begin(&mut self, buf: &mut BytesMut, header: Header) -> Result<Step, ProtocolError> {
        match header {
            Header::Reply(reply) => Ok(self.add(reply)),
            Header::Blob(kind, length) => self.begin_blob(buf, kind, length),
            Header::Aggregate(kind, count) => self.begin_aggregate(kind, count),
        }
    }

    /// Finds the LF of the line at the front of the buffer.
    fn find_line(&mut self, buf: &BytesMut) -> Result<Option<usize>, ProtocolError> {
        if let Some(&kind) = buf.first()
            && !is_kind(kind)
        {
            return Err(ProtocolError::Type(kind));
        }
        let fresh = buf.get(self.scanned..).unwrap_or_default();
        let found = if fresh.is_empty() {
            None
        } else {
            memchr::memchr(b'\n', fresh)
        };
        let Some(found) = found else {
            self.scanned = buf.len();
            if self.scanned > self.limits().line {
                return Err(ProtocolError::LineTooLong);
            }
            let begun = self.has_begun() || !buf.is_empty();
            self.missing = usize::from(begun);
            return Ok(None);
        };
        let end = self.scanned + found;
        self.scanned = 0;
        if end > self.limits().line {
            return Err(ProtocolError::LineTooLong);
        }
        Ok(Some(end))
    }

    fn begin_blob(
        &mut self,
        buf: &mut BytesMut,
        kind: Blob,
        length: usize,
    ) -> Result<Step, ProtocolError> {
        match kind {
            // It goes where the line of an error goes.
            Blob::Error if length > self.limits().line => return Err(ProtocolError::LineTooLong),
            Blob::Bulk | Blob::Verbatim if length > self.limits().bulk => {
                return Err(ProtocolError::BulkTooLong);
            }
            _ => {}
        }
        self.take_blob(buf, kind, length)
    }

    fn take_blob(
        &mut self,
        buf: &mut BytesMut,
        kind: Blob,
        length: usize,
    ) -> Result<Step, ProtocolError> {
        let whole = length.saturating_add(2);
        self.missing = whole.saturating_sub(buf.len());
        if self.missing > 0 {
            self.bulk = Some((kind, length));
            return Ok(Step::Incomplete);
        }
        let mut content = buf.split_to(length).freeze();
        if !buf.starts_with(b"\r\n") {
            return Err(ProtocolError::LineEnd);
        }
        buf.advance(2);
        self.bulk = None;
        let reply = match kind {
            Blob::Bulk => Reply::Bulk(Some(content)),
            Blob::Error => Reply::Error(one_line(content)),
            Blob::Verbatim => {
                if content.get(3) != Some(&b':') {
                    return Err(ProtocolError::Verbatim);
                }
                content.advance(4);
                Reply::Bulk(Some(content))
            }
        };
        Ok(self.add(reply))
    }

    fn begin_aggregate(&mut self, kind: Aggregate, count: usize) -> Result<Step, ProtocolError> {
        // Room is made as elements arrive: a count is only what the peer says.
        const AT_ONCE: usize = 64;
        if kind == Aggregate::Push {
            if !self.open.is_empty() {
                return Err(ProtocolError::Push);
            }
            self.pushing = true;
        }
        let missing = match kind {
            Aggregate::Array | Aggregate::Push => count,
            Aggregate::Map | Aggregate::Attribute => count.saturating_mul(2),
        };
        // Attributes count even if they are empty: they don't end a reply, so their number needs a bound, too.
        let counted = missing.max(usize::from(kind == Aggregate::Attribute));
        self.elements = self.elements.saturating_add(counted);
        if self.elements > self.limits().elements {
            return Err(ProtocolError::TooManyElements);
        }
        if self.open.len() >= self.limits().depth {
            return Err(ProtocolError::TooDeep);
        }
        if count > 0 {
            let room = match kind {
                Aggregate::Attribute => 0,
                _ => missing.min(AT_ONCE),
            };
            self.open.push(Open {
                kind,
                missing,
                elements: Vec::with_capacity(room),
            });
            return Ok(Step::Part);
        }
        Ok(match kind {
            Aggregate::Array => self.add(Reply::Array(Some(Vec::new()))),
            Aggregate::Map => self.add(Reply::Map(Vec::new())),
            Aggregate::Push => self.finish(Received::Push(Push(Vec::new()))),
            Aggregate::Attribute => {
                self.attributed = true;
                Step::Part
            }
        })
    }

    /// Puts a complete reply into the aggregate it belongs to; that may complete the aggregate, and so on
    /// outwards.
    fn add(&mut self, reply: Reply) -> Step {
        let mut reply = reply;
        while let Some(innermost) = self.open.last_mut() {
            innermost.missing = innermost.missing.saturating_sub(1);
            if innermost.kind != Aggregate::Attribute {
                innermost.elements.push(reply);
            }
            if innermost.missing > 0 {
                return Step::Part;
            }
            let Some(Open { kind, elements, .. }) = self.open.pop() else {
                return Step::Part;
            };
            reply = match kind {
                Aggregate::Array => Reply::Array(Some(elements)),
                Aggregate::Map => Reply::Map(elements),
                Aggregate::Push => return self.finish(Received::Push(Push(elements))),
                Aggregate::Attribute => {
                    self.attributed = true;
                    return Step::Part;
                }
            };
        }
        self.finish(Received::Reply(reply))
    }

    fn finish(&mut self, received: Received) -> Step {
        self.whole = Some(received);
        Step::Whole
    }
}

/// Takes the line that ends with the LF at `end`, without its first byte and its CR LF.
fn take_line(buf: &mut BytesMut, end: usize) -> Bytes {
    let mut line = buf.split_to(end.saturating_add(1)).freeze();
    line.advance(1);
    line.truncate(end.saturating_sub(2));
    line
}

/// A text in which line ends are blanks, so that it can be logged.
fn one_line(text: Bytes) -> Bytes {
    if memchr::memchr2(b'\r', b'\n', &text).is_none() {
        return text;
    }
    let blank = |byte: &u8| match byte {
        b'\r' | b'\n' => b' ',
        other => *other,
    };
    text.iter().map(blank).collect()
}
