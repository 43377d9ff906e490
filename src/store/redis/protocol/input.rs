//! What has been received on a connection: replies share the memory that they were read into.

use bytes::{Bytes, BytesMut};
use cache_core::resp::{Decoder, Limits, ProtocolError, Received, Reply, Room};

use crate::ngx::memory;

/// Bytes on their way to becoming replies.
pub struct Input {
    buffer: BytesMut,
    decoder: Decoder,
    room: Room,
    /// Bytes of the reply under way that have left the buffer.
    taken: usize,
}

impl Input {
    /// An empty one.
    pub fn new() -> Input {
        Input {
            buffer: BytesMut::new(),
            decoder: Decoder::new(Limits::LOOKUP),
            room: Room::default(),
            taken: 0,
        }
    }

    /// A buffer with room for what is known to be missing; if that is a large bulk, for little else: the next reply then
    /// begins in memory of its own. `None` if there is no memory for that.
    pub fn room(&mut self) -> Option<&mut BytesMut> {
        let (held, missing) = (self.buffer.len(), self.decoder.missing());
        let need = Room::needed(held, missing);
        let has_room = self.buffer.capacity() - held >= need
            || (self.room.is_reusable() && self.buffer.try_reclaim(need));
        if !has_room {
            let mut fresh = memory::room(self.room.next(held, missing))?;
            fresh.extend_from_slice(&self.buffer);
            // Nobody else has it: this is no copy.
            self.buffer = BytesMut::from(Bytes::from(fresh));
        }
        Some(&mut self.buffer)
    }

    /// Takes bytes that came in a way of their own. False if there is no memory for them.
    pub fn push(&mut self, piece: &[u8]) -> bool {
        let room = self.room();
        room.is_some_and(|room| {
            // It may be longer than what was known to be missing.
            let fits = room.capacity() - room.len() >= piece.len() || !memory::is_short();
            if fits {
                room.extend_from_slice(piece);
            }
            fits
        })
    }

    /// Whether there is nothing that isn't part of a reply taken already.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether this is no reply but an alert of TLS's: two bytes that begin its record (RFC 8446, section 5.1).
    pub fn is_tls_alert(&self) -> bool {
        self.buffer.starts_with(&[21, 3])
    }

    /// Sets the limits of the reply that is read next. A lookup that meets a longer field fails without reading it, and
    /// the connection is closed, since Redis would send it to its end.
    pub fn set_limits(&mut self, limits: Limits) {
        self.decoder.set_limits(limits);
    }

    /// The next whole reply, if there is one. What the server sends unasked is skipped.
    pub fn reply(&mut self) -> Result<Option<Reply>, ProtocolError> {
        self.decoder.decode(&mut self.buffer)
    }

    /// The next whole reply or push, if there is one.
    pub fn receive(&mut self) -> Result<Option<Received>, ProtocolError> {
        let before = self.buffer.len();
        let received = self.decoder.receive(&mut self.buffer);
        self.taken += before.saturating_sub(self.buffer.len());
        if let Ok(Some(_)) = received {
            self.room.taken(std::mem::take(&mut self.taken));
        }
        received
    }

    /// Bytes that are known to be missing from the reply under way.
    pub fn missing(&self) -> usize {
        self.decoder.missing()
    }
}
