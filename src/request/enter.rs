//! Entry from nginx: our handlers in its phases, and whether the cache has a part in a request.

use std::cell::Cell;

use cache_core::complex_value::is_derivable;
use cache_core::outcome::Reason;
use cache_core::policy::RequestView;
use cache_core::request_directives::RequestDirectives;
use ngx::ffi::*;

use crate::conf::{LocConf, MainConf};
use crate::detached::{self, is_detached};
use crate::ngx::guard::{guard, trip};
use crate::ngx::headers;
use crate::ngx::memory;
use crate::ngx::request::{Code, DECLINED, ERROR, Request};
use crate::ngx::slice;
use crate::ngx::values::Scope;
use crate::request::access;
use crate::request::admin;
use crate::request::context::Context;
use crate::request::count;
use crate::request::deliver::begin;
use crate::request::invalidate::{self, Effect};
use crate::request::key;
use crate::request::pass;
use crate::request::post::{self, Expected};
use crate::request::purge::{self, Turn};
use crate::request::settings::{self, CacheableRequest, LocationSettings};
use crate::request::variables::upstream;

mod again;
mod mirror;

const INTERNAL_ERROR: Code = NGX_HTTP_INTERNAL_SERVER_ERROR as Code;

/// The phase handler: PRECONTENT, before try_files and the location's content.
pub unsafe extern "C" fn precontent(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("handler", INTERNAL_ERROR, || {
        // SAFETY: nginx calls with a live request.
        match unsafe { Request::new(r) } {
            Some(r) => enter(r),
            None => ERROR,
        }
    })
}

/// A message gets its length.
pub unsafe extern "C" fn preaccess(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("handler", DECLINED, || {
        // SAFETY: nginx calls with a live request.
        let Some(r) = (unsafe { Request::new(r) }) else {
            return ERROR;
        };
        detached::located(r);
        if let Some(context) = r.redirected_context::<Context>(Context::of)
            && context.is_passing()
        {
            pass::note_left(r, context);
        }
        DECLINED
    })
}

/// The first step after an internal redirect. nginx runs `post_action` so, whatever has become of the request: the
/// cleanups of a client that has left are yet to come.
pub unsafe extern "C" fn rewrite(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("handler", DECLINED, || {
        // SAFETY: nginx calls with a live request.
        if let Some(r) = unsafe { Request::new(r) }
            && r.is_post_action()
            && let Some(context) = Context::of(r)
        {
            context.abandon(r);
        }
        DECLINED
    })
}

/// Puts our handlers into their phases, where those added last run first.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http.
pub unsafe fn register(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract: the phases' arrays are those of nginx's core.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).main_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_main_conf_t>();
        let handlers: [(u32, ngx_http_handler_pt); 6] = [
            (ngx_http_phases_NGX_HTTP_SERVER_REWRITE_PHASE, Some(rewrite)),
            (ngx_http_phases_NGX_HTTP_REWRITE_PHASE, Some(rewrite)),
            (
                ngx_http_phases_NGX_HTTP_REWRITE_PHASE,
                Some(access::rewrite),
            ),
            (ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, Some(preaccess)),
            (ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, Some(precontent)),
            (ngx_http_phases_NGX_HTTP_LOG_PHASE, Some(count::log)),
        ];
        for (phase, handler) in handlers {
            let Some(phase) = (*core).phases.get_mut(phase as usize) else {
                return false;
            };
            let place = ngx_array_push(&mut phase.handlers).cast::<ngx_http_handler_pt>();
            if place.is_null() {
                return false;
            }
            place.write(handler);
        }
        let precontent = ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE as usize;
        if let Some(phase) = (*core).phases.get_mut(precontent) {
            mirror::arrange(cf, &mut phase.handlers);
        }
    }
    true
}

fn enter(r: Request) -> Code {
    let Some(conf) = r.loc_conf::<LocConf>() else {
        return ERROR;
    };
    if is_detached(r.connection()) || Context::of(r).is_some() {
        return again::enter(r, conf);
    }
    if conf.admin.is_some()
        && let Some(main) = r.main_conf::<MainConf>()
    {
        return admin::enter(r, conf, main, body_read);
    }
    if conf.enable != Some(true) {
        return DECLINED;
    }
    // Of these (auth_request, mirror) only the status counts, if at all. A key that is inherited was made for pages.
    if r.is_subrequest() && r.is_header_only() && !conf.own {
        return DECLINED;
    }
    let Some(main) = r.main_conf::<MainConf>() else {
        return ERROR;
    };
    let refresh = match purge::enter(r, conf, main) {
        Turn::Usual => false,
        Turn::Refresh => true,
        Turn::Answered(code) => return code,
    };
    let location = settings::of_location(r, conf, main);
    if wants_body_first(r, conf, &location) {
        return r.read_body(body_read);
    }
    if r.is_body_read() {
        trip("body");
    }
    // Behind the reading of the body, which runs this phase again.
    // SAFETY: in a handler of its phase.
    match unsafe { mirror::run(r) } {
        DECLINED => {}
        code => return code,
    }
    match cacheable(r, conf, main, &location, refresh) {
        Ok(cacheable) => serve(r, location, cacheable),
        Err(reason) => {
            let effect = invalidate::expected(r, conf, main, &location, reason);
            let post = post::expected(r, conf, main, &location, reason);
            pass_uncacheable(r, location, reason, (effect, post))
        }
    }
}

/// The cache serves the request.
fn serve(r: Request, location: LocationSettings, cacheable: CacheableRequest) -> Code {
    let Some(context) = attach(r, location, Some(cacheable)) else {
        return INTERNAL_ERROR;
    };
    match &context.cacheable {
        Some(cacheable) => begin(r, context, cacheable),
        None => INTERNAL_ERROR,
    }
}

/// The cache has no part in the request, but the response may have an effect on what is stored.
fn pass_uncacheable(
    r: Request,
    location: LocationSettings,
    reason: Reason,
    (effect, post): (Option<Effect>, Option<Expected>),
) -> Code {
    let Some(context) = attach(r, location, None) else {
        return INTERNAL_ERROR;
    };
    if let Some(effect) = effect
        && invalidate::expect(context, effect).is_none()
    {
        return INTERNAL_ERROR;
    }
    match post {
        Some(expected) => post::begin(r, context, expected, reason),
        None => pass::pass_at_once(r, context, reason),
    }
}

fn attach(
    r: Request,
    location: LocationSettings,
    cacheable: Option<CacheableRequest>,
) -> Option<&'static Context> {
    let context = Context::attach(r, location, cacheable)?;
    upstream::note_own(r, context)?;
    if r.is_subrequest() {
        count::see_to_subrequest(context)?;
    }
    Some(context)
}

/// Whether the body is read before anything else: a fill needs a copy of all of it, and keys and conditions may be made
/// of it, by whatever variable. That of a GET may turn out to be empty: over HTTP/2 and HTTP/3 the end of a request may
/// come after its header.
fn wants_body_first(r: Request, conf: &LocConf, location: &LocationSettings) -> bool {
    r.has_body()
        && !r.is_subrequest()
        && !r.is_body_read()
        && (!r.is_get_or_head() || r.has_body_of_unknown_length())
        && !r.wants_upgrade()
        && location.methods.contains(r.method())
        && !passes_whatever_the_body(r, conf)
}

/// Whether a request passes by the cache whatever its content is: then nobody needs to wait for that.
fn passes_whatever_the_body(r: Request, conf: &LocConf) -> bool {
    [conf.bypass(), conf.no_store()].iter().all(|predicates| {
        // SAFETY: filled by nginx's own setter.
        unsafe {
            Request::templates(*predicates).all(is_derivable) && r.holds(*predicates, Scope::Own)
        }
    })
}

/// What the cache is to do for this request, or why it has no part in it. `refresh`: it isn't looked up, but is stored.
fn cacheable(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    location: &LocationSettings,
    refresh: bool,
) -> Result<CacheableRequest, Reason> {
    if r.wants_upgrade() {
        return Err(Reason::Upgrade);
    }
    if memory::is_short() && !memory::restore() {
        return Err(Reason::NoMemory);
    }
    if !location.methods.contains(r.method()) {
        return Err(Reason::MethodNotListed);
    }
    // Content means nothing in a GET (RFC 9110 9.3.1), but there are backends that heed it, and it is no part of
    // the key: who sends it could choose what others get.
    if r.is_get_or_head() && r.has_body() && !r.is_subrequest() {
        return Err(Reason::Content);
    }
    // SAFETY: filled by nginx's own setter.
    let (bypass, no_store) = unsafe {
        // Values of the response are evaluated once more when it is there.
        (
            r.holds(conf.bypass(), Scope::Own),
            r.holds(conf.no_store(), Scope::Apart),
        )
    };
    if bypass && no_store {
        return Err(Reason::Bypass);
    }
    let bypass = bypass || refresh;
    key::make_key_again(r, conf, main);
    let (settings, known) =
        settings::settings(r, conf, main, location, !bypass).ok_or(Reason::NotConfigured)?;
    if key::misses_body(r, conf, main) {
        return Err(Reason::ContentUnknown);
    }
    // A fill has no Range: each slice would be the whole.
    if slice::is_sliced(r) {
        return Err(Reason::Slice);
    }
    let directives = if conf.honor_request == Some(true) {
        headers::directives(r)
    } else {
        RequestDirectives::default()
    };
    let view = RequestView {
        authorization: r.has_authorization(),
        no_store,
        asks_no_store: directives.no_store,
    };
    Ok(CacheableRequest {
        settings,
        bypass,
        view,
        directives,
        known: Cell::new(known),
    })
}

/// The body is here: our phase handler runs once more.
unsafe extern "C" fn body_read(r: *mut ngx_http_request_t) {
    guard("body", (), || {
        // SAFETY: nginx calls with the live request whose body it has read.
        if let Some(r) = unsafe { Request::new(r) } {
            r.resume_phases();
        }
    });
}
