//! Counts responses, when their requests end: in the log phase, where all is known of them.

use std::cell::Cell;

use cache_core::counters::{MEMORY_HITS, coalesced, not_stored, response_bytes, responses};
use cache_core::outcome;
use ngx::ffi::*;

use crate::ngx::guard::guard;
use crate::ngx::request::{OK, Request};
use crate::request::context::Context;
use crate::request::state::State;
use crate::shm::counters::Shares;

/// The handler of the log phase. Of requests whose subrequests are logged, too, each comes here.
pub unsafe extern "C" fn log(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("log", OK, || {
        // SAFETY: nginx calls with a live request.
        if let Some(r) = unsafe { Request::new(r) }
            && !r.is_subrequest()
            && let Some(context) = Context::of(r)
        {
            count(context, r.body_bytes_sent());
        }
        OK
    })
}

/// A subrequest, for which nginx calls no handler of the log phase. It is over with the request of the client, and its bytes are
/// counted there.
#[derive(Default)]
struct Subrequest(Cell<bool>);

impl State for Subrequest {
    fn retire(&self, r: Request) {
        if let (false, Some(context)) = (self.0.replace(true), Context::of(r)) {
            count(context, 0);
        }
    }
}

/// Sees to it that a subrequest is counted. `None` if there is no memory.
pub fn see_to_subrequest(context: &'static Context) -> Option<()> {
    context.state::<Subrequest>().map(|_| ())
}

#[inline]
fn count(context: &Context, bytes: u64) {
    let Some(outcome) = context.outcome() else {
        return;
    };
    let words = [
        (responses(outcome.status()), 1),
        (response_bytes(outcome.status()), bytes),
    ];
    let Shares { zone, server } = context.location.shares;
    if let Some(share) = server {
        share.add_all(words);
    }
    let Some(share) = zone else {
        return;
    };
    share.add_all(words);
    if outcome.is_from_memory() {
        share.add_all([(MEMORY_HITS, 1)]);
    }
    if let Some(how) = context.coalesced() {
        share.add_all([(coalesced(how), 1)]);
    }
    // Of a request that has started a fill the fill tells.
    if outcome.word() == Some(outcome::Word::Skip)
        && !context.has_fill()
        && let Some(reason) = outcome.reason()
    {
        share.add_all([(not_stored(reason), 1)]);
    }
}
