//! Reading from a connection to a server, and writing to it.

use std::io;
use std::mem::{self, MaybeUninit};
use std::ptr;

use bytes::BytesMut;
use ngx::ffi::{
    ngx_buf_t, ngx_chain_t, ngx_handle_read_event, ngx_handle_write_event, ngx_post_event,
    ngx_posted_next_events,
};

use super::{Peer, again, not_open, ok, tls};

/// How much is read of what a server sent before it closed a connection, in bytes.
const LAST_WORDS: usize = 1 << 10;

/// What reading gave.
#[derive(Debug)]
pub enum Received {
    /// So many bytes were appended.
    Bytes(usize),
    /// Nothing for now; [`Event::Readable`] follows.
    Nothing,
    /// The server has closed the connection.
    End,
}

/// How many pieces one write takes: as many as nginx gives to writev.
pub const PIECES: usize = 64;

impl Peer {
    /// Reads into the spare capacity of `buffer`, which must not be empty.
    ///
    /// # Errors
    ///
    /// The connection is broken, or not open.
    pub fn receive(&self, buffer: &mut BytesMut) -> io::Result<Received> {
        let connection = self.open()?;
        let room = buffer.spare_capacity_mut();
        if room.is_empty() {
            return Ok(Received::Nothing);
        }
        // SAFETY: the connection is open, and nginx set `recv` when it connected; it writes at most
        // as many bytes as there is room for, and says how many those were.
        unsafe {
            let Some(recv) = (*connection).recv else {
                return Err(not_open());
            };
            let n = recv(connection, room.as_mut_ptr().cast(), room.len());
            if let Ok(n) = usize::try_from(n) {
                buffer.set_len(buffer.len() + n);
                return Ok(if n == 0 {
                    Received::End
                } else {
                    Received::Bytes(n)
                });
            }
            if n != again() {
                return Err(self.fault(io::Error::last_os_error()));
            }
            if ngx_handle_read_event((*connection).read, 0) != ok() {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Received::Nothing)
    }

    /// Whether there may be more to read at once.
    pub fn is_readable(&self) -> bool {
        // SAFETY: the connection is open.
        self.open()
            .is_ok_and(|connection| unsafe { (*(*connection).read).ready() != 0 })
    }

    /// Reports [`Event::Readable`] again in the next iteration of the loop, so that others have
    /// their turn.
    pub fn read_later(&self) {
        if let Ok(connection) = self.open() {
            // SAFETY: the connection is open; closing it takes the event out of the queue.
            unsafe { ngx_post_event((*connection).read, &raw mut ngx_posted_next_events) };
        }
    }

    /// Writes up to [`PIECES`] pieces, as much of them as goes without waiting, and gives back how
    /// many bytes that was. If it wasn't all, [`Event::Writable`] follows.
    ///
    /// # Errors
    ///
    /// The connection is broken, or not open.
    pub fn send<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
        let connection = self.open()?;
        let pieces = pieces.filter(|piece| !piece.is_empty()).take(PIECES);
        if self.0.tls.is_some() {
            // SAFETY: the connection is open, and its owner sends when it has heard that the handshake has succeeded.
            let sent = unsafe { tls::send(connection, pieces) };
            return sent.map_err(|error| {
                // Before it closed the connection the server may have said why.
                match self.receive(&mut BytesMut::with_capacity(LAST_WORDS)) {
                    Err(why) => why,
                    Ok(_) => self.fault(error),
                }
            });
        }
        let mut buffers = [const { MaybeUninit::<ngx_buf_t>::uninit() }; PIECES];
        let mut links = [const { MaybeUninit::<ngx_chain_t>::uninit() }; PIECES];
        let mut first: *mut ngx_chain_t = ptr::null_mut();
        let mut end: *mut *mut ngx_chain_t = &raw mut first;
        for ((buffer, link), piece) in buffers.iter_mut().zip(&mut links).zip(pieces) {
            // SAFETY: a zeroed ngx_buf_t is valid; nginx reads the bytes and doesn't change them.
            // `end` points to `first` or to the link before, neither of which moves.
            unsafe {
                let buffer = buffer.write(mem::zeroed());
                buffer.pos = piece.as_ptr().cast_mut();
                buffer.last = buffer.pos.add(piece.len());
                buffer.set_memory(1);
                let link = link.write(ngx_chain_t {
                    buf: buffer,
                    next: ptr::null_mut(),
                });
                *end = link;
                end = &raw mut link.next;
            }
        }
        if first.is_null() {
            return Ok(0);
        }
        // SAFETY: the connection is open, and nginx set `send_chain` when it connected. The chain
        // and what it points to outlive the call: nginx keeps nothing of it.
        unsafe {
            let Some(send_chain) = (*connection).send_chain else {
                return Err(not_open());
            };
            let before = (*connection).sent;
            if send_chain(connection, first, 0) == chain_error() {
                return Err(io::Error::last_os_error());
            }
            let sent = usize::try_from((*connection).sent - before).unwrap_or(0);
            if ngx_handle_write_event((*connection).write, 0) != ok() {
                return Err(io::Error::last_os_error());
            }
            Ok(sent)
        }
    }
}

impl Peer {
    /// What an error of the socket means here.
    fn fault(&self, error: io::Error) -> io::Error {
        if self.0.tls.is_some() {
            self.0.encrypted_error(error)
        } else {
            error
        }
    }
}

/// NGX_CHAIN_ERROR.
fn chain_error() -> *mut ngx_chain_t {
    ptr::without_provenance_mut(usize::MAX)
}
