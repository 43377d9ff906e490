//! A slice that a response needs, as its bytes come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cache_core::flow::Ending;
use cache_core::slices::{Delivery, Refused, Sliced};

use crate::fill::{Next, Subscription};
use crate::request::slices::Acquired;

/// From where the bytes of a slice come.
pub enum Source {
    /// It is looked for.
    Sought(Pin<Box<dyn Future<Output = Acquired>>>),
    /// It comes from the backend.
    Stream(Subscription),
    /// All of it is here.
    Here,
}

/// A slice that is needed.
pub struct Slot {
    /// Which slice of the object.
    pub number: u64,
    /// Bytes that it has when it is whole.
    pub length: u64,
    /// From where they come.
    pub source: Source,
    /// Its bytes, from the first on.
    pieces: Vec<Bytes>,
    /// How many of them are here.
    pub have: u64,
}

impl Slot {
    /// One of which nothing is here yet.
    pub fn new(number: u64, object: Sliced, source: Source) -> Slot {
        Slot {
            number,
            length: object.span(number).map_or(0, |span| span.length()),
            source,
            pieces: Vec::new(),
            have: 0,
        }
    }

    /// Adds what comes next. Bytes beyond its end aren't kept, however many there are.
    fn add(&mut self, mut piece: Bytes) {
        let missing = self.length.saturating_sub(self.have);
        piece.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
        // An empty one would keep its memory.
        if piece.is_empty() {
            return;
        }
        self.have = self.have.saturating_add(piece.len() as u64);
        self.pieces.push(piece);
    }

    /// Tells the delivery what has come since it was last asked. Whether anything has.
    pub fn poll(&mut self, cx: &mut Context<'_>, delivery: &mut Delivery) -> bool {
        let mut changed = false;
        if let Source::Sought(sought) = &mut self.source {
            let Poll::Ready(acquired) = sought.as_mut().poll(cx) else {
                return false;
            };
            changed = true;
            self.source = match acquired {
                Acquired::Body(body) => {
                    self.add(body);
                    delivery.found(self.number);
                    Source::Here
                }
                Acquired::Stream(stream) => Source::Stream(stream),
                Acquired::Refused(why) => {
                    delivery.refused(self.number, why);
                    Source::Here
                }
            };
        }
        loop {
            let Source::Stream(stream) = &self.source else {
                return changed;
            };
            match stream.next() {
                Next::Piece(piece) => {
                    self.add(piece);
                    delivery.grew(self.number, self.have);
                    changed = true;
                }
                Next::Wait => {
                    stream.listen(cx.waker());
                    return changed;
                }
                Next::End(ending) => {
                    if ending == Ending::Whole && self.have == self.length {
                        delivery.filled(self.number);
                    } else {
                        delivery.refused(self.number, Refused::Failed);
                    }
                    self.source = Source::Here;
                    changed = true;
                }
            }
        }
    }

    /// Its bytes from one to the one before another.
    pub fn bytes(&self, from: u64, to: u64) -> Vec<Bytes> {
        let mut begin = 0_u64;
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            let length = piece.len() as u64;
            let first = from.max(begin).saturating_sub(begin).min(length);
            let end = to.max(begin).saturating_sub(begin).min(length);
            if let (Ok(first), Ok(end)) = (usize::try_from(first), usize::try_from(end))
                && first < end
            {
                bytes.push(piece.slice(first..end));
            }
            begin = begin.saturating_add(length);
        }
        bytes
    }
}
