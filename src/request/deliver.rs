//! What the flow decides for a request, and how that is carried out.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use cache_core::cache_status_field::Forward;
use cache_core::counters::Coalesced;
use cache_core::flow::{self, Answer, Behind, Held, Refill};
use cache_core::outcome::{Outcome, Reason, Source};
use cache_core::record::Record;
use cache_core::usable;
use ngx::ffi::*;

use crate::fill::registry::{Joined, LockPermit};
use crate::fill::start::{FillTarget, Initiator, Start, start_first, start_refill};
use crate::ngx::guard::trip;
use crate::ngx::headers;
use crate::ngx::request::{Code, DONE, Request};
use crate::request::cache::{RequestCache, hit_in_memory};
use crate::request::cache_status::Forwarding;
use crate::request::context::Context;
use crate::request::discard;
use crate::request::explain;
use crate::request::key;
use crate::request::pass::pass;
use crate::request::respond::{self, Decoding, FillResponse, HeadOfObject, Sending, Sent};
use crate::request::settings::CacheableRequest;
use crate::request::state::State;
use crate::shm::zone::RefillSlot;
use crate::store::lookup::Lookup;
use crate::worker::{self, Go};

/// Seconds after which a client may come again that was refused because the store is down: it is tried again within a
/// second.
const RETRY_AFTER: &[u8] = b"1";

/// What the flow has decided for a request, and what a fill that it starts knows beforehand.
pub struct Decision {
    answer: Answer<LockPermit, Joined, RefillSlot>,
    /// Where the record was found, if there is one.
    found: Source,
    /// The request has waited for another one's fill.
    has_waited: bool,
    target: Option<Box<FillTarget>>,
}

/// A decision that waits to be carried out.
#[derive(Default)]
struct Decided(Cell<Option<Decision>>);

impl State for Decided {}

/// Asks the flow about a request, in a task that ends with it. Returns what our phase handler does.
pub fn begin(r: Request, context: &'static Context, cacheable: &'static CacheableRequest) -> Code {
    if !cacheable.bypass
        && let Some(hit) = hit_in_memory(r, context, cacheable)
    {
        let mut is_broken = false;
        context.hand_on("answer", r, || {
            let (stale_for, standing) = (cacheable.settings.lookup.rules.stale, hit.standing);
            context.set_outcome(Outcome::fresh(Source::Memory));
            context.set_freshness(standing.age, standing.fresh_for(stale_for));
            match respond::memory(r, context, hit) {
                Sending::Done(code) => r.finalize_in_phase(code),
                Sending::Decode(decoding) => decode(r, context, *decoding),
                Sending::Broken => is_broken = true,
            }
        });
        if is_broken {
            serve_anew(r, context, cacheable);
        }
        return DONE;
    }
    match ask(r, context, cacheable) {
        Some(()) => DONE,
        None => NGX_HTTP_INTERNAL_SERVER_ERROR as Code,
    }
}

/// Has a task ask the flow. `None` if there is no memory.
fn ask(r: Request, context: &'static Context, cacheable: &'static CacheableRequest) -> Option<()> {
    let decided = context.state::<Decided>()?;
    r.await_task();
    context.serve(r, async move {
        let cache = RequestCache::new(cacheable, r);
        let answer = if cacheable.directives.only_if_cached {
            flow::only_if_cached(&cache).await
        } else if cacheable.bypass {
            let Lookup { store, key, .. } = &cacheable.settings.lookup;
            flow::bypass(&cache, store.available(&key.redis))
        } else {
            flow::serve(&cache, cacheable.settings.limits).await
        };
        let fills = matches!(
            answer,
            Answer::Fill(..) | Answer::Ahead(..) | Answer::Stale(_, Behind::Refill(_))
        );
        let target = fills.then(|| Box::new(cache.target()));
        let (found, has_waited) = (cache.found(), cache.has_waited());
        explain::note_variant(context, cache.variant());
        decided.0.set(Some(Decision {
            answer,
            found,
            has_waited,
            target,
        }));
        Some(Go {
            request: r,
            code: None,
            on: carry_out,
        })
    });
    Some(())
}

/// How often a request has begun anew.
#[derive(Default)]
struct Anew(Cell<u32>);

impl State for Anew {}

/// A request begins anew so many times at most: after that it asks the backend itself.
const TIMES_ANEW: u32 = 3;

/// What a request was about to get is nothing any more: it is looked up once more.
fn begin_anew(r: Request, context: &'static Context, reason: Reason) {
    let (Some(anew), Some(cacheable)) = (context.state::<Anew>(), &context.cacheable) else {
        return r.give_up();
    };
    let times = anew.0.get();
    context.forget_fill();
    if times == TIMES_ANEW {
        return pass(r, context, reason);
    }
    anew.0.set(times + 1);
    if ask(r, context, cacheable).is_none() {
        r.give_up();
    }
}

/// A record is the response.
fn respond(r: Request, context: &'static Context, record: Rc<Record>) {
    match HeadOfObject::of_record(Rc::clone(&record)) {
        // Slices are had by GET and HEAD.
        Some(_) if !r.is_get_or_head() => {
            context.forget_record();
            pass(r, context, Reason::MethodNotListed);
        }
        Some(head) => {
            serve(r, context, respond::send_slices(r, context, head, None));
        }
        None => {
            let sending = respond::record(r, context, record);
            finish(r, context, sending);
        }
    }
}

/// The rest of a response.
fn finish(r: Request, context: &'static Context, sending: Sending) {
    match sending {
        Sending::Done(code) => r.finalize(code),
        Sending::Decode(decoding) => decode(r, context, *decoding),
        Sending::Broken => match &context.cacheable {
            Some(cacheable) => serve_anew(r, context, cacheable),
            None => pass(r, context, Reason::StoreUnavailable),
        },
    }
}

/// The record is broken. It is deleted, and the request is served as if there had been none; the second time the backend is asked.
fn serve_anew(r: Request, context: &'static Context, cacheable: &'static CacheableRequest) {
    let discarded = discard::discard(cacheable);
    if !discard::is_first(context) {
        worker::spawn(async move {
            discarded.await;
            None
        });
        return pass(r, context, Reason::StoreUnavailable);
    }
    context.forget_record();
    r.await_task();
    context.serve(r, async move {
        discarded.await;
        Some(Go {
            request: r,
            code: None,
            on: ask_again,
        })
    });
}

/// The broken record is gone.
fn ask_again(r: Request, _: Option<Code>) {
    let Some(context) = Context::of(r) else {
        return r.give_up();
    };
    context.end_task();
    context.hand_on("answer", r, || match &context.cacheable {
        Some(cacheable) if ask(r, context, cacheable).is_some() => {}
        _ => r.give_up(),
    });
}

/// The body of a compressed record, as the client takes it.
fn decode(r: Request, context: &'static Context, decoding: Decoding) {
    r.set_write_handler(respond::writable);
    r.watch_client();
    context.serve(r, async move {
        let code = respond::decode(r, context, decoding).await;
        Some(Go {
            request: r,
            code: Some(code),
            on: streamed,
        })
    });
}

/// The flow has decided: the request goes on by that.
fn carry_out(r: Request, _: Option<Code>) {
    let Some(context) = Context::of(r) else {
        return r.give_up();
    };
    context.hand_on("answer", r, || {
        let decision = context
            .find::<Decided>()
            .and_then(|decided| decided.0.take());
        if let (Some(decision), Some(cacheable)) = (decision, &context.cacheable) {
            trip("deliver");
            deliver(r, context, cacheable, decision);
        }
    });
}

/// Carries out what the flow has decided. The request may be gone when it returns.
fn deliver(
    r: Request,
    context: &'static Context,
    cacheable: &CacheableRequest,
    decision: Decision,
) {
    let Decision {
        answer,
        found,
        has_waited,
        target,
    } = decision;
    context.end_task();
    let outcome = answer.outcome(found, cacheable.bypass);
    let stale_for = cacheable.settings.lookup.rules.stale;
    match answer {
        Answer::Hit(record) => {
            context.set_outcome(outcome);
            if has_waited {
                context.set_coalesced(Coalesced::Record);
            }
            context.set_freshness(record.age, record.fresh_for(stale_for));
            respond(r, context, record);
        }
        Answer::Ahead(record, refill) => {
            context.set_outcome(outcome);
            context.set_freshness(record.age, record.fresh_for(stale_for));
            if has_waited {
                context.set_coalesced(Coalesced::Record);
            }
            and_refill(r, context, cacheable, record, (Some(refill), target));
        }
        Answer::Stale(record, behind) => {
            context.set_outcome(outcome);
            context.set_freshness(record.age, record.fresh_for(stale_for));
            let refill = match behind {
                Behind::Refill(refill) => Some(refill),
                Behind::Updating | Behind::Failing => None,
            };
            and_refill(r, context, cacheable, record, (refill, target));
        }
        // A fill carries no conditions, but the backend must not do more than the client wants.
        Answer::Fill(permit, ..) if r.is_guarded() => {
            drop(permit);
            pass(r, context, Reason::Conditional);
        }
        // Large responses are had in the parts that clients want: what isn't stored by the request's own range.
        Answer::Fill(permit, _, None)
            if cacheable.settings.slice.is_some()
                && r.range().is_some()
                && let Err(reason) = initiator(r, context, cacheable).is_stored() =>
        {
            drop(permit);
            pass(r, context, reason);
        }
        Answer::Fill(permit, known, held) => {
            let Some(target) = target else {
                return pass(r, context, Reason::NotConfigured);
            };
            let start = Start {
                permit,
                look_again: false,
                known,
                slot: None,
                status: outcome.status(),
                target,
                held: held.map(Rc::new),
                slice: None,
            };
            fetch(r, context, cacheable, start, (outcome, found));
        }
        Answer::Join(joined) => join(r, context, joined, stale_for),
        Answer::Pass(Reason::OnlyIfCached) => {
            context.set_outcome(outcome);
            r.finalize(NGX_HTTP_GATEWAY_TIME_OUT as Code);
        }
        Answer::Pass(Reason::StoreRequired) => {
            context.set_outcome(outcome);
            // Without memory for the line the code tells enough.
            let _ = headers::push_known(r, b"Retry-After", RETRY_AFTER);
            r.finalize(NGX_HTTP_SERVICE_UNAVAILABLE as Code);
        }
        Answer::Pass(reason) => pass(r, context, reason),
    }
}

/// What a fill needs of the request that starts it.
fn initiator<'a>(
    r: Request,
    context: &'a Context,
    cacheable: &'a CacheableRequest,
) -> Initiator<'a> {
    Initiator {
        request: r,
        lookup: &cacheable.settings.lookup,
        terms: &cacheable.settings.terms,
        view: cacheable.view,
        slice: cacheable.settings.slice,
        backend: &context.location.backend,
        next_phase: context.after,
    }
}

/// A record is the response that is stale, or about to be, and may be refilled behind the client's back.
fn and_refill(
    r: Request,
    context: &'static Context,
    cacheable: &CacheableRequest,
    record: Rc<Record>,
    (refill, target): (
        Option<Refill<LockPermit, RefillSlot>>,
        Option<Box<FillTarget>>,
    ),
) {
    let held = refill.as_ref().map(|refill| Held {
        record: Rc::clone(&record),
        on_failure: refill.on_failure,
    });
    let sending = match record.slices() {
        Some(_) => None,
        None => Some(respond::record(r, context, Rc::clone(&record))),
    };
    trip("refill");
    if let (Some(refill), Some(held), Some(target)) = (refill, held, target) {
        let initiator = initiator(r, context, cacheable);
        start_refill(&initiator, key::template(r), refill, (held, target));
    }
    match sending {
        Some(sending) => finish(r, context, sending),
        None => respond(r, context, record),
    }
}

/// The response of a fill that another request has started.
fn join(r: Request, context: &'static Context, joined: Joined, stale_for: u32) {
    let outcome = Outcome::joined(joined.stored);
    context.set_outcome(outcome);
    context.set_coalesced(Coalesced::Stream);
    Forwarding::set_fill(context, &joined.times, true);
    // It has its header: it waits no more.
    drop(joined.queued);
    let source = FillResponse {
        subscription: joined.subscription,
        held: None,
        found: Source::Store,
        stale: stale_for,
    };
    stream(r, context, source);
}

/// The backend's response through a fill that this request starts.
fn fetch(
    r: Request,
    context: &'static Context,
    cacheable: &CacheableRequest,
    start: Start,
    (expected, found): (Outcome, Source),
) {
    let held = start.held.clone();
    let rules = &cacheable.settings.lookup.rules;
    match &held {
        // Only this client wants another.
        Some(held) if usable::judge(&held.record, rules).is_fresh() => {
            Forwarding::set_why(context, Forward::Request);
        }
        None if start.known.is_none() && start.target.variants.family.is_some() => {
            Forwarding::set_why(context, Forward::VaryMiss);
        }
        // What comes of the response may give the outcome another reason.
        _ => {
            if let Some(why) = start
                .known
                .and_then(|known| Forward::of(start.status, known))
            {
                Forwarding::set_why(context, why);
            }
        }
    }
    let initiator = initiator(r, context, cacheable);
    let outcome = Rc::default();
    let Some((subscription, times)) = start_first(&initiator, start, Rc::clone(&outcome)) else {
        return pass(r, context, Reason::NoConnections);
    };
    context.set_fill_outcome(outcome);
    Forwarding::set_fill(context, &times, false);
    context.set_outcome(expected);
    let source = FillResponse {
        subscription,
        held,
        found,
        stale: rules.stale,
    };
    stream(r, context, source);
}

fn stream(r: Request, context: &'static Context, source: FillResponse) {
    r.watch_client();
    serve(r, context, respond::stream(r, context, source));
}

/// Serves a request by this work.
fn serve(r: Request, context: &'static Context, work: impl Future<Output = Sent> + 'static) {
    context.serve(r, async move {
        let sent = work.await;
        let (code, on): (_, fn(Request, Option<Code>)) = match sent {
            Sent::Code(code) => (Some(code), streamed),
            Sent::Pass => (None, streamed),
            Sent::Again(Reason::PartialContent) => (None, unfit),
            Sent::Again(_) => (None, changed),
        };
        Some(Go {
            request: r,
            code,
            on,
        })
    });
}

/// The response can't be kept in slices.
fn unfit(r: Request, _: Option<Code>) {
    anew(r, Reason::PartialContent);
}

/// The backend has another one now.
fn changed(r: Request, _: Option<Code>) {
    anew(r, Reason::RecordChanged);
}

fn anew(r: Request, reason: Reason) {
    let Some(context) = Context::of(r) else {
        return r.give_up();
    };
    context.end_task();
    context.hand_on("answer", r, || begin_anew(r, context, reason));
}

/// The response has been sent, or it is none to this request.
fn streamed(r: Request, code: Option<Code>) {
    let Some(context) = Context::of(r) else {
        return r.give_up();
    };
    context.end_task();
    context.hand_on("answer", r, || {
        trip("streamed");
        match code {
            Some(code) => r.finalize(code),
            // It has said why.
            None => pass(r, context, context.reason().unwrap_or(Reason::Part)),
        }
    });
}
