//! Responds from a fill: with its response as it comes, or with the record that it confirms or leaves in use.

use std::borrow::Cow;
use std::rc::Rc;

use cache_core::cache_status_field::Forward;
use cache_core::coding;
use cache_core::conditions::{Date, Evaluation, Selected};
use cache_core::flow::{self, Finding, Head, Held, Turn};
use cache_core::headers::Headers;
use cache_core::outcome::{Outcome, Reason, Source};
use cache_core::ranges::skipped;
use cache_core::shown::shown;
use cache_core::slices::Brought;
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::header::{Header, INTERNAL_ERROR, evaluate_conditions, send_header};
use super::{HeadOfObject, Response, Sending, Sent, body, record, slices};
use crate::conf::LocConf;
use crate::fill::{ResponseHead, Subscription, is_to_be_compressed};
use crate::ngx::request::{Code, Request, is_refused};
use crate::ngx::{headers, hints, shim};
use crate::request::cache_status::Forwarding;
use crate::request::context::Context;
use crate::request::discard::discard;
use crate::request::filters::coding::Coding;

/// So many bytes are thrown away rather than asking the backend once more.
const FAR: u64 = 256 * 1024;

/// A fill's response, for one request.
pub struct FillResponse {
    /// The response.
    pub subscription: Subscription,
    /// The record that the backend was asked about.
    pub held: Option<Rc<Held>>,
    /// Where a record was found that is held, or that another request has held.
    pub found: Source,
    /// How long past its freshness a record is kept, in seconds.
    pub stale: u32,
}

/// Responds with a fill's response as it comes, or with the record that it confirms or leaves in use.
pub async fn stream(r: Request, context: &'static Context, source: FillResponse) -> Sent {
    r.set_write_handler(body::writable);
    let hint = |lines: &Headers| {
        // A client that is gone is found out by what watches it.
        hints::send(r, lines);
    };
    let head = source.subscription.wait_head(hint).await;
    let Some(before) = context.outcome() else {
        return Sent::Code(INTERNAL_ERROR);
    };
    if let Some(status) = head.as_ref().and_then(|head| head.backend_status) {
        Forwarding::set_status(context, status);
    }
    let concerning = head.as_ref().map(|head| Head {
        finding: &head.finding,
        not_modified: head.conditional && head.status == NGX_HTTP_NOT_MODIFIED as u16,
        generated: head.generated,
        is_far: is_far(r, head),
    });
    let held = source.held.as_deref();
    let (turn, outcome) = flow::turn(before, concerning, (held, source.found));
    // A short response may have ended by now.
    context.set_outcome(outcome.after_fill(context.end_of_fill()));
    let found = match (turn, &head) {
        (Turn::Stream, Some(head)) => {
            return streamed(r, context, head, source.subscription).await;
        }
        (Turn::Renewed, Some(head)) => head.finding.renewed(),
        (Turn::Held, _) => held.map(|held| Rc::clone(&held.record)),
        (Turn::Pass, _) => {
            if held.is_some() {
                Forwarding::set_why(context, Forward::Stale);
            }
            return Sent::Pass;
        }
        (Turn::GatewayTimeout, _) => return Sent::Code(NGX_HTTP_GATEWAY_TIME_OUT as Code),
        (Turn::BadGateway, _) | (Turn::Stream | Turn::Renewed, None) => {
            return Sent::Code(NGX_HTTP_BAD_GATEWAY as Code);
        }
    };
    let Some(found) = found else {
        return Sent::Code(INTERNAL_ERROR);
    };
    Forwarding::set_why(context, Forward::Stale);
    context.set_freshness(found.age, found.fresh_for(source.stale));
    match HeadOfObject::of_record(Rc::clone(&found)) {
        // Slices are had by GET and HEAD.
        Some(_) if !r.is_get_or_head() => {
            context.forget_record();
            context.set_outcome(Outcome::passed(Reason::MethodNotListed));
            Sent::Pass
        }
        // Boxed to keep the future of other responses small.
        Some(head) => Box::pin(slices::send(r, context, head, None)).await,
        // The 304 has taken away what tells its slices from others.
        None if found.slices().is_some() => Sent::Pass,
        None => match record(r, context, found) {
            Sending::Done(code) => Sent::Code(code),
            Sending::Decode(decoding) => Sent::Code(body::decode(r, context, *decoding).await),
            Sending::Broken => {
                if let Some(cacheable) = &context.cacheable {
                    discard(cacheable).await;
                }
                context.forget_record();
                context.set_outcome(Outcome::passed(Reason::StoreUnavailable));
                Sent::Pass
            }
        },
    }
}

/// Responds with what comes.
async fn streamed(
    r: Request,
    context: &'static Context,
    head: &Rc<ResponseHead>,
    subscription: Subscription,
) -> Sent {
    match (&head.brought, &head.finding) {
        (Brought::Whole, _) => Sent::Code(answer(r, context, head, &subscription).await),
        (Brought::First(..), Finding::Storable(_)) if !r.is_get_or_head() => {
            context.set_outcome(Outcome::passed(Reason::MethodNotListed));
            Sent::Pass
        }
        (Brought::First(object, validator), Finding::Storable(plan)) => {
            context.set_ttl(plan.fresh_for);
            let known = (*object, validator.clone());
            let of_object = HeadOfObject::of_fill(head, subscription.headers(head), known, plan);
            Box::pin(slices::send(r, context, of_object, Some(subscription))).await
        }
        (Brought::Unfit(why), _) => {
            if let Some(cacheable) = &context.cacheable {
                let key = shown(&cacheable.settings.lookup.key.redis);
                ngx_log_error!(
                    NGX_LOG_INFO,
                    r.log(),
                    "redis_cache: the response of \"{key}\" isn't kept in slices: {}",
                    why.as_str()
                );
            }
            Sent::Again(Reason::PartialContent)
        }
        // What isn't kept is fetched by each client in the parts that it wants.
        _ => Sent::Pass,
    }
}

/// Whether the client wants a part that is so far behind the beginning that the backend is better asked for it: as
/// nobody needs what is before.
fn is_far(r: Request, head: &ResponseHead) -> bool {
    if head.generated || head.status != NGX_HTTP_OK as u16 {
        return false;
    }
    let skipped = r
        .range()
        .zip(head.content_length)
        .and_then(|(range, length)| skipped(range, length));
    skipped.is_some_and(|bytes| bytes > FAR)
}

/// Whether a response is stored compressed, so that others get it in another form.
fn has_two_forms(r: Request, head: &ResponseHead) -> bool {
    let compress = r
        .loc_conf::<LocConf>()
        .and_then(|conf| conf.compress.as_ref()?.as_ref());
    compress.is_some_and(|compress| is_to_be_compressed(compress, head))
}

/// The header for a client: what has two forms varies on Accept-Encoding from now on.
fn varying<'a>(context: &'static Context, headers: &Headers) -> Cow<'a, Headers> {
    // Without memory for it nginx may add a second one.
    let _ = Coding::of(context);
    Cow::Owned(coding::with_vary(headers))
}

async fn answer(
    r: Request,
    context: &'static Context,
    head: &Rc<ResponseHead>,
    subscription: &Subscription,
) -> Code {
    let Some(response) = context.state::<Response>() else {
        return INTERNAL_ERROR;
    };
    // For the variables of its upstream.
    let _ = response.head.set(Rc::clone(head));
    // What the store doesn't get has no time to live.
    if let Finding::Storable(plan) = &head.finding
        && context.reason() != Some(Reason::StoreUnavailable)
    {
        context.set_ttl(plan.fresh_for);
    }
    let has_two_forms = has_two_forms(r, head);
    let mut headers = subscription.headers(head);
    if has_two_forms {
        headers = varying(context, &headers);
    }
    let headers = &headers;
    let outcome = if r.is_conditional() {
        let date = Date::exactly(head.date);
        let selected = Selected::new(head.status, headers, date, false).in_two_forms(has_two_forms);
        evaluate_conditions(r, &selected, head.content_length)
    } else {
        Evaluation::Proceed
    };
    if head.status == 0 {
        // The backend's response is a body alone, and nginx passes it on so.
        r.forbid_header();
    }
    let header = Header {
        status: head.status,
        headers,
        to_nginx: headers::copied,
        length: head.content_length,
        own_location: head.own_location,
        age: None,
        date: None,
        unsent: Some(&head.unsent),
        phrase: head.unsent.phrase.as_ref(),
    };
    // SAFETY: live request. The body comes in pieces: one range at a time can be cut from it.
    unsafe { shim::rcs_set_single_range(r.as_ptr(), 1) };
    let code = send_header(r, context, outcome, &header);
    if is_refused(code) || r.is_header_only() {
        return code;
    }
    body::send(r, response, subscription).await
}
