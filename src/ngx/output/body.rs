//! A whole body of a response, as it lies in memory.

use bytes::Bytes;

use crate::ngx::memory;

/// A body, in one piece or in several. Clones share its bytes.
#[derive(Clone)]
pub struct Body {
    /// The first piece: most bodies have no other.
    first: Bytes,
    /// The pieces behind it.
    others: Vec<Bytes>,
    length: usize,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body {
            length: bytes.len(),
            first: bytes,
            others: Vec::new(),
        }
    }
}

impl Body {
    /// A body in these pieces.
    pub fn of(pieces: impl IntoIterator<Item = Bytes>) -> Body {
        let mut pieces = pieces.into_iter();
        let mut body = Body::from(pieces.next().unwrap_or_default());
        body.others = pieces.collect();
        body.length += body.others.iter().map(Bytes::len).sum::<usize>();
        body
    }

    /// Its bytes in all.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Its pieces, at least one.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// How many pieces there are.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// The same in one piece: several are copied. `None` if there is no memory.
    pub fn joined(self) -> Option<Body> {
        if self.others.is_empty() {
            return Some(self);
        }
        let mut bytes = memory::room(self.length)?;
        self.pieces()
            .for_each(|piece| bytes.extend_from_slice(piece));
        Some(Body::from(Bytes::from(bytes)))
    }

    /// Whether it lies where the other does, which is in memory too.
    pub fn lies_with(&self, other: &Body) -> bool {
        self.length == other.length
            && self.count() == other.count()
            && std::ptr::eq(self.first.as_ptr(), other.first.as_ptr())
    }

    /// Whether it is the same as the other, which is in memory too. Several pieces are compared by where they lie.
    pub fn is(&self, other: &Body) -> bool {
        self.lies_with(other)
            || (self.count() == 1 && other.count() == 1 && self.first == other.first)
    }
}
