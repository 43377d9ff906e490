//! What a client's response looks like: status, header and, in order, each byte of its body (RFC 9110 15.3.7, 15.5.17).

use super::asked::Asked;
use super::object::{Sliced, Span};

/// A response from an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    status: u16,
    length: u64,
    content_type: Option<Vec<u8>>,
    content_range: Option<Vec<u8>>,
    segments: Vec<Segment>,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// What stands before, between and behind the parts of a multipart response.
    Text(Vec<u8>),
    /// Bytes of the object.
    Bytes(Span),
}

impl Segment {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Bytes(span) => span.length(),
        }
    }
}

impl Layout {
    /// The response to a client that has asked so: see [`Asked::each_slice_once`]. `content_type`: that of the object, if it
    /// has one. `boundary`: of a multipart response, a text of 1 to 70 letters and digits (RFC 2046 5.1.1) that chance has
    /// made, so that nobody can put it into an object.
    #[must_use]
    pub fn new(
        object: Sliced,
        asked: &Asked,
        content_type: Option<&[u8]>,
        boundary: &[u8],
    ) -> Self {
        let total = object.total();
        match &asked.each_slice_once(object) {
            Asked::Whole => Self::of(200, None, None, vec![Segment::Bytes(object.all())]),
            Asked::Nothing => {
                let range = format!("bytes */{total}").into_bytes();
                Self::of(416, None, Some(range), Vec::new())
            }
            Asked::Spans(spans) => match spans.as_slice() {
                // 15.3.7.2: a single range isn't answered with multipart.
                [span] => {
                    let range = content_range(*span, total);
                    Self::of(206, None, Some(range), vec![Segment::Bytes(*span)])
                }
                spans => {
                    let kind = [b"multipart/byteranges; boundary=", boundary].concat();
                    let segments = multipart(spans, total, content_type, boundary);
                    Self::of(206, Some(kind), None, segments)
                }
            },
        }
    }

    fn of(
        status: u16,
        content_type: Option<Vec<u8>>,
        content_range: Option<Vec<u8>>,
        segments: Vec<Segment>,
    ) -> Self {
        Self {
            status,
            length: segments
                .iter()
                .fold(0, |sum: u64, segment| sum.saturating_add(segment.length())),
            content_type,
            content_range,
            segments,
        }
    }

    /// 200, 206 or 416.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Content-Length.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The Content-Type of a multipart response; any other has that of the object.
    #[must_use]
    pub fn content_type(&self) -> Option<&[u8]> {
        self.content_type.as_deref()
    }

    /// Content-Range. A multipart response has none in its header (15.3.7.2).
    #[must_use]
    pub fn content_range(&self) -> Option<&[u8]> {
        self.content_range.as_deref()
    }

    /// The slices that it needs, each once.
    pub fn slices(&self, object: Sliced) -> impl Iterator<Item = u64> {
        let mut last = None;
        self.segments
            .iter()
            .filter_map(move |segment| match segment {
                Segment::Bytes(Span { first, last }) => {
                    Some(object.slice_of(*first)..=object.slice_of(*last))
                }
                Segment::Text(_) => None,
            })
            .flatten()
            .filter(move |slice| last.replace(*slice) != Some(*slice))
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

fn content_range(span: Span, total: u64) -> Vec<u8> {
    format!("bytes {}-{}/{total}", span.first, span.last).into_bytes()
}

/// The parts with their header lines, as nginx writes them.
fn multipart(
    spans: &[Span],
    total: u64,
    content_type: Option<&[u8]>,
    boundary: &[u8],
) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(spans.len() * 2 + 1);
    for span in spans {
        let mut text = [b"\r\n--", boundary, b"\r\n"].concat();
        if let Some(kind) = content_type {
            text.extend_from_slice(b"Content-Type: ");
            text.extend_from_slice(kind);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"Content-Range: ");
        text.extend_from_slice(&content_range(*span, total));
        text.extend_from_slice(b"\r\n\r\n");
        segments.push(Segment::Text(text));
        segments.push(Segment::Bytes(*span));
    }
    let end = [b"\r\n--", boundary, b"--\r\n"].concat();
    segments.push(Segment::Text(end));
    segments
}
