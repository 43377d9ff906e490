//! 103 (Early Hints, RFC 8297): what a backend sends before its response, so that clients begin to load what the response
//! will need. nginx knows it from 1.29.0 on, and sends it where the directive `early_hints` says so. In an earlier
//! one nothing here does anything.

use std::cell::Cell;
use std::ptr;

use cache_core::headers::Headers;
use ngx::ffi::*;

use super::filter::HeaderFilter;
use super::headers::lines;
use super::output::await_writable;
use super::request::{Code, ERROR, OK, Request};
use super::{shim, text};

/// What comes behind our filter of early hints.
struct Next(Cell<Option<HeaderFilter>>);

// SAFETY: nginx runs postconfigurations and requests in one thread, and only the former write.
unsafe impl Sync for Next {}

static BEHIND: Next = Next(Cell::new(None));

/// Puts a filter in front of those that send early hints, where nginx has them.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn put_filter(filter: HeaderFilter) {
    // SAFETY: by contract nobody else is running.
    BEHIND
        .0
        .set(unsafe { shim::rcs_put_hints_filter(Some(filter)) });
}

/// What nginx's own filters make of early hints.
///
/// # Safety
///
/// In such a filter.
pub unsafe fn next(r: *mut ngx_http_request_t) -> Code {
    // SAFETY: by contract.
    BEHIND.0.get().map_or(OK, |next| unsafe { next(r) })
}

/// The header lines of a 103 that is on its way.
pub fn of(r: Request) -> Headers {
    let mut headers = Headers::new();
    // SAFETY: the list is initialised with the request, and its strings live as long.
    for line in unsafe { lines(&r.get().headers_out.headers) } {
        // SAFETY: as above.
        let (name, value) = unsafe { (text::bytes(&line.key), text::bytes(&line.value)) };
        headers.push(name.to_vec(), value.to_vec());
    }
    headers
}

/// Sends what the client hasn't taken of a 103 by now, as `ngx_http_upstream_early_hints_writer` does.
pub fn flush(r: Request) {
    // SAFETY: live request and connection; without buffers nothing is added to what waits. A client that is gone is
    // found out when the response is sent.
    unsafe {
        if (*r.connection()).buffered() != 0 && !r.is_header_sent() {
            ngx_http_write_filter(r.as_ptr(), ptr::null_mut());
        }
    }
}

/// Sends a 103 with these lines to a client whose response has yet to begin, if `early_hints` of its location says so.
/// `ERROR`: the client is gone, or there is no memory.
pub fn send(r: Request, hint: &Headers) -> Code {
    let lines: Vec<shim::rcs_line_t> = hint
        .iter()
        .map(|line| shim::rcs_line_t {
            name: line.name.as_ptr(),
            name_len: line.name.len(),
            value: line.value.as_ptr(),
            value_len: line.value.len(),
        })
        .collect();
    // SAFETY: live request; the filters copy what they are given.
    let code = unsafe { shim::rcs_send_hints(r.as_ptr(), lines.as_ptr(), lines.len()) };
    if code == ERROR {
        return ERROR;
    }
    await_writable(r)
}
