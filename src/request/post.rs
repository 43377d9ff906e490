//! `redis_cache_post_location`: the response to a POST that says by Content-Location that it is what a GET of the same URI
//! would get, and how long it is fresh, is stored for later GETs (RFC 9110 9.3.3).
//!
//! The request goes to the backend as any that the cache has no part in. What must be known of its key before that is
//! found out first; then the response is captured on its way to the client.

use std::cell::{Cell, OnceCell};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_status_field::Forward;
use cache_core::outcome::{CacheStatus, Outcome, Reason};
use cache_core::policy::RequestView;
use cache_core::post::names_target;
use cache_core::uri::{Origin, Target};
use ngx::ffi::*;
use ngx::ngx_log_error;

use crate::conf::{LocConf, MainConf};
use crate::detached::{Backend, Tap, Times};
use crate::fill::FENCE_TIMEOUT;
use crate::fill::beside::{self, Before, Begun};
use crate::fill::succession::Succession;
use crate::ngx::event::{now_msec, within};
use crate::ngx::headers;
use crate::ngx::makers;
use crate::ngx::request::{Code, DONE, Request};
use crate::ngx::upstream::{
    self,
    captured::{self, Captured},
};
use crate::ngx::values::{KeptVariables, Scope};
use crate::request::cache_status::Forwarding;
use crate::request::context::Context;
use crate::request::invalidate;
use crate::request::key;
use crate::request::pass;
use crate::request::settings::{self, LocationSettings};
use crate::request::state::State;
use crate::store::lookup::Lookup;
use crate::store::{Key, Store};
use crate::worker::Go;

/// The fault of a location where no such response can be stored, beside those of `$cache_*` and of keys.
const NOT_STORABLE: usize = 30;

thread_local! {
    /// How many responses of this worker are captured on their way.
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// A POST whose response may be stored.
pub struct Expected {
    before: Before,
    /// `redis_cache_min_uses`
    min_uses: u32,
}

/// What is kept of such a request.
#[derive(Default)]
struct Posted {
    /// Until the header of its response is here.
    expected: Cell<Option<Box<Expected>>>,
    /// An internal redirect has led it to a location with access rules.
    restricted: Cell<bool>,
    /// The response that is captured.
    tap: OnceCell<Tap>,
    is_open: Cell<bool>,
}

impl State for Posted {
    fn retire(&self, _: Request) {
        if let Some(tap) = self.tap.get() {
            tap.finish();
        }
        if self.is_open.replace(false) {
            OPEN.set(OPEN.get().saturating_sub(1));
        }
    }
}

/// What the response to a request that the cache doesn't answer may become, if that is a POST.
pub fn expected(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    location: &LocationSettings,
    reason: Reason,
) -> Option<Expected> {
    let is_wanted = conf.post_location == Some(true)
        && reason == Reason::MethodNotListed
        && r.method() == b"POST"
        && !r.is_subrequest();
    if !is_wanted {
        return None;
    }
    // nginx itself would ask for no variable of these now.
    let _kept = KeptVariables::of(r);
    let (settings, _) = settings::settings(r, conf, main, location, false)?;
    if let Store::Location(_) = settings.lookup.store {
        // It is asked in the name of the client's request, which may be gone by then.
        complain(
            r,
            conf,
            "a location is the store; name a store or an address in \"redis_cache_pass\"",
        );
        return None;
    }
    if location.backend != Backend::Own
        && let Some(name) = makers::other_filter()
    {
        // Its filters of the backend's location work on what a GET stores, not on the response to a client.
        let name = String::from_utf8_lossy(name);
        let why = format!(
            "the backend is another location, and filters of \"{name}\" there wouldn't work on them; \
             leave \"redis_cache_backend\" away"
        );
        complain(r, conf, &why);
        return None;
    }
    let Some(key) = key::source(r, conf, main)?.of_get_for_certain(r) else {
        complain(
            r,
            conf,
            "the key of a GET isn't known: the key may say the method or the content; make it of \
             the URI in \"redis_cache_key\"",
        );
        return None;
    };
    let asks_no_store = conf.honor_request == Some(true) && headers::directives(r).no_store;
    // SAFETY: filled by nginx's own setter.
    let no_store = unsafe { r.holds(conf.no_store(), Scope::Apart) };
    Some(Expected {
        before: Before {
            lookup: Lookup {
                key: Key::new(key),
                ..settings.lookup
            },
            terms: settings.terms,
            view: RequestView {
                authorization: r.has_authorization(),
                no_store,
                asks_no_store,
            },
            times: Rc::<Times>::default(),
            fence: Bytes::new(),
            fence_at: 0,
        },
        min_uses: settings.min_uses,
    })
}

/// Says once in a worker and location why nothing is stored there.
fn complain(r: Request, conf: &LocConf, why: &str) {
    if conf.first_fault(NOT_STORABLE) {
        ngx_log_error!(
            NGX_LOG_WARN,
            r.log(),
            "redis_cache: responses to POST aren't stored here: {why}"
        );
    }
}

/// Passes such a request on to the backend, once it is known what was invalidated before. Returns what our phase handler
/// does.
pub fn begin(r: Request, context: &'static Context, expected: Expected, reason: Reason) -> Code {
    let Some(posted) = context.state::<Posted>() else {
        return pass::pass_at_once(r, context, reason);
    };
    let mut expected = Box::new(expected);
    let before = &mut expected.before;
    let (zone, store) = (before.lookup.zone, before.lookup.store.clone());
    let key = before.lookup.key.redis.clone();
    before.fence_at = now_msec();
    let invalidations = zone.invalidations(before.lookup.lock_key());
    before.times.set_invalidations(invalidations);
    before.times.set_purged(store.purged());
    if store.is_memory_alone() || !store.available(&key) {
        before.times.begin();
        posted.expected.set(Some(expected));
        return pass::pass_at_once(r, context, reason);
    }
    r.await_task();
    context.serve(r, async move {
        let fence = within(FENCE_TIMEOUT, pin!(store.read_fence(&key))).await;
        expected.before.fence = fence.flatten().unwrap_or_default();
        expected.before.times.begin();
        posted.expected.set(Some(expected));
        Some(Go {
            request: r,
            code: None,
            on: go_on,
        })
    });
    DONE
}

/// The backend is asked now.
fn go_on(r: Request, _: Option<Code>) {
    let Some(context) = Context::of(r) else {
        return r.give_up();
    };
    context.end_task();
    context.hand_on("answer", r, || {
        pass::pass(r, context, Reason::MethodNotListed);
    });
}

/// Where it is noted that access rules had a say, for a request whose response may be stored.
pub fn restricted(context: &'static Context) -> Option<&'static Cell<bool>> {
    context.find::<Posted>().map(|posted| &posted.restricted)
}

/// The header of the backend's response is here, and not on its way to the client yet. `Some`: it takes the place of the
/// record that the request is about to invalidate.
pub fn on_header(r: Request, context: &'static Context) -> Option<Succession> {
    let posted = context.find::<Posted>()?;
    if let Some(tap) = posted.tap.get() {
        // nginx has found something else to say.
        tap.cut();
        context.set_outcome(Outcome::passed(Reason::MethodNotListed));
        return None;
    }
    let Expected {
        mut before,
        min_uses,
    } = *posted.expected.take()?;
    let captured = captured::capture(r, pass::left_upstreams(context));
    // An error page, or a file by X-Accel-Redirect, isn't what the backend calls by that name; nor is what it has given another
    // status to (`error_page 405 =200 @app`).
    let is_own = captured.left.is_empty()
        && !r.is_sent_with_another_status()
        && upstream::backend_status(r) == Some(captured.status);
    if !is_own || !is_of_target(r, &captured) {
        return None;
    }
    let conf = r.loc_conf::<LocConf>()?;
    // SAFETY: filled by nginx's own setter.
    before.view.no_store |= unsafe { r.holds(conf.no_store(), Scope::Apart) };
    Forwarding::set_why(context, Forward::Method);
    let not_stored = |reason| {
        context.set_outcome(Outcome::passed(Reason::MethodNotListed).not_stored(reason));
        None
    };
    let zone = before.lookup.zone;
    if min_uses > 1 && zone.count_use(before.lookup.lock_key()) < min_uses {
        return not_stored(Reason::FewUses);
    }
    let promised = captured.content_length;
    let captured = (captured, posted.restricted.get());
    let invalidates = invalidate::is_expected(context);
    match beside::begin(r, conf, before, captured, invalidates) {
        Ok(Begun {
            sink,
            plan,
            outcome,
            succession,
        }) => {
            context.set_outcome(Outcome::filled(CacheStatus::Bypass, None));
            context.set_ttl(plan.fresh_for);
            context.set_fill_outcome(outcome);
            if posted.tap.set(Tap::new(sink, promised)).is_ok() {
                posted.is_open.set(true);
                OPEN.set(OPEN.get() + 1);
            }
            succession
        }
        Err(reason) => not_stored(reason),
    }
}

/// Whether the response says that it is the representation of the request's own URI.
fn is_of_target(r: Request, captured: &Captured) -> bool {
    let Some(own) = Target::of_request(r.unparsed_uri()) else {
        return false;
    };
    let origin = Origin::new(r.is_https(), r.authority());
    names_target(captured.status, &captured.said, &own, origin.as_ref())
}

/// A part of a body on its way to a client.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn body(r: Request, input: *mut ngx_chain_t) {
    if OPEN.get() == 0 || r.is_subrequest() {
        return;
    }
    let posted = Context::of(r).and_then(Context::find::<Posted>);
    if let Some(tap) = posted.and_then(|posted| posted.tap.get()) {
        // SAFETY: by contract.
        unsafe { tap.body(r, input) };
    }
}
