//! The client of a request: what it does while the request waits, and how fast it takes the response.

use std::ffi::c_int;

use cache_core::allow::Peer;
use ngx::ffi::*;

use super::super::guard::guard;
use super::super::{module, shim, sockaddr};
use super::{Code, Request};

impl Request {
    /// From where it comes: what `ngx_http_realip_module` says, if that is at work.
    pub fn peer(self) -> Peer {
        // SAFETY: a live connection has the address of its client.
        unsafe {
            let c = self.connection();
            if let Some(address) = sockaddr::ip((*c).sockaddr, (*c).socklen) {
                return Peer::Ip(address);
            }
            match (*c).sockaddr.as_ref() {
                Some(address) if i32::from(address.sa_family) == libc::AF_UNIX => Peer::Unix,
                _ => Peer::Other,
            }
        }
    }

    /// Watches for the client's leaving while it waits for a backend's response, as nginx's upstream does: a client
    /// that shuts down its side has left, unless `proxy_ignore_client_abort` says otherwise. A `post_action` has no
    /// client.
    pub fn watch_client(self) {
        if self.is_subrequest() || self.is_post_action() || ignores_client_abort(self) {
            return;
        }
        // SAFETY: live request and connection.
        unsafe {
            self.change(|r| r.read_event_handler = Some(ngx_http_test_reading));
            let read = (*self.connection()).read;
            if (*read).ready() != 0 {
                if (*read).posted() == 0 {
                    ngx_post_event(read, &raw mut ngx_posted_events);
                }
            } else {
                let _ = ngx_handle_read_event(read, 0);
            }
        }
    }

    /// Leaves the request to a task that soon ends. A client whose connection is reset ends it; one that has shut down
    /// its side gets its response, as where nginx reads its own cache.
    pub fn await_task(self) {
        // SAFETY: live request and connection.
        unsafe {
            self.change(|r| {
                r.write_event_handler = Some(ngx_http_request_empty_handler);
                r.read_event_handler = Some(unless_reset);
            });
            let read = (*self.connection()).read;
            // It came with the request: nothing more will.
            if (*read).pending_eof() != 0 && (*read).posted() == 0 {
                ngx_post_event(read, &raw mut ngx_posted_events);
            }
        }
    }

    /// Sets what nginx calls when the client takes more.
    pub fn set_write_handler(self, handler: unsafe extern "C" fn(*mut ngx_http_request_t)) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.write_event_handler = Some(handler)) };
    }

    /// Has the response wait as limit_rate does, or go on.
    pub fn set_delayed(self, delayed: bool) {
        // SAFETY: live connection.
        unsafe { (*(*self.connection()).write).set_delayed(delayed.into()) };
    }

    /// Whether limit_rate holds the response back.
    pub fn is_delayed(self) -> bool {
        // SAFETY: live connection.
        unsafe { (*(*self.connection()).write).delayed() != 0 }
    }

    /// Ends the request if its client has taken too long; true if so.
    pub fn client_timed_out(self) -> bool {
        // SAFETY: live connection.
        unsafe {
            let c = self.connection();
            if (*(*c).write).timedout() == 0 {
                return false;
            }
            (*c).set_timedout(1);
            ngx_http_finalize_request(self.as_ptr(), NGX_HTTP_REQUEST_TIME_OUT as Code);
        }
        true
    }

    /// Has the connection closed behind the response.
    pub fn forbid_keepalive(self) {
        // SAFETY: live request.
        unsafe { shim::rcs_set_keepalive(self.as_ptr(), 0) };
    }
}

/// Modules whose configuration of a location begins with that of an upstream.
const MODULES: [&[u8]; 5] = [
    b"ngx_http_proxy_module",
    b"ngx_http_fastcgi_module",
    b"ngx_http_uwsgi_module",
    b"ngx_http_scgi_module",
    b"ngx_http_grpc_module",
];

/// Whether `proxy_ignore_client_abort`, or that of another module, is on in the request's location. Which of the
/// modules is the location's backend isn't known outside of it: one that says so counts.
fn ignores_client_abort(r: Request) -> bool {
    module::loaded()
        .filter(|(name, _)| MODULES.contains(name))
        .any(|(_, module)| {
            // SAFETY: a location has a configuration of each module of HTTP, and those of these modules begin with that
            // of their upstream.
            let conf = unsafe {
                (*r.get().loc_conf.add(module.ctx_index))
                    .cast::<ngx_http_upstream_conf_t>()
                    .as_ref()
            };
            conf.is_some_and(|conf| conf.ignore_client_abort == 1)
        })
}

/// Something has come from a client whose request waits for a lookup.
unsafe extern "C" fn unless_reset(r: *mut ngx_http_request_t) {
    guard("read", (), || {
        // SAFETY: nginx calls with a live request; the descriptor is that of its connection, if it has one of its own.
        unsafe {
            if shim::rcs_is_stream(r) == 0 && !is_reset((*(*r).connection).fd) {
                ngx_http_block_reading(r);
            } else {
                // A stream of HTTP/2 or HTTP/3 has no half that could be shut down: nginx knows whether it was reset.
                ngx_http_test_reading(r);
            }
        }
    });
}

/// Whether a connection is gone, rather than one whose client sends nothing more.
///
/// # Safety
///
/// `fd` is an open socket.
unsafe fn is_reset(fd: c_int) -> bool {
    let mut error: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    let mut byte = 0_u8;
    // SAFETY: by contract; both calls write no more than they are given.
    unsafe {
        let known = libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast(),
            &mut length,
        );
        if known != 0 || error != 0 {
            return true;
        }
        let peeked = libc::recv(
            fd,
            (&raw mut byte).cast(),
            1,
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        );
        peeked < 0 && ngx_errno() != libc::EAGAIN
    }
}
