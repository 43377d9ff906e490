//! A whole body of a response, as it lies in memory.

use std::rc::Rc;

use bytes::Bytes;

use crate::ngx::memory;

/// A body, in one piece or in several. Clones share its bytes.
#[derive(Clone)]
pub struct Body {
    /// The first piece: most bodies have no other.
    first: Bytes,
    others: Option<Rc<Others>>,
}

/// The pieces behind the first.
struct Others {
    pieces: Vec<Bytes>,
    /// Bytes of the whole body.
    length: usize,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body {
            first: bytes,
            others: None,
        }
    }
}

impl Body {
    /// A body in these pieces.
    pub fn of(pieces: impl IntoIterator<Item = Bytes>) -> Body {
        let mut pieces = pieces.into_iter();
        let mut body = Body::from(pieces.next().unwrap_or_default());
        let pieces: Vec<Bytes> = pieces.collect();
        if !pieces.is_empty() {
            let length = body.first.len() + pieces.iter().map(Bytes::len).sum::<usize>();
            body.others = Some(Rc::new(Others { pieces, length }));
        }
        body
    }

    /// Its bytes in all.
    pub fn len(&self) -> usize {
        match &self.others {
            None => self.first.len(),
            Some(others) => others.length,
        }
    }

    /// Its pieces, at least one.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(self.behind())
    }

    /// Its pieces, as [`Body::pieces`].
    pub fn into_pieces(self) -> impl Iterator<Item = Bytes> {
        let others = self.others;
        let count = others.as_ref().map_or(0, |others| others.pieces.len());
        let behind =
            (0..count).filter_map(move |index| others.as_ref()?.pieces.get(index).cloned());
        std::iter::once(self.first).chain(behind)
    }

    /// How many pieces there are.
    pub fn count(&self) -> usize {
        1 + self.behind().len()
    }

    fn behind(&self) -> &[Bytes] {
        match &self.others {
            None => &[],
            Some(others) => &others.pieces,
        }
    }

    /// The same in one piece: several are copied. `None` if there is no memory.
    pub fn joined(self) -> Option<Body> {
        if self.others.is_none() {
            return Some(self);
        }
        let mut bytes = memory::room(self.len())?;
        self.pieces()
            .for_each(|piece| bytes.extend_from_slice(piece));
        Some(Body::from(Bytes::from(bytes)))
    }

    /// Whether it lies where the other does, which is in memory too.
    pub fn lies_with(&self, other: &Body) -> bool {
        self.len() == other.len()
            && self.count() == other.count()
            && std::ptr::eq(self.first.as_ptr(), other.first.as_ptr())
    }

    /// Whether it is the same as the other, which is in memory too. Several pieces are compared by where they lie.
    pub fn is(&self, other: &Body) -> bool {
        self.lies_with(other)
            || (self.count() == 1 && other.count() == 1 && self.first == other.first)
    }
}
