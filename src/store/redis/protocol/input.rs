//! What has been received on a connection: replies share the memory that they were read into.

use bytes::{Bytes, BytesMut};
use cache_core::resp::{Decoder, Limits, ProtocolError, Received, Reply};

use crate::ngx::memory;

/// What is read at once, unless a longer bulk is under way. A small reply that is kept keeps this
/// much memory.
const CHUNK: usize = 16 << 10;

/// With less room than this a read isn't worth its system call.
const ROOM: usize = 2 << 10;

/// Bytes on their way to becoming replies.
pub struct Input {
    buffer: BytesMut,
    decoder: Decoder,
}

impl Input {
    /// An empty one.
    pub fn new() -> Input {
        Input {
            buffer: BytesMut::new(),
            decoder: Decoder::new(Limits::LOOKUP),
        }
    }

    /// A buffer with room for what is known to be missing, exactly if that is a large bulk: the
    /// next reply then begins in memory of its own. `None` if there is no memory for that.
    pub fn room(&mut self) -> Option<&mut BytesMut> {
        let missing = self.decoder.missing();
        let need = missing.max(ROOM);
        if self.buffer.capacity() - self.buffer.len() < need && !self.buffer.try_reclaim(need) {
            let size = if missing > CHUNK { missing } else { CHUNK };
            let mut fresh = memory::room(self.buffer.len() + size)?;
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
        self.decoder.receive(&mut self.buffer)
    }

    /// Bytes that are known to be missing from the reply under way.
    pub fn missing(&self) -> usize {
        self.decoder.missing()
    }
}
