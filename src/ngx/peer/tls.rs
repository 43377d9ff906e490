//! The handshake of an encrypted connection: a step of connecting, on nginx's loop. The owner hears
//! [`Event::Writable`](super::Event::Writable) when it is over.

use std::io;

use ngx::ffi::{ngx_connection_t, ngx_handle_write_event};

use super::{Event, Inner, again, not_open, ok, read_event, socket_error, write_event};
use crate::ngx::guard::guard;
use crate::ngx::shim;
use crate::ngx::tls::Session;
use crate::ngx::tls::fault;

/// What one record carries at most, in bytes (RFC 8446, section 5.1).
const RECORD: usize = 16 << 10;

/// How far an encrypted connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It isn't to be encrypted, or the handshake has succeeded.
    #[default]
    Open,
    /// The socket is being connected.
    Socket,
    /// The handshake is under way.
    Handshake,
}

impl Inner {
    /// Whether the handshake, or what comes before it, is still under way.
    pub(super) fn is_beginning(&self) -> bool {
        self.phase.get() != Phase::Open
    }

    /// Goes on with connecting, after this event. True if it is over, and `outcome` has a failure if it failed.
    pub(super) fn advance(&self, event: Event) -> bool {
        let connection = self.connection.get();
        if connection.is_null() {
            return false;
        }
        if self.phase.get() == Phase::Socket {
            if event != Event::Writable {
                return false;
            }
            // SAFETY: the connection is open.
            let begun = unsafe { socket_error(connection).and_then(|()| self.begin(connection)) };
            if let Err(error) = begun {
                return self.finish(Err(error));
            }
        }
        // SAFETY: the connection is open. nginx's own handlers of a handshake don't know our owner.
        let rc = unsafe {
            let rc = shim::rcs_tls_handshake(connection);
            (*(*connection).read).handler = Some(read_event);
            (*(*connection).write).handler = Some(write_event);
            rc
        };
        if rc == again() {
            return false;
        }
        let Some(tls) = &self.tls else {
            return self.finish(Ok(()));
        };
        let result = if rc == ok() {
            // SAFETY: the connection is open, and has made a handshake.
            unsafe { tls.check(connection) }
        } else {
            Err(tls.failed(self.said.take()))
        };
        match &result {
            Ok(()) => {
                if let Some(session) = self.session.take() {
                    tls.keep(session);
                }
            }
            Err(_) => {
                self.session.take();
                tls.forget();
            }
        }
        self.finish(result.map_err(io::Error::other))
    }

    /// # Safety
    ///
    /// The connection is open, and isn't encrypted yet.
    unsafe fn begin(&self, connection: *mut ngx_connection_t) -> io::Result<()> {
        self.phase.set(Phase::Handshake);
        let tls = self.tls.as_ref().ok_or_else(not_open)?;
        // SAFETY: by contract.
        unsafe { tls.begin(connection, Some(save_session)) }.map_err(io::Error::other)
    }

    fn finish(&self, result: io::Result<()>) -> bool {
        self.phase.set(Phase::Open);
        self.failure.replace(result.err());
        true
    }

    /// What an error of an encrypted connection means, where the system's says `error`.
    pub(super) fn encrypted_error(&self, error: io::Error) -> io::Error {
        match self.said.take() {
            Some(said) if fault::is_end(&said) => io::ErrorKind::ConnectionReset.into(),
            Some(said) => io::Error::other(fault::handshake(Some(&said))),
            // OpenSSL doesn't say what was wrong with the socket, and nothing of its own was.
            None => match error.raw_os_error() {
                Some(libc::EPIPE | libc::ECONNRESET | libc::EAGAIN) | Some(0) | None => {
                    io::ErrorKind::ConnectionReset.into()
                }
                Some(_) => error,
            },
        }
    }
}

/// The server has given a session: within the handshake, or while something is read (TLS 1.3).
unsafe extern "C" fn save_session(connection: *mut ngx_connection_t) {
    guard("session of a store", (), || {
        // SAFETY: nginx calls with an open encrypted connection, whose `data` is the Inner that `adopt` put there.
        let (inner, session) = unsafe {
            let inner = (*connection).data.cast_const().cast::<Inner>();
            (inner.as_ref(), Session::of(connection))
        };
        let (Some(inner), Some(session)) = (inner, session) else {
            return;
        };
        match &inner.tls {
            // Whether the server is the one expected is still to be seen.
            _ if inner.is_beginning() => {
                inner.session.replace(Some(session));
            }
            Some(tls) => tls.keep(session),
            None => {}
        }
    });
}

/// Writes pieces in records, as far as goes without waiting. How many bytes of them have gone: what hasn't is to be given
/// again as it was, with more behind it or not.
///
/// # Safety
///
/// The connection is open, and its handshake has succeeded.
pub(super) unsafe fn send<'a>(
    connection: *mut ngx_connection_t,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> io::Result<usize> {
    let mut records = Records {
        connection,
        record: [0; RECORD],
        filled: 0,
        sent: 0,
    };
    // SAFETY: by contract.
    unsafe {
        for piece in pieces {
            if !records.add(piece)? {
                return Ok(records.sent);
            }
        }
        records.write()?;
    }
    Ok(records.sent)
}

/// The record being filled.
struct Records {
    connection: *mut ngx_connection_t,
    record: [u8; RECORD],
    filled: usize,
    /// Bytes that have gone.
    sent: usize,
}

impl Records {
    /// Adds a piece, and writes what is full. False if no more goes.
    ///
    /// # Safety
    ///
    /// As [`send`].
    unsafe fn add(&mut self, mut piece: &[u8]) -> io::Result<bool> {
        while !piece.is_empty() {
            let room = self.record.get_mut(self.filled..).unwrap_or_default();
            let size = room.len().min(piece.len());
            let (taken, rest) = piece.split_at(size);
            room.iter_mut()
                .zip(taken)
                .for_each(|(to, from)| *to = *from);
            self.filled += size;
            piece = rest;
            // SAFETY: by contract.
            if self.filled == RECORD && !unsafe { self.write()? } {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what there is. False if not all of it goes.
    ///
    /// # Safety
    ///
    /// As [`send`].
    unsafe fn write(&mut self) -> io::Result<bool> {
        let mut gone = 0;
        while let Some(rest) = self.record.get_mut(gone..self.filled)
            && !rest.is_empty()
        {
            // SAFETY: the connection is open by contract, and nginx set `send` in the handshake; it reads as many bytes
            // as there are.
            let n = unsafe {
                let send = (*self.connection).send.ok_or_else(not_open)?;
                send(self.connection, rest.as_mut_ptr(), rest.len())
            };
            match usize::try_from(n) {
                Ok(n) if n > 0 => {
                    gone += n;
                    self.sent += n;
                }
                _ if n == again() => {
                    // SAFETY: as above.
                    let rc = unsafe { ngx_handle_write_event((*self.connection).write, 0) };
                    if rc != ok() {
                        return Err(io::Error::last_os_error());
                    }
                    return Ok(false);
                }
                _ => return Err(io::Error::last_os_error()),
            }
        }
        self.filled = 0;
        Ok(true)
    }
}
