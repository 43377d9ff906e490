//! The client's header, as far as it concerns the copy.

use std::ptr;

use ngx::ffi::*;

use super::super::purpose::Purpose;
use crate::ngx::headers::lines;
use crate::ngx::request::{OK, Request};
use crate::ngx::{shim, text};

/// Fields of the client that don't concern a detached request: its response is whole and for everybody
/// (conditions, ranges), its body is known (lengths, codings), its connection is its own.
pub(super) const NOT_COPIED: &[&[u8]] = &[
    b"if-modified-since",
    b"if-unmodified-since",
    b"if-match",
    b"if-none-match",
    b"if-range",
    b"range",
    b"content-length",
    b"transfer-encoding",
    b"expect",
    b"upgrade",
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"http2-settings",
];

/// Whether a detached request doesn't have this field of the client's header. `name` is in lower case.
pub fn leaves_out(name: &[u8]) -> bool {
    NOT_COPIED.contains(&name)
}

/// Nor does a message want its response coded.
const NOT_IN_MESSAGES: &[&[u8]] = &[b"accept-encoding"];

/// The client's header lines, and what nginx knows of them.
///
/// # Safety
///
/// `client` and `main` are live.
pub unsafe fn copy(
    client: Request,
    main: *mut ngx_http_request_t,
    purpose: &Purpose,
) -> Option<()> {
    let left_out = match purpose {
        Purpose::Fetch(_) => &[],
        Purpose::Message(_) => NOT_IN_MESSAGES,
    };
    // SAFETY: lists of live requests; strings are copied with a NUL behind, as nginx's are.
    unsafe {
        let m = &mut *main;
        let size = size_of::<ngx_table_elt_t>();
        if ngx_list_init(&mut m.headers_in.headers, m.pool, 20, size) != NGX_OK as isize {
            return None;
        }
        shim::rcs_copy_browser(m, client.as_ptr());
        for line in lines(&client.get().headers_in.headers) {
            let name = text::bytes(&line.key);
            let lower = name.to_ascii_lowercase();
            if !NOT_COPIED.contains(&&*lower) && !left_out.contains(&&*lower) {
                add(m, name, &lower, text::bytes(&line.value), line.hash)?;
            }
        }
    }
    for (name, value) in purpose.fetch().into_iter().flat_map(|fetch| &fetch.part) {
        // SAFETY: by contract; no copy has conditions or a Range of its client.
        unsafe { add_new(main, name, value)? };
    }
    if let Some(validators) = purpose.fetch().and_then(|fetch| fetch.validators.as_ref()) {
        let conditions = [
            (&b"If-None-Match"[..], &validators.etag),
            (b"If-Modified-Since", &validators.last_modified),
        ];
        for (name, value) in conditions {
            if let Some(value) = value {
                // SAFETY: by contract.
                unsafe { add_new(main, name, value)? };
            }
        }
    }
    Some(())
}

/// Lets the subrequest add lines for itself. nginx copies the list's head, whose place for the next line is in the main
/// request's then: what Lua sets there wouldn't be in what the backend is asked.
///
/// # Safety
///
/// `main` and its new subrequest `sr` are live, and neither has added lines since.
pub unsafe fn separate(main: *mut ngx_http_request_t, sr: *mut ngx_http_request_t) {
    // SAFETY: by contract.
    unsafe {
        let of_main = &raw mut (*main).headers_in.headers.part;
        let list = &raw mut (*sr).headers_in.headers;
        if (*list).last == of_main {
            (*list).last = &raw mut (*list).part;
        }
    }
}

/// Adds the line that says how long the body is.
///
/// # Safety
///
/// `main` is live and has header lines, none of which says it.
pub unsafe fn content_length(main: *mut ngx_http_request_t, length: off_t) -> Option<()> {
    // SAFETY: by contract.
    unsafe { add_new(main, b"Content-Length", length.to_string().as_bytes()) }
}

/// Adds a line of our own.
///
/// # Safety
///
/// `main` is live and has header lines, none of this name.
unsafe fn add_new(main: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Option<()> {
    let lower = name.to_ascii_lowercase();
    // SAFETY: by contract; the name is readable.
    unsafe {
        let hash = ngx_hash_key(lower.as_ptr().cast_mut(), lower.len());
        add(&mut *main, name, &lower, value, hash)
    }
}

/// Adds a header line to a request as if it had been read.
///
/// # Safety
///
/// `m` is live; `hash` is nginx's hash of `lower`.
unsafe fn add(
    m: &mut ngx_http_request_t,
    name: &[u8],
    lower: &[u8],
    value: &[u8],
    hash: ngx_uint_t,
) -> Option<()> {
    // SAFETY: by contract; the request has the configuration of its client, whose hash of fields is complete.
    unsafe {
        let line = ngx_list_push(&mut m.headers_in.headers).cast::<ngx_table_elt_t>();
        if line.is_null() {
            return None;
        }
        ptr::write_bytes(line, 0, 1);
        (*line).hash = hash;
        (*line).key = text::copy(m.pool, name)?;
        (*line).value = text::copy(m.pool, value)?;
        (*line).lowcase_key = text::copy(m.pool, lower)?.data;
        (shim::rcs_know_header(m, line) == OK).then_some(())
    }
}
