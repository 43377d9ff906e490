//! Passes a client's own request on to the backend, past the cache.

use std::cell::RefCell;

use cache_core::outcome::{Outcome, Reason};
use ngx::ffi::*;

use crate::detached::Backend;
use crate::ngx::request::{Code, DECLINED, DONE, Request};
use crate::ngx::upstream::{self, Left};
use crate::request::context::Context;
use crate::request::state::State;

/// A request that the cache has no part in goes on in this very phase.
pub fn pass_at_once(r: Request, context: &'static Context, reason: Reason) -> Code {
    start_passing(r, context, reason);
    if context.location.backend == Backend::Own {
        return DECLINED;
    }
    redirect(r, &context.location.backend);
    DONE
}

fn start_passing(r: Request, context: &Context, reason: Reason) {
    context.set_outcome(Outcome::passed(reason));
    context.set_passing(r);
}

/// The backend's location, in the client's own request.
pub fn redirect(r: Request, backend: &Backend) {
    match backend {
        Backend::Own => {}
        Backend::Uri(prefix) => r.internal_redirect(&[prefix.as_ref(), r.uri()].concat()),
        Backend::Named(name) => r.named_location(name),
    }
}

/// The backend, in the client's own request, after a wait.
pub fn pass(r: Request, context: &'static Context, reason: Reason) {
    start_passing(r, context, reason);
    if context.location.backend == Backend::Own {
        r.run_phases_from(context.after);
    } else {
        let c = r.connection();
        redirect(r, &context.location.backend);
        // SAFETY: the connection outlives its requests until posted ones have run.
        unsafe { ngx_http_run_posted_requests(c) };
    }
}

/// Upstreams that a request, which runs the backend itself, has left for another location.
#[derive(Default)]
struct LeftUpstreams(RefCell<Vec<Left>>);

impl State for LeftUpstreams {}

/// Notes the upstream that a request leaves for the location that it has come to.
pub fn note_left(r: Request, context: &'static Context) {
    if let Some(left) = context.state::<LeftUpstreams>() {
        upstream::note_left(r, &mut left.0.borrow_mut());
    }
}

/// The upstreams that a request has left so far.
pub fn left_upstreams(context: &'static Context) -> Vec<Left> {
    context
        .find::<LeftUpstreams>()
        .map(|left| left.0.take())
        .unwrap_or_default()
}
