//! Our place in nginx's chains of filters: the first, before anything is changed. Others are further down.

use cache_core::cache_status_field;
use ngx::ffi::*;

use crate::fill::capture::{self, FilterPosition};
use crate::ngx::guard::guard;
use crate::ngx::headers;
use crate::ngx::request::{Code, ERROR, Request};
use crate::request::context::Context;
use crate::request::hold;

pub mod conditions;
pub mod lower;

type HeaderFilter = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
type BodyFilter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

struct Next {
    header: HeaderFilter,
    body: BodyFilter,
}

/// What was first before us. nginx builds the same chains again at each reload in the same
/// process, so the latest counts.
static mut NEXT: Option<Next> = None;

/// Puts our filters in front of the others.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn register() {
    // SAFETY: by contract nobody else is running.
    unsafe {
        if let (Some(header), Some(body)) = (ngx_http_top_header_filter, ngx_http_top_body_filter) {
            NEXT = Some(Next { header, body });
            ngx_http_top_header_filter = Some(header_filter);
            ngx_http_top_body_filter = Some(body_filter);
        }
    }
}

/// What the header filters behind ours make of a response.
///
/// # Safety
///
/// In a header filter, or where one has held a response back.
pub unsafe fn next_header(r: Request) -> Code {
    // SAFETY: by contract.
    next().map_or(ERROR, |next| unsafe { (next.header)(r.as_ptr()) })
}

/// What the body filters behind ours make of a part of a response.
///
/// # Safety
///
/// `chain` is one as nginx gives body filters, and the header has gone before.
pub unsafe fn next_body(r: Request, chain: *mut ngx_chain_t) -> Code {
    // SAFETY: by contract.
    next().map_or(ERROR, |next| unsafe { (next.body)(r.as_ptr(), chain) })
}

fn next() -> Option<&'static Next> {
    // SAFETY: written only by `register`, before any request.
    unsafe { (&raw const NEXT).as_ref()?.as_ref() }
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("header filter", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        let request = unsafe { Request::new(r) }?;
        capture::header(request, FilterPosition::First).or_else(|| describe(request))
    });
    match (own, next()) {
        (Some(code), _) => code,
        // SAFETY: the next filter takes what we were given.
        (None, Some(next)) => unsafe { (next.header)(r) },
        (None, None) => ERROR,
    }
}

/// Tells the client what happened.
fn describe(r: Request) -> Option<Code> {
    let context = Context::of(r)?;
    if r.is_subrequest() {
        return None;
    }
    if context.is_passing() {
        context.return_to_location(r);
    }
    if tell(r, context).is_err() {
        return Some(ERROR);
    }
    if let Some(code) = hold::header(context) {
        return Some(code);
    }
    let aftermath = context.aftermath.take()?;
    aftermath.carry_out(r, context)
}

fn tell(r: Request, context: &Context) -> Result<(), headers::NoMemory> {
    if let Some((name, word)) = context.header() {
        headers::remove(r, name);
        headers::push(r, name, word.as_str().as_bytes())?;
    }
    if let Some(value) = context.cache_status(r) {
        headers::push(r, cache_status_field::NAME.as_bytes(), &value)?;
    }
    Ok(())
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, input: *mut ngx_chain_t) -> ngx_int_t {
    let own = guard("body filter", Some(ERROR), || {
        // SAFETY: nginx calls with a live request and a chain for it.
        unsafe {
            let request = Request::new(r)?;
            capture::body(request, input, FilterPosition::First)
                .or_else(|| hold::body(request, input))
        }
    });
    match (own, next()) {
        (Some(code), _) => code,
        // SAFETY: the next filter takes what we were given.
        (None, Some(next)) => unsafe { (next.body)(r, input) },
        (None, None) => ERROR,
    }
}
