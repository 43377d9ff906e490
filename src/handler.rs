//! Entry from nginx: a request comes, the flow decides, the answer is carried out.

use std::rc::Rc;

use cache_core::cache_status_field::Forward;
use cache_core::flow::{self, Answer, Behind, Held};
use cache_core::outcome::{CacheStatus, Reason, Word};
use cache_core::policy::RequestView;
use cache_core::request_directives::RequestDirectives;
use cache_core::usable::{self, Use};
use ngx::ffi::*;

use crate::access;
use crate::client_cache::{ClientCache, Ground};
use crate::conf::{Backend, LocConf, MainConf};
use crate::content;
use crate::context::{Context, Part};
use crate::fill::detached::{self, is_fill};
use crate::fill::registry::{Joined, LockPermit};
use crate::invalidation;
use crate::ngx::guard::{guard, trip};
use crate::ngx::headers;
use crate::ngx::memory;
use crate::ngx::request::{Code, DECLINED, DONE, ERROR, Request};
use crate::ngx::slice;
use crate::ngx::upstream;
use crate::respond::{self, Source};
use crate::settings::{self, Basics, Wish};
use crate::shm::zone::RefillSlot;
use crate::worker::{self, Go};

mod again;
mod mirror;
mod start;

use start::{Start, start_first, start_refill};

/// What the flow has decided for a request, and what a fill that it starts knows beforehand.
pub struct Decision {
    answer: Answer<LockPermit, Joined, RefillSlot>,
    ground: Option<Box<Ground>>,
}

/// The phase handler: PRECONTENT, before try_files and the location's content.
pub unsafe extern "C" fn precontent(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("handler", NGX_HTTP_INTERNAL_SERVER_ERROR as Code, || {
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
            upstream::note_left(r, &mut context.left.borrow_mut());
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
            context.hold.abandon(r);
            context.retire();
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
        let handlers: [(u32, ngx_http_handler_pt, bool); 5] = [
            (
                ngx_http_phases_NGX_HTTP_SERVER_REWRITE_PHASE,
                Some(rewrite),
                false,
            ),
            (ngx_http_phases_NGX_HTTP_REWRITE_PHASE, Some(rewrite), false),
            (
                ngx_http_phases_NGX_HTTP_REWRITE_PHASE,
                Some(access::rewrite),
                false,
            ),
            (
                ngx_http_phases_NGX_HTTP_PREACCESS_PHASE,
                Some(preaccess),
                false,
            ),
            (
                ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE,
                Some(precontent),
                true,
            ),
        ];
        for (phase, handler, late) in handlers {
            let Some(phase) = (*core).phases.get_mut(phase as usize) else {
                return false;
            };
            let place = ngx_array_push(&mut phase.handlers).cast::<ngx_http_handler_pt>();
            if place.is_null() {
                return false;
            }
            place.write(handler);
            if late {
                mirror::arrange(cf, &mut phase.handlers);
            }
        }
    }
    true
}

fn enter(r: Request) -> Code {
    let Some(conf) = r.loc_conf::<LocConf>() else {
        return ERROR;
    };
    if is_fill(r.connection()) || Context::of(r).is_some() {
        return again::enter(r, conf);
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
    let basics = settings::basics(r, conf, main);
    if wants_body_first(r, conf, &basics) {
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
    let (part, reason) = match wish(r, conf, main, &basics) {
        Ok(wish) => (Part::Wish(wish), None),
        Err(reason) => {
            let aftermath = invalidation::expected(r, conf, main, &basics, reason);
            (Part::None(aftermath.map(Box::new)), Some(reason))
        }
    };
    let Some(context) = Context::attach(r, basics, part) else {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as Code;
    };
    match (&context.wish, reason) {
        (Some(wish), None) => {
            begin(r, context, wish);
            DONE
        }
        (_, reason) => pass_at_once(r, context, reason.unwrap_or(Reason::NotConfigured)),
    }
}

/// Whether the body is read before anything else: a fill needs a copy of all of it, and keys and conditions may be made of
/// it, by whatever variable.
fn wants_body_first(r: Request, conf: &LocConf, basics: &Basics) -> bool {
    r.has_body()
        && !r.is_subrequest()
        && !r.is_body_read()
        && !r.is_get_or_head()
        && !r.wants_upgrade()
        && basics.methods.contains(r.method())
        && !content::passes_whatever_the_body(r, conf)
}

/// Whether the cache has a part in this request.
fn wish(r: Request, conf: &LocConf, main: &MainConf, basics: &Basics) -> Result<Wish, Reason> {
    if r.wants_upgrade() {
        return Err(Reason::Upgrade);
    }
    if memory::is_short() && !memory::restore() {
        return Err(Reason::NoMemory);
    }
    if !basics.methods.contains(r.method()) {
        return Err(Reason::MethodNotListed);
    }
    // Content means nothing in a GET (RFC 9110 9.3.1), but there are backends that heed it, and it is no part of
    // the key: who sends it could choose what others get.
    if r.is_get_or_head() && r.has_body() && !r.is_subrequest() {
        return Err(Reason::Content);
    }
    // SAFETY: filled by nginx's own setter.
    let (bypass, no_store) = unsafe {
        // Values of the answer are asked once more when it is there.
        (r.holds(conf.bypass()), r.holds_so_far(conf.no_store()))
    };
    if bypass && no_store {
        return Err(Reason::Bypass);
    }
    content::make_key_again(r, conf, main);
    let settings = settings::settings(r, conf, main, basics).ok_or(Reason::NotConfigured)?;
    if content::misses_body(r, conf, main) {
        return Err(Reason::ContentUnknown);
    }
    // A fill has no Range: each slice would be the whole.
    if slice::is_sliced(r) {
        return Err(Reason::Slice);
    }
    let asks = if conf.honor_request == Some(true) {
        headers::directives(r)
    } else {
        RequestDirectives::default()
    };
    let view = RequestView {
        authorization: r.has_authorization(),
        no_store,
        asks_no_store: asks.no_store,
    };
    Ok(Wish {
        settings,
        bypass,
        view,
        asks,
    })
}

/// A request that the cache has no part in goes on in this very phase.
fn pass_at_once(r: Request, context: &'static Context, reason: Reason) -> Code {
    say_pass(r, context, reason);
    if context.basics.backend == Backend::Own {
        return DECLINED;
    }
    redirect(r, &context.basics.backend);
    DONE
}

fn say_pass(r: Request, context: &Context, reason: Reason) {
    let status = match reason {
        Reason::MethodNotListed
        | Reason::Content
        | Reason::ContentUnknown
        | Reason::Slice
        | Reason::Bypass
        | Reason::Upgrade => CacheStatus::Bypass,
        _ => CacheStatus::Miss,
    };
    context.say(Word::Skip, status, reason);
    context.set_passing(r);
}

/// The backend's location, in the client's own request.
fn redirect(r: Request, backend: &Backend) {
    match backend {
        Backend::Own => {}
        Backend::Uri(prefix) => r.internal_redirect(&[prefix.as_ref(), r.uri()].concat()),
        Backend::Named(name) => r.named_location(name),
    }
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

fn begin(r: Request, context: &'static Context, wish: &'static Wish) {
    r.await_task();
    let task = worker::serve(
        async move {
            let cache = ClientCache::new(wish, r);
            let answer = if wish.asks.only_if_cached {
                flow::only_if_cached(&cache).await
            } else if wish.bypass {
                flow::bypass(&cache, wish.settings.lookup.store.available())
            } else {
                flow::serve(&cache, wish.settings.limits).await
            };
            let fills = matches!(
                answer,
                Answer::Fill(..) | Answer::Stale(_, Behind::Refill(_))
            );
            let ground = fills.then(|| Box::new(cache.ground()));
            context.decision.set(Some(Decision { answer, ground }));
            Some(Go {
                request: r,
                context,
                code: None,
                on: decided,
            })
        },
        Go::failed(r, context),
    );
    context.set_task(Some(task));
}

fn decided(r: Request, context: &'static Context, _: Option<Code>) {
    context.hand_on("answer", r, || {
        if let (Some(decision), Some(wish)) = (context.decision.take(), &context.wish) {
            trip("deliver");
            deliver(r, context, wish, decision);
        }
    });
}

/// Carries out what the flow has decided. The request may be gone when it returns.
fn deliver(r: Request, context: &'static Context, wish: &Wish, decision: Decision) {
    let Decision { answer, ground } = decision;
    context.set_task(None);
    let (word, status) = (answer.word(), answer.status());
    match answer {
        Answer::Hit(record) => {
            context.say(word, status, Reason::Fresh);
            context.set_freshness(
                record.age,
                record.fresh_for(wish.settings.lookup.rules.stale),
            );
            let code = respond::record(r, context, record);
            r.finalize(code);
        }
        Answer::Stale(record, behind) => {
            let (reason, refill) = match behind {
                Behind::Refill(refill) => (Reason::Stale, Some(refill)),
                Behind::Updating => (Reason::Updating, None),
                Behind::Failing => (Reason::BackendFailed, None),
            };
            context.say(word, status, reason);
            context.set_freshness(
                record.age,
                record.fresh_for(wish.settings.lookup.rules.stale),
            );
            let held = refill.as_ref().map(|refill| Held {
                record: Rc::clone(&record),
                on_failure: refill.on_failure,
            });
            let code = respond::record(r, context, record);
            trip("refill");
            if let (Some(refill), Some(held), Some(ground)) = (refill, held, ground) {
                start_refill(r, context, wish, refill, (held, ground));
            }
            r.finalize(code);
        }
        // A fill carries no conditions, but the backend must not do more than the client wants.
        Answer::Fill(permit, ..) if r.is_guarded() => {
            drop(permit);
            pass(r, context, Reason::Conditional);
        }
        Answer::Fill(permit, known, held) => {
            let Some(ground) = ground else {
                return pass(r, context, Reason::NotConfigured);
            };
            let start = Start {
                permit,
                look_again: false,
                known,
                slot: None,
                ground,
                held: held.map(Rc::new),
            };
            let status = if wish.bypass {
                CacheStatus::Bypass
            } else {
                status
            };
            fetch(r, context, wish, start, (word, status));
        }
        Answer::Join(joined) => {
            let (word, status, reason) = if joined.stored {
                (word, status, Reason::Subscribed)
            } else {
                (Word::Skip, CacheStatus::Miss, Reason::StoreUnavailable)
            };
            context.say(word, status, reason);
            context.set_fill(&joined.times, true);
            // It has its header: it waits no more.
            drop(joined.queued);
            let source = Source {
                subscription: joined.subscription,
                known: Some(reason),
                held: None,
                stale: wish.settings.lookup.rules.stale,
            };
            stream(r, context, source);
        }
        Answer::Pass(Reason::OnlyIfCached) => {
            context.say(word, status, Reason::OnlyIfCached);
            r.finalize(NGX_HTTP_GATEWAY_TIME_OUT as Code);
        }
        Answer::Pass(reason) => pass(r, context, reason),
    }
}

/// The backend's answer through a fill that this request starts.
fn fetch(
    r: Request,
    context: &'static Context,
    wish: &Wish,
    start: Start,
    (word, status): (Word, CacheStatus),
) {
    let (known, held) = (start.known, start.held.clone());
    let rules = &wish.settings.lookup.rules;
    match &held {
        // Only this client wants another.
        Some(held) if usable::judge(&held.record, rules) == Use::Fresh => {
            context.set_forward(Forward::Request);
        }
        None if known.is_none() && start.ground.variants.family.is_some() => {
            context.set_forward(Forward::VaryMiss);
        }
        _ => {}
    }
    let Some(subscription) = start_first(r, context, wish, start) else {
        return pass(r, context, Reason::NoConnections);
    };
    context.say(word, status, known.unwrap_or(Reason::Storing));
    let source = Source {
        subscription,
        known,
        held,
        stale: rules.stale,
    };
    stream(r, context, source);
}

/// The backend, in the client's own request, after a wait.
fn pass(r: Request, context: &'static Context, reason: Reason) {
    say_pass(r, context, reason);
    if context.basics.backend == Backend::Own {
        r.run_phases_from(context.after);
    } else {
        let c = r.connection();
        redirect(r, &context.basics.backend);
        // SAFETY: the connection outlives its requests until posted ones have run.
        unsafe { ngx_http_run_posted_requests(c) };
    }
}

fn stream(r: Request, context: &'static Context, source: Source) {
    r.watch_client();
    let task = worker::serve(
        async move {
            let code = respond::stream(r, context, source).await;
            Some(Go {
                request: r,
                context,
                code,
                on: streamed,
            })
        },
        Go::failed(r, context),
    );
    context.set_task(Some(task));
}

/// The answer has been sent, or it is none to this request.
fn streamed(r: Request, context: &'static Context, code: Option<Code>) {
    context.set_task(None);
    context.hand_on("answer", r, || {
        trip("streamed");
        match code {
            Some(code) => r.finalize(code),
            // It has said why.
            None => pass(r, context, context.reason().unwrap_or(Reason::Part)),
        }
    });
}
