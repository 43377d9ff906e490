//! A record, or a fill's answer, becomes a response through nginx's own filters: gzip, ranges and
//! conditional requests come from there.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use cache_core::flow::{Ending, Finding, Held};
use cache_core::record::Record;
use cache_core::status::{CacheStatus, Reason, Word};
use cache_core::use_stale::Failure;
use ngx::ffi::*;

use crate::context::Context;
use crate::fill::{Next, ResponseHead, Subscription};
use crate::ngx::guard::guard;
use crate::ngx::output::{Output, await_writable};
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::ngx::{headers, shim};

const INTERNAL_ERROR: Code = NGX_HTTP_INTERNAL_SERVER_ERROR as Code;

/// Answers with a record; returns what the request is to be finalized with.
pub fn record(r: Request, context: &'static Context, record: Record) -> Code {
    let length = u64::try_from(record.body.len()).ok();
    let age = record.age.to_string();
    let own_location = record.meta.as_ref().is_some_and(|meta| meta.own_location);
    if headers::apply(r, record.status, &record.headers, length, own_location).is_err()
        || headers::push(r, b"Age", age.as_bytes()).is_err()
    {
        return INTERNAL_ERROR;
    }
    let code = r.send_header();
    if code != OK || r.is_header_only() {
        return code;
    }
    let mut output = Output::new(r);
    let code = output.send(record.body, true);
    // The filters may still hold the body.
    *context.output.borrow_mut() = Some(output);
    code
}

/// A fill's answer, for one request.
pub struct Source {
    /// The answer.
    pub subscription: Subscription,
    /// What was known of storing it beforehand.
    pub known: Option<Reason>,
    /// The record that the backend was asked about.
    pub held: Option<Rc<Held>>,
}

/// What the header of a fill's answer means for a request.
enum Turn {
    /// The answer itself is streamed.
    Stream(Rc<ResponseHead>),
    /// A record is the answer.
    Record(Record),
    /// The request is finalized with this.
    Code(Code),
    /// The request must ask the backend itself.
    Pass,
}

/// Answers with a fill's answer as it comes, or with the record that it confirms or leaves in use. `None` if
/// it is no answer to this request, which must ask the backend itself.
pub async fn stream(r: Request, context: &'static Context, source: Source) -> Option<Code> {
    r.set_write_handler(writable);
    let head = source.subscription.wait_head().await;
    match turn(context, head, &source) {
        Turn::Stream(head) => Some(answer(r, context, &head, &source.subscription).await),
        Turn::Record(found) => {
            context.set_age(found.age);
            Some(record(r, context, found))
        }
        Turn::Code(code) => Some(code),
        Turn::Pass => None,
    }
}

fn turn(context: &Context, head: Option<Rc<ResponseHead>>, source: &Source) -> Turn {
    let held = source.held.as_ref();
    let stale = |held: &Held| {
        context.say(Word::Stale, CacheStatus::Stale, Reason::BackendFailed);
        Turn::Record(held.record.clone())
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
    match (&head.finding, held) {
        (Finding::Confirmed(renewed), _) => {
            let (status, reason) = match held {
                Some(_) => (CacheStatus::Revalidated, Reason::Revalidated),
                None => (CacheStatus::Hit, Reason::Subscribed),
            };
            context.say(Word::Hit, status, reason);
            return Turn::Record(renewed.record.clone());
        }
        (Finding::Failed(_), Some(held)) => return stale(held),
        (Finding::NotStorable(Reason::NotModified), Some(_)) if head.asked => return Turn::Pass,
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

async fn answer(
    r: Request,
    context: &'static Context,
    head: &ResponseHead,
    subscription: &Subscription,
) -> Code {
    let length = head.content_length;
    if headers::apply(r, head.status, &head.headers, length, head.own_location).is_err() {
        return INTERNAL_ERROR;
    }
    // SAFETY: live request. The body comes in pieces: one range at a time can be cut from it.
    unsafe { shim::rcs_set_single_range(r.as_ptr(), 1) };
    let code = r.send_header();
    if code != OK || r.is_header_only() {
        return code;
    }
    body(r, context, subscription).await
}

async fn body(r: Request, context: &'static Context, subscription: &Subscription) -> Code {
    *context.output.borrow_mut() = Some(Output::new(r));
    let mut flushed = None;
    loop {
        let (piece, last) = match subscription.next() {
            Next::Piece(piece) => (piece, false),
            Next::End(Ending::Whole) => (Bytes::new(), true),
            Next::End(_) => return cut(r, context),
            Next::Wait => {
                // The header doesn't wait for the body. Behind it what has come goes out where the
                // backend's location says so, as without proxy_buffering: else gzip and the like may
                // collect more.
                let flushes = Some(subscription.flushes());
                if flushed != flushes
                    && (with(context, Output::push_through) == Some(ERROR)
                        || await_writable(r) == ERROR)
                {
                    return ERROR;
                }
                flushed = flushes;
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
        if r.is_delayed() {
            await_writable(r);
            return;
        }
        let Some(context) = Context::of(r) else {
            return;
        };
        let waker = context.writable.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        } else {
            // The task waits for the backend: what the filters hold goes on by itself.
            with(context, Output::flush);
            await_writable(r);
        }
    });
}
