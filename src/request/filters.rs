//! Our place in nginx's chains of filters: the first, before anything is changed. Others are further down.

use cache_core::cache_status;
use ngx::ffi::*;

use crate::fill::capture::{self, FilterPosition};
use crate::ngx::filter::BEHIND_FIRST;
use crate::ngx::guard::guard;
use crate::ngx::headers;
use crate::ngx::request::{Code, ERROR, Request};
use crate::request::context::Context;
use crate::request::hold;

pub mod conditions;
pub mod lower;

/// Puts our filters in front of the others.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn register() {
    // SAFETY: by contract.
    unsafe { BEHIND_FIRST.put(header_filter, body_filter) };
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("header filter", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        let request = unsafe { Request::new(r) }?;
        capture::header(request, FilterPosition::First).or_else(|| describe(request))
    });
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { BEHIND_FIRST.header(r) })
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
        headers::push(r, cache_status::NAME.as_bytes(), &value)?;
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
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { BEHIND_FIRST.body(r, input) })
}
