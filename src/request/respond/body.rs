//! The body of a fill's response, sent as it comes and as its client takes it.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use cache_core::flow::Ending;
use ngx::ffi::ngx_http_request_t;

use super::Response;
use crate::fill::{Next, Subscription};
use crate::ngx::guard::{guard, trip};
use crate::ngx::hints;
use crate::ngx::output::{Output, await_writable};
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::request::context::Context;

/// Sends the body of a fill's response as it comes.
pub(super) async fn send(r: Request, response: &Response, subscription: &Subscription) -> Code {
    *response.output.borrow_mut() = Some(Output::new(r));
    let mut flushed = None;
    let end = r.end_of_part();
    let mut passed = 0_u64;
    loop {
        let (piece, last) = match subscription.next() {
            Next::Piece(piece) => {
                passed = passed.saturating_add(piece.len() as u64);
                // The client asked for a part of the body alone: the bytes behind it aren't waited for.
                (piece, end.is_some_and(|end| passed >= end))
            }
            Next::End(Ending::Whole) => (Bytes::new(), true),
            Next::End(_) => return cut(r, response),
            Next::Wait => {
                // The header doesn't wait for the body. Behind it what has come goes out where the
                // backend's location says so, as without proxy_buffering: else gzip and the like may
                // collect more. A filter that keeps the header back, as that of images does, needs
                // the body first: to it a flush would be a body of its own.
                let flushes = Some(subscription.flushes());
                if flushed != flushes
                    && r.is_header_sent()
                    && (with(response, Output::push_through) == Some(ERROR)
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
        let Some(mut code) = with(response, |output| output.send(piece, last)) else {
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
            if buffered == OK || with(response, |output| output.has_room()) == Some(true) {
                break;
            }
            wait_writable(response).await;
            let Some(next) = with(response, Output::flush) else {
                return ERROR;
            };
            code = next;
        }
    }
}

/// The body breaks off. The client gets the bytes that have come, and the end of its connection tells it that they
/// aren't all (RFC 9112 8), as after a proxy_pass whose backend breaks off.
fn cut(r: Request, response: &Response) -> Code {
    r.forbid_keepalive();
    match with(response, Output::push_through) {
        Some(code) if code != ERROR => OK,
        _ => ERROR,
    }
}

fn with<T>(response: &Response, f: impl FnOnce(&mut Output) -> T) -> Option<T> {
    // Taken out: a filter may come back to us.
    let mut output = response.output.borrow_mut().take()?;
    let result = f(&mut output);
    *response.output.borrow_mut() = Some(output);
    Some(result)
}

async fn wait_writable(response: &Response) {
    let mut waited = false;
    poll_fn(|cx| {
        if waited && response.writable.borrow().is_none() {
            return Poll::Ready(());
        }
        waited = true;
        *response.writable.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// The client takes more, or has taken too long.
pub(super) unsafe extern "C" fn writable(r: *mut ngx_http_request_t) {
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
    let Some(response) = context.find::<Response>() else {
        await_writable(r);
        return;
    };
    let waker = response.writable.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    } else {
        // The task waits for the backend: what the filters hold goes on by itself.
        if with(response, Output::flush).is_none() {
            hints::flush(r);
        }
        await_writable(r);
    }
}
