//! Makes of a 200 the 304 that its conditions ask for, behind the filters that change a body: where one of them has
//! taken the validators away (`ssi`, `sub_filter`), what the record says of them holds no more, and the 200 stays. The same
//! place is that of [`parts`].
//!
//! A module of its own, because nginx gives the filters of a module one place in its chain. This one's is behind all
//! that change bodies, before Range is looked at.

use std::cell::Cell;

use ::ngx::ffi::*;

use crate::ngx::filter::Next;
use crate::ngx::guard::guard;
use crate::ngx::headers::Validators;
use crate::ngx::request::{Code, ERROR, Request};
use crate::request::context::Context;
use crate::request::filters::{coding, parts};
use crate::request::state::State;

/// The validators by which a response isn't modified for its client, until the filters have had their say.
#[derive(Default)]
struct NotModified(Cell<Option<Validators>>);

impl State for NotModified {}

/// Has the response of these validators become a 304 if the filters leave them alone. `None` if there is no memory.
pub fn expect(context: &'static Context, validators: Validators) -> Option<()> {
    context
        .state::<NotModified>()
        .map(|expected| expected.0.set(Some(validators)))
}

/// The validators of a response that no filter has decided about yet.
pub fn take(context: &'static Context) -> Option<Validators> {
    context.find::<NotModified>()?.0.take()
}

/// What comes behind the conditions.
static BEHIND_CONDITIONS: Next = Next::new();

/// Puts the filter into its place.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe extern "C" fn register(_: *mut ngx_conf_t) -> Code {
    // SAFETY: by contract.
    unsafe { BEHIND_CONDITIONS.put_header(header_filter) }
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("conditions", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        let request = unsafe { Request::new(r) };
        let request = request.filter(|r| !r.is_subrequest());
        if let Some(r) = request {
            coding::settle_vary(r);
        }
        if let Some(r) = request
            && let Some(before) = Context::of(r).and_then(take)
            && before.hold_for(r)
        {
            before.not_modified(r);
        }
        parts::header(request?)
    });
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { BEHIND_CONDITIONS.header(r) })
}
