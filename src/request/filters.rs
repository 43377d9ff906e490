//! The module's first filters, before any other changes the response. The module's other filters are further down.

use ngx::ffi::*;

use crate::conf::LocConf;
use crate::detached::{self, FilterPosition};
use crate::ngx::filter::BEHIND_FIRST;
use crate::ngx::guard::guard;
use crate::ngx::headers;
use crate::ngx::hints;
use crate::ngx::request::{Code, ERROR, Request};
use crate::request::cache_status;
use crate::request::context::Context;
use crate::request::explain;
use crate::request::few_uses;
use crate::request::hold;
use crate::request::invalidate;
use crate::request::post;

pub mod coding;
pub mod conditions;
pub mod lower;
pub mod parts;

/// Puts our filters in front of the others.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn register() {
    // SAFETY: by contract.
    unsafe {
        BEHIND_FIRST.put(header_filter, body_filter);
        hints::put_filter(hints_filter);
    }
}

unsafe extern "C" fn hints_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("early hints", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        detached::hint(unsafe { Request::new(r) }?)
    });
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { hints::next(r) })
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("header filter", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        let request = unsafe { Request::new(r) }?;
        detached::header(request, FilterPosition::First).or_else(|| client_header(request))
    });
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { BEHIND_FIRST.header(r) })
}

/// The header of a response to a client: it is told how the cache has handled its request, and what the response means
/// for stored ones is done.
fn client_header(r: Request) -> Option<Code> {
    let context = Context::of(r)?;
    if r.is_subrequest() {
        return None;
    }
    let mut succession = None;
    if context.is_passing() {
        context.return_to_location(r);
        succession = post::on_header(r, context);
        few_uses::on_header(r, context);
        take_tags_off(r);
    }
    if cache_status::add_headers(r, context).is_err() || explain::add_header(r, context).is_err() {
        return Some(ERROR);
    }
    hold::header(context).or_else(|| invalidate::on_header(r, context, succession))
}

/// Tags aren't for clients, wherever the response comes from (`redis_cache_tags`).
fn take_tags_off(r: Request) {
    let tags = r.loc_conf::<LocConf>().and_then(|conf| conf.tags.as_ref());
    if let Some(tags) = tags {
        headers::retain(r, |name| !tags.takes_off(name));
    }
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, input: *mut ngx_chain_t) -> ngx_int_t {
    let own = guard("body filter", Some(ERROR), || {
        // SAFETY: nginx calls with a live request and a chain for it.
        unsafe {
            let request = Request::new(r)?;
            if let Some(code) = detached::body(request, input, FilterPosition::First) {
                return Some(code);
            }
            post::body(request, input);
            hold::body(request, input)
        }
    });
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { BEHIND_FIRST.body(r, input) })
}
