//! Responds from a fill: with its response as it comes, or with the record that it confirms or leaves in use.

use std::rc::Rc;

use cache_core::cache_status_field::Forward;
use cache_core::conditions::{Date, Evaluation, Selected};
use cache_core::flow::{Finding, Held};
use cache_core::outcome::{CacheStatus, Reason, Source, Word};
use cache_core::ranges::skipped;
use cache_core::record::Record;
use cache_core::use_stale::Failure;
use ngx::ffi::*;

use super::header::{Header, INTERNAL_ERROR, evaluate_conditions, send_header};
use super::{Response, body, record};
use crate::fill::{ResponseHead, Subscription};
use crate::ngx::request::{Code, Request, is_refused};
use crate::ngx::{headers, shim};
use crate::request::cache_status::Forwarding;
use crate::request::context::Context;

/// So many bytes are thrown away rather than asking the backend once more.
const FAR: u64 = 256 * 1024;

/// A fill's response, for one request.
pub struct FillResponse {
    /// The response.
    pub subscription: Subscription,
    /// What was known of storing it beforehand.
    pub known: Option<Reason>,
    /// The record that the backend was asked about.
    pub held: Option<Rc<Held>>,
    /// Where a record was found that is held, or that another request has held.
    pub found: Source,
    /// How long past its freshness a record is kept, in seconds.
    pub stale: u32,
}

/// What the header of a fill's response means for a request.
enum Turn {
    /// The response itself is streamed.
    Stream(Rc<ResponseHead>),
    /// A record is the response.
    Record(Rc<Record>),
    /// The request is finalized with this.
    Code(Code),
    /// The request must ask the backend itself.
    Pass(Reason),
}

/// Responds with a fill's response as it comes, or with the record that it confirms or leaves in use. `None` if it is
/// none for this request, which must ask the backend itself.
pub async fn stream(r: Request, context: &'static Context, source: FillResponse) -> Option<Code> {
    r.set_write_handler(body::writable);
    let head = source.subscription.wait_head().await;
    match turn(r, context, head, &source) {
        Turn::Stream(head) => Some(answer(r, context, &head, &source.subscription).await),
        Turn::Record(found) => {
            context.set_source(source.found);
            context.set_freshness(found.age, found.fresh_for(source.stale));
            Some(record(r, context, found))
        }
        Turn::Code(code) => Some(code),
        Turn::Pass(reason) => {
            context.set_outcome(Word::Skip, CacheStatus::Miss, reason);
            None
        }
    }
}

fn turn(
    r: Request,
    context: &'static Context,
    head: Option<Rc<ResponseHead>>,
    source: &FillResponse,
) -> Turn {
    let held = source.held.as_ref();
    let stale = |held: &Held| {
        context.set_outcome(Word::Stale, CacheStatus::Stale, Reason::BackendFailed);
        Forwarding::set_why(context, Forward::Stale);
        Turn::Record(Rc::clone(&held.record))
    };
    let Some(head) = head else {
        return match held {
            Some(held) if held.on_failure.allows(Failure::Error) => stale(held),
            Some(held) if held.record.terms.never_stale => {
                Turn::Code(NGX_HTTP_GATEWAY_TIME_OUT as Code)
            }
            _ => Turn::Code(NGX_HTTP_BAD_GATEWAY as Code),
        };
    };
    if let Some(status) = head.backend_status {
        Forwarding::set_status(context, status);
    }
    match (&head.finding, held) {
        (Finding::Confirmed(renewed), _) => {
            let (status, reason) = match held {
                Some(_) => (CacheStatus::Revalidated, Reason::Revalidated),
                None => (CacheStatus::Hit, Reason::Subscribed),
            };
            context.set_outcome(Word::Hit, status, reason);
            Forwarding::set_why(context, Forward::Stale);
            return Turn::Record(Rc::new(renewed.record.clone()));
        }
        (Finding::Failed(_), Some(held)) => return stale(held),
        (Finding::NotStorable(_), Some(_)) if head.conditional && head.status == 304 => {
            return Turn::Pass(Reason::NotModified);
        }
        (Finding::NotStorable(reason), _) if is_far(r, &head) => return Turn::Pass(*reason),
        (Finding::NotStorable(reason), Some(held))
            if head.generated && held.record.terms.never_stale =>
        {
            // RFC 9111 5.2.2.2: what must be validated and can't be is an error, and this is the one.
            context.set_outcome(Word::Skip, CacheStatus::Expired, *reason);
            return Turn::Code(NGX_HTTP_GATEWAY_TIME_OUT as Code);
        }
        (Finding::NotStorable(reason), _) => {
            if let (None, Some(status)) = (source.known, context.status()) {
                context.set_outcome(Word::Skip, status, *reason);
            }
        }
        (Finding::Failed(_), None) | (Finding::Storable(_), _) => {}
    }
    Turn::Stream(head)
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
    let headers = &subscription.headers(head);
    let outcome = if r.is_conditional() {
        let date = Date::exactly(head.date);
        let selected = Selected::new(head.status, headers, date, false);
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
