//! Bytes still to be sent on a connection: small commands joined in one buffer, large pieces of bodies as they are.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;

use crate::ngx::peer::PIECES;

/// A piece below this is cheaper to copy than to send on its own.
const SMALL: usize = 4096;

/// A buffer larger than this isn't kept for the next commands.
const KEPT: usize = 64 << 10;

/// Bytes in the order in which they leave.
#[derive(Default)]
pub struct Output {
    queue: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// How much of the tail has left; not 0 only if the queue is empty.
    sent: usize,
    /// Bytes in the queue.
    queued: usize,
}

impl Output {
    /// The end, to append to.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends a piece, without copying it if it is large.
    pub fn push(&mut self, piece: Bytes) {
        if piece.len() < SMALL {
            self.tail.extend_from_slice(&piece);
            return;
        }
        if !self.tail.is_empty() {
            let mut small = Bytes::from(mem::take(&mut self.tail));
            drop(small.split_to(mem::take(&mut self.sent).min(small.len())));
            self.queued += small.len();
            self.queue.push_back(small);
        }
        self.queued += piece.len();
        self.queue.push_back(piece);
    }

    /// Bytes that haven't left.
    pub fn len(&self) -> usize {
        self.queued + self.tail.len().saturating_sub(self.sent)
    }

    /// Bytes that one write takes, if the server takes them.
    pub fn sendable(&self) -> usize {
        self.pieces()
            .filter(|piece| !piece.is_empty())
            .take(PIECES)
            .map(<[u8]>::len)
            .sum()
    }

    /// What is to be sent next, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let tail = self.tail.get(self.sent..).unwrap_or_default();
        self.queue
            .iter()
            .map(Bytes::as_ref)
            .chain(std::iter::once(tail))
    }

    /// All of it, for those who send it in a way of their own.
    pub fn into_pieces(self) -> Vec<Bytes> {
        let tail = Bytes::from(self.tail).slice(self.sent..);
        let pieces = self.queue.into_iter().chain(std::iter::once(tail));
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// Forgets `n` bytes, which have been sent.
    pub fn advance(&mut self, mut n: usize) {
        while n > 0
            && let Some(first) = self.queue.front_mut()
        {
            let part = n.min(first.len());
            drop(first.split_to(part));
            if first.is_empty() {
                self.queue.pop_front();
            }
            self.queued -= part;
            n -= part;
        }
        self.sent += n;
        if self.sent >= self.tail.len() {
            self.sent = 0;
            self.tail.clear();
            if self.tail.capacity() > KEPT {
                self.tail = Vec::new();
            }
        }
    }
}
