//! The pieces of a body, and how far its readers are.

use std::collections::VecDeque;

use bytes::Bytes;

/// The pieces that are still there. How many readers are at which piece is counted, so that what one of them does costs
/// the same however many there are.
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    /// How many readers have read exactly up to each piece; the last count is of those who have read all.
    up_to: VecDeque<usize>,
    /// How many pieces were dropped from the front.
    dropped: usize,
    /// Bytes of the pieces.
    bytes: usize,
    readers: usize,
}

impl Default for Pieces {
    fn default() -> Self {
        Pieces {
            pieces: VecDeque::new(),
            up_to: VecDeque::from([0]),
            dropped: 0,
            bytes: 0,
            readers: 0,
        }
    }
}

impl Pieces {
    /// Takes the next one, unless it is empty.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
            self.up_to.push_back(0);
        }
    }

    /// One reader more; its position is the first piece that is there.
    pub(super) fn enter(&mut self) -> usize {
        self.readers += 1;
        self.count(self.dropped, 1);
        self.dropped
    }

    /// The piece for a reader at this position, which then is at the next.
    pub(super) fn read(&mut self, position: usize) -> Option<Bytes> {
        let piece = self.pieces.get(position.checked_sub(self.dropped)?)?;
        let piece = piece.clone();
        self.count(position, -1);
        self.count(position + 1, 1);
        Some(piece)
    }

    /// How many are there.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// One of those that are there.
    pub(super) fn get(&self, index: usize) -> Option<Bytes> {
        self.pieces.get(index).cloned()
    }

    /// The reader at this position leaves.
    pub(super) fn leave(&mut self, position: usize) {
        self.readers = self.readers.saturating_sub(1);
        self.count(position, -1);
    }

    fn count(&mut self, position: usize, change: isize) {
        let place = position.checked_sub(self.dropped);
        if let Some(count) = place.and_then(|place| self.up_to.get_mut(place)) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// Drops what all readers have read.
    pub(super) fn forget(&mut self) {
        while self.up_to.front() == Some(&0)
            && let Some(piece) = self.pieces.pop_front()
        {
            self.up_to.pop_front();
            self.bytes -= piece.len();
            self.dropped += 1;
        }
    }

    /// How many read.
    pub(super) fn readers(&self) -> usize {
        self.readers
    }

    /// Bytes of those that are there.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All that are there.
    pub(super) fn all(&self) -> Vec<Bytes> {
        self.pieces.iter().cloned().collect()
    }
}
