//! Wake-ups between workers: a datagram to a socket that is named after the server and the worker's process. The
//! process alone wouldn't do: servers in containers may share a network, and have equal process ids.

use std::cell::Cell;
use std::mem;

use cache_core::key::LockKey;
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::super::process::pid;
use super::waiters;
use crate::ngx::guard::guard;

thread_local! {
    static SOCKET: Cell<i32> = const { Cell::new(-1) };
    /// The name that the workers of this server share.
    static INSTANCE: Cell<u64> = const { Cell::new(0) };
}

/// Wakes the waiters for `key` in the given workers.
pub fn all(key: &LockKey, workers: Vec<i32>) {
    for worker in workers {
        if worker == pid() {
            waiters::wake(key);
        } else {
            send(key, worker);
        }
    }
}

/// The abstract address of a worker's socket: it needs no file and goes with its process.
fn address(pid: i32) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: all zeroes is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let name = format!("\0ngx_http_redis_cache.{:016x}.{pid}", INSTANCE.get());
    for (place, byte) in address.sun_path.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    let length = mem::offset_of!(libc::sockaddr_un, sun_path) + name.len();
    (address, length as libc::socklen_t)
}

fn send(key: &LockKey, worker: i32) {
    let socket = SOCKET.get();
    if socket < 0 {
        return;
    }
    let (address, length) = address(worker);
    let bytes = key.as_bytes();
    // SAFETY: the address and the bytes are valid for their lengths. A full queue or a worker that
    // has gone is no error: the timer of the waiter is behind it.
    unsafe {
        libc::sendto(
            socket,
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            (&raw const address).cast(),
            length,
        );
    }
}

/// Opens this worker's socket and listens on it; `instance` is what the workers of this server share. Without it the
/// worker falls back to its timers.
pub fn open(cycle: *mut ngx_cycle_t, instance: u64) {
    if SOCKET.get() >= 0 {
        return;
    }
    INSTANCE.set(instance);
    // SAFETY: called by nginx in the worker with its cycle; the event system is up.
    unsafe {
        let log = (*cycle).log;
        let socket = libc::socket(
            libc::AF_UNIX,
            libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            0,
        );
        let (address, length) = address(pid());
        if socket < 0 || libc::bind(socket, (&raw const address).cast(), length) != 0 {
            let error = std::io::Error::last_os_error();
            ngx_log_error!(
                NGX_LOG_ERR,
                log,
                "redis_cache: no socket for wake-ups: {error}"
            );
            if socket >= 0 {
                libc::close(socket);
            }
            return;
        }
        let connection = ngx_get_connection(socket, log);
        if connection.is_null() {
            libc::close(socket);
            return;
        }
        let read = (*connection).read;
        // The worker's exit doesn't wait for this connection.
        (*read).set_channel(1);
        (*read).log = log;
        (*read).handler = Some(receive);
        (*(*connection).write).log = log;
        if ngx_handle_read_event(read, 0) != NGX_OK as isize {
            ngx_close_connection(connection);
            return;
        }
        SOCKET.set(socket);
    }
}

unsafe extern "C" fn receive(event: *mut ngx_event_t) {
    guard("wake-up", (), || {
        // SAFETY: nginx calls with the event of our connection.
        let socket = unsafe { (*(*event).data.cast::<ngx_connection_t>()).fd };
        loop {
            let mut key = [0u8; 16];
            // SAFETY: the buffer is as long as said.
            let n = unsafe { libc::recv(socket, key.as_mut_ptr().cast(), key.len(), 0) };
            if n < 0 {
                return;
            }
            if n == 16 {
                waiters::wake(&LockKey(key));
            }
        }
    });
}
