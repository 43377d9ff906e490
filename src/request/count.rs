//! Counts responses, when their requests end: in the log phase, where all is known of them.

use std::cell::Cell;

use cache_core::counters::{MEMORY_HITS, coalesced, not_stored, response_bytes, responses};
use cache_core::outcome;
use ngx::ffi::*;

use crate::conf::{MainConf, SrvConf};
use crate::ngx::guard::guard;
use crate::ngx::request::{OK, Request};
use crate::request::context::Context;
use crate::request::state::State;
use crate::shm::counters::{ServerCounters, worker};

/// The handler of the log phase. Of requests whose subrequests are logged, too, each comes here.
pub unsafe extern "C" fn log(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("log", OK, || {
        // SAFETY: nginx calls with a live request.
        if let Some(r) = unsafe { Request::new(r) }
            && !r.is_subrequest()
            && let Some(context) = Context::of(r)
        {
            count(r, context, r.body_bytes_sent());
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
            count(r, context, 0);
        }
    }
}

/// Sees to it that a subrequest is counted. `None` if there is no memory.
pub fn see_to_subrequest(context: &'static Context) -> Option<()> {
    context.state::<Subrequest>().map(|_| ())
}

#[inline]
fn count(r: Request, context: &Context, bytes: u64) {
    let Some(outcome) = context.outcome() else {
        return;
    };
    let worker = worker();
    let words = [
        (responses(outcome.status()), 1),
        (response_bytes(outcome.status()), bytes),
    ];
    if let Some(counters) = context.location.zone.and_then(|zone| zone.counters()) {
        counters.add_all_of(worker, words);
        if outcome.is_from_memory() {
            counters.add_all_of(worker, [(MEMORY_HITS, 1)]);
        }
        if let Some(how) = context.coalesced() {
            counters.add_all_of(worker, [(coalesced(how), 1)]);
        }
        // Of a request that has started a fill the fill tells.
        if outcome.word() == Some(outcome::Word::Skip)
            && !context.has_fill()
            && let Some(reason) = outcome.reason()
        {
            counters.add_all_of(worker, [(not_stored(reason), 1)]);
        }
    }
    if let Some(counters) = r
        .srv_conf::<SrvConf>()
        .and_then(|server| of_server(r, server))
    {
        counters.add_all_of(worker, words);
    }
}

/// The counters of a server block, found once.
fn of_server(r: Request, server: &SrvConf) -> Option<&'static ServerCounters> {
    if server.counters.get().is_none() {
        let servers = r.main_conf::<MainConf>()?.servers?;
        server.counters.set(servers.counters(server.place.get()?));
    }
    server.counters.get()
}
