//! Makes of a 200 the 304 that its conditions ask for, behind the filters that change a body: where one of them has
//! taken the validators away (`ssi`, `sub_filter`), what the record says of them holds no more, and the 200 stays.
//!
//! A module of its own, because nginx gives the filters of a module one place in its chain. This one's is behind all
//! that change bodies, before Range is looked at.

use ::ngx::ffi::*;

use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::request::context::Context;

type HeaderFilter = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// The filter behind ours. nginx builds the same chain again at each reload in the same process, so the latest counts.
static mut NEXT: Option<HeaderFilter> = None;

/// Puts the filter into its place.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe extern "C" fn register(_: *mut ngx_conf_t) -> Code {
    // SAFETY: while nginx runs postconfigurations nobody else does.
    unsafe {
        NEXT = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(header_filter);
    }
    OK
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("conditions", (), || {
        // SAFETY: nginx calls with a live request.
        let request = unsafe { Request::new(r) };
        if let Some(r) = request.filter(|r| !r.is_subrequest())
            && let Some(before) = Context::of(r).and_then(|context| context.not_modified.take())
            && before.hold_for(r)
        {
            before.not_modified(r);
        }
    });
    // SAFETY: written only by `register`, before any request; the next filter takes what we were given.
    unsafe {
        match NEXT {
            Some(next) => next(r),
            None => ERROR,
        }
    }
}
