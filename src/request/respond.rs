//! A record, or a fill's answer, becomes a response: conditions are evaluated here (RFC 9110 13), all
//! else comes from nginx's own filters, gzip and the cutting of ranges among it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use cache_core::cache_status_field::Forward;
use cache_core::conditions::{
    Date, Evaluation, Selected, evaluate, of_not_modified, range_applies,
};
use cache_core::flow::{Ending, Finding, Held};
use cache_core::headers::Headers;
use cache_core::outcome::{CacheStatus, Reason, Word};
use cache_core::ranges::{is_worth_it, skipped};
use cache_core::record::{Record, Unsent};
use cache_core::use_stale::Failure;
use ngx::ffi::*;

use crate::fill::{Next, ResponseHead, Subscription};
use crate::ngx::event::now_sec;
use crate::ngx::guard::{guard, trip};
use crate::ngx::headers::{NoMemory, Place};
use crate::ngx::output::{Output, await_writable};
use crate::ngx::request::{Code, ERROR, OK, Request, is_refused};
use crate::ngx::validators::Validators;
use crate::ngx::{accel, headers, modules, shim, unread};
use crate::request::context::Context;

const INTERNAL_ERROR: Code = NGX_HTTP_INTERNAL_SERVER_ERROR as Code;
const NOT_MODIFIED: u16 = NGX_HTTP_NOT_MODIFIED as u16;
const PRECONDITION_FAILED: Code = NGX_HTTP_PRECONDITION_FAILED as Code;
const RANGE_NOT_SATISFIABLE: Code = NGX_HTTP_RANGE_NOT_SATISFIABLE as Code;

/// So many bytes are thrown away rather than asking the backend once more.
const FAR: u64 = 256 * 1024;

/// Answers with a record; returns what the request is to be finalized with.
pub fn record(r: Request, context: &'static Context, record: Rc<Record>) -> Code {
    let body = record.body.clone();
    let Some(record) = context.keep(without_large_body(record)) else {
        return INTERNAL_ERROR;
    };
    let length = u64::try_from(body.len()).ok();
    let outcome = if r.is_conditional() {
        let date = Date::before(now_sec(), record.age);
        let selected = Selected::new(record.status, &record.headers, date, true);
        settle(r, &selected, length)
    } else {
        Evaluation::Proceed
    };
    let shape = Shape {
        status: record.status,
        headers: &record.headers,
        place: headers::kept,
        length,
        own_location: record.meta.as_ref().is_some_and(|meta| meta.own_location),
        age: Some(record.age),
        // Age and Expires count from the origin's Date; without it nginx would tell the time of this answer.
        date: record.meta.as_ref().and_then(|meta| meta.date),
        unsent: record.meta.as_ref().map(|meta| &meta.unsent),
    };
    let code = send_header(r, context, outcome, &shape);
    if is_refused(code) || r.is_header_only() {
        return code;
    }
    let mut output = Output::new(r);
    let code = output.send_whole(body);
    // The filters may still hold the body.
    *context.output.borrow_mut() = Some(output);
    code
}

/// What the header of a response needs of a record: the body has its own way, on which its memory may be given back.
fn without_large_body(record: Rc<Record>) -> Rc<Record> {
    if !unread::counts(&record.body) {
        return record;
    }
    let mut header = Rc::unwrap_or_clone(record);
    header.body = Bytes::new();
    Rc::new(header)
}

/// A fill's answer, for one request.
pub struct Source {
    /// The answer.
    pub subscription: Subscription,
    /// What was known of storing it beforehand.
    pub known: Option<Reason>,
    /// The record that the backend was asked about.
    pub held: Option<Rc<Held>>,
    /// How long past its freshness a record is kept, in seconds.
    pub stale: u32,
}

/// What the header of a fill's answer means for a request.
enum Turn {
    /// The answer itself is streamed.
    Stream(Rc<ResponseHead>),
    /// A record is the answer.
    Record(Rc<Record>),
    /// The request is finalized with this.
    Code(Code),
    /// The request must ask the backend itself.
    Pass(Reason),
}

/// Answers with a fill's answer as it comes, or with the record that it confirms or leaves in use. `None` if
/// it is no answer to this request, which must ask the backend itself.
pub async fn stream(r: Request, context: &'static Context, source: Source) -> Option<Code> {
    r.set_write_handler(writable);
    let head = source.subscription.wait_head().await;
    match turn(r, context, head, &source) {
        Turn::Stream(head) => Some(answer(r, context, &head, &source.subscription).await),
        Turn::Record(found) => {
            context.set_freshness(found.age, found.fresh_for(source.stale));
            Some(record(r, context, found))
        }
        Turn::Code(code) => Some(code),
        Turn::Pass(reason) => {
            context.say(Word::Skip, CacheStatus::Miss, reason);
            None
        }
    }
}

fn turn(r: Request, context: &Context, head: Option<Rc<ResponseHead>>, source: &Source) -> Turn {
    let held = source.held.as_ref();
    let stale = |held: &Held| {
        context.say(Word::Stale, CacheStatus::Stale, Reason::BackendFailed);
        context.set_forward(Forward::Stale);
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
        context.set_backend_status(status);
    }
    match (&head.finding, held) {
        (Finding::Confirmed(renewed), _) => {
            let (status, reason) = match held {
                Some(_) => (CacheStatus::Revalidated, Reason::Revalidated),
                None => (CacheStatus::Hit, Reason::Subscribed),
            };
            context.say(Word::Hit, status, reason);
            context.set_forward(Forward::Stale);
            return Turn::Record(Rc::new(renewed.record.clone()));
        }
        (Finding::Failed(_), Some(held)) => return stale(held),
        (Finding::NotStorable(_), Some(_)) if head.asked && head.status == 304 => {
            return Turn::Pass(Reason::NotModified);
        }
        (Finding::NotStorable(reason), _) if is_far(r, &head) => return Turn::Pass(*reason),
        (Finding::NotStorable(reason), Some(held))
            if head.generated && held.record.terms.never_stale =>
        {
            // RFC 9111 5.2.2.2: what must be validated and can't be is an error, and this is the one.
            context.say(Word::Skip, CacheStatus::Expired, *reason);
            return Turn::Code(NGX_HTTP_GATEWAY_TIME_OUT as Code);
        }
        (Finding::NotStorable(reason), _) => {
            if let (None, Some(status)) = (source.known, context.status()) {
                context.say(Word::Skip, status, *reason);
            }
        }
        (Finding::Failed(_), None) | (Finding::Storable(_), _) => {}
    }
    Turn::Stream(head)
}

/// Whether the client wants a part that is so far behind the beginning that the backend is better asked for it: as nobody
/// needs what is before.
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
    context.keep_head(head);
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
        settle(r, &selected, head.content_length)
    } else {
        Evaluation::Proceed
    };
    if head.status == 0 {
        // The backend's answer is a body alone, and nginx passes it on so.
        r.forbid_header();
    }
    let shape = Shape {
        status: head.status,
        headers,
        place: headers::copied,
        length: head.content_length,
        own_location: head.own_location,
        age: None,
        date: None,
        unsent: Some(&head.unsent),
    };
    // SAFETY: live request. The body comes in pieces: one range at a time can be cut from it.
    unsafe { shim::rcs_set_single_range(r.as_ptr(), 1) };
    let code = send_header(r, context, outcome, &shape);
    if is_refused(code) || r.is_header_only() {
        return code;
    }
    body(r, context, subscription).await
}

/// Evaluates what a client asks of an answer with a body of this length, in nginx's place.
fn settle(r: Request, selected: &Selected<'_>, length: Option<u64>) -> Evaluation {
    let conditions = r.conditions();
    let outcome = evaluate(r.method(), &conditions, selected, r.by_date());
    r.settle_conditions();
    let worth = |range: &&[u8]| length.is_some_and(|length| is_worth_it(range, length));
    r.settle_range(
        range_applies(r.method(), &conditions, selected) && conditions.range.iter().all(worth),
    );
    outcome
}

/// The header of an answer that a client is to get.
struct Shape<'a> {
    status: u16,
    headers: &'a Headers,
    place: Place<'a>,
    length: Option<u64>,
    /// Its Location is a path for nginx to complete.
    own_location: bool,
    age: Option<u32>,
    date: Option<u64>,
    /// What nginx has made of X-Accel-* fields that clients don't get.
    unsent: Option<&'a Unsent>,
}

/// Gives the client's response its header and sends it; returns what the filters say, or what to finalize with instead.
///
/// A response that isn't modified goes to the filters as it would otherwise be: [`crate::request::filters::conditions`] makes it a 304 if they
/// leave its validators alone.
fn send_header(r: Request, context: &Context, outcome: Evaluation, shape: &Shape<'_>) -> Code {
    if outcome == Evaluation::PreconditionFailed {
        return PRECONDITION_FAILED;
    }
    if apply(r, shape).is_err() {
        return INTERNAL_ERROR;
    }
    if outcome == Evaluation::NotModified {
        context.not_modified.set(Some(Validators::of(r)));
    }
    let code = pass_header(r);
    let undecided = context.not_modified.take().is_some();
    if !undecided || is_refused(code) || !modules::is_kept_for_image(r) {
        return code;
    }
    headers::clean(r);
    let shape = Shape {
        status: NOT_MODIFIED,
        headers: &of_not_modified(shape.headers),
        place: headers::copied,
        length: None,
        ..*shape
    };
    match apply(r, &shape) {
        Ok(()) => pass_header(r),
        Err(_) => INTERNAL_ERROR,
    }
}

fn apply(r: Request, shape: &Shape<'_>) -> Result<(), NoMemory> {
    let (headers, length) = (shape.headers, shape.length);
    headers::apply(
        r,
        shape.status,
        headers,
        shape.place,
        length,
        shape.own_location,
    )?;
    if let Some(age) = shape.age {
        let mut decimal = itoa::Buffer::new();
        headers::push_known(r, b"Age", decimal.format(age).as_bytes())?;
    }
    if let Some(date) = shape.date {
        headers::date(r, date)?;
    }
    if let Some(unsent) = shape.unsent {
        accel::apply(r, unsent)?;
    }
    Ok(())
}

/// Gives the header to the filters. Where nginx finds that there is no such range, the error page that it sends
/// instead isn't described by the record's header.
fn pass_header(r: Request) -> Code {
    let code = r.send_header();
    if code == RANGE_NOT_SATISFIABLE && headers::leave_content_range(r).is_err() {
        return ERROR;
    }
    code
}

async fn body(r: Request, context: &'static Context, subscription: &Subscription) -> Code {
    *context.output.borrow_mut() = Some(Output::new(r));
    let mut flushed = None;
    let end = r.end_of_part();
    let mut passed = 0_u64;
    loop {
        let (piece, last) = match subscription.next() {
            Next::Piece(piece) => {
                passed = passed.saturating_add(piece.len() as u64);
                // What is behind the part that the client asked for isn't waited for.
                (piece, end.is_some_and(|end| passed >= end))
            }
            Next::End(Ending::Whole) => (Bytes::new(), true),
            Next::End(_) => return cut(r, context),
            Next::Wait => {
                // The header doesn't wait for the body. Behind it what has come goes out where the
                // backend's location says so, as without proxy_buffering: else gzip and the like may
                // collect more. A filter that keeps the header back, as that of images does, needs
                // the body first: to it a flush would be a body of its own.
                let flushes = Some(subscription.flushes());
                if flushed != flushes
                    && r.is_header_sent()
                    && (with(context, Output::push_through) == Some(ERROR)
                        || await_writable(r) == ERROR)
                {
                    return ERROR;
                }
                if r.is_header_sent() {
                    flushed = flushes;
                }
                subscription.changed().await;
                continue;
            }
        };
        let Some(mut code) = with(context, |output| output.send(piece, last)) else {
            return ERROR;
        };
        if last {
            return code;
        }
        loop {
            if code == ERROR {
                return ERROR;
            }
            let buffered = await_writable(r);
            if buffered == ERROR {
                return ERROR;
            }
            if buffered == OK || with(context, |output| output.has_room()) == Some(true) {
                break;
            }
            wait_writable(context).await;
            let Some(next) = with(context, Output::flush) else {
                return ERROR;
            };
            code = next;
        }
    }
}

/// What the client has is not all: it gets what there is, and the end of its connection says the
/// rest (RFC 9112 8), as after a proxy_pass whose backend breaks off.
fn cut(r: Request, context: &Context) -> Code {
    r.forbid_keepalive();
    match with(context, Output::push_through) {
        Some(code) if code != ERROR => OK,
        _ => ERROR,
    }
}

fn with<T>(context: &Context, f: impl FnOnce(&mut Output) -> T) -> Option<T> {
    // Taken out: a filter may come back to us.
    let mut output = context.output.borrow_mut().take()?;
    let result = f(&mut output);
    *context.output.borrow_mut() = Some(output);
    Some(result)
}

async fn wait_writable(context: &Context) {
    let mut waited = false;
    poll_fn(|cx| {
        if waited && context.writable.borrow().is_none() {
            return Poll::Ready(());
        }
        waited = true;
        *context.writable.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// The client takes more, or has taken too long.
unsafe extern "C" fn writable(r: *mut ngx_http_request_t) {
    guard("write", (), || {
        // SAFETY: nginx calls with a live request.
        let Some(r) = (unsafe { Request::new(r) }) else {
            return;
        };
        if r.client_timed_out() {
            return;
        }
        if let Some(context) = Context::of(r) {
            context.hand_on("write", r, || go_on(r, context));
        }
    });
}

fn go_on(r: Request, context: &'static Context) {
    if r.is_delayed() {
        await_writable(r);
        return;
    }
    trip("write");
    let waker = context.writable.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    } else {
        // The task waits for the backend: what the filters hold goes on by itself.
        with(context, Output::flush);
        await_writable(r);
    }
}
