//! The body of a fill's response, sent as it comes and as its client takes it.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use cache_core::coding::NotDecoded;
use cache_core::flow::Ending;
use ngx::ffi::ngx_http_request_t;

use super::{Decoding, Response};
use crate::fill::{Next, Subscription};
use crate::ngx::event::sleep;
use crate::ngx::guard::{guard, trip};
use crate::ngx::hints;
use crate::ngx::output::{Output, await_writable};
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::request::context::Context;
use crate::request::discard::discard;

/// Bytes that are decoded in one turn of the loop.
const AT_ONCE: usize = 128 << 10;

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
        if let Some(code) = pass_on(r, response, piece, last).await {
            return code;
        }
    }
}

/// Decodes the body of a compressed record and sends it as its client takes it. What is behind a part of it is decoded as well: the sum
/// at its end says whether the part is right.
pub async fn decode(r: Request, context: &'static Context, decoding: Decoding) -> Code {
    let Some(response) = context.find::<Response>() else {
        return ERROR;
    };
    *response.output.borrow_mut() = Some(Output::new(r));
    let Decoding {
        mut first,
        mut decoder,
    } = decoding;
    let end = r.end_of_part();
    let (mut passed, mut at_once) = (0_u64, 0);
    // The end of a part, until it is known that the body is right: else the part would be complete.
    let mut held = None;
    loop {
        let piece = match std::mem::take(&mut first) {
            piece if !piece.is_empty() => piece,
            _ => match decoder.next_piece() {
                Ok(piece) => piece.unwrap_or_default(),
                Err(why) => {
                    let code = cut(r, response);
                    if why == NotDecoded::Corrupt
                        && let Some(cacheable) = &context.cacheable
                    {
                        discard(cacheable).await;
                    }
                    return code;
                }
            },
        };
        passed = passed.saturating_add(piece.len() as u64);
        at_once += piece.len();
        if decoder.is_at_end() {
            let piece = held.unwrap_or(piece);
            return pass_on(r, response, piece, true).await.unwrap_or(ERROR);
        }
        if held.is_none() && end.is_some_and(|end| passed >= end) {
            held = Some(piece);
        } else if held.is_none()
            && let Some(code) = pass_on(r, response, piece, false).await
        {
            return code;
        }
        // Other requests have their turn.
        if at_once >= AT_ONCE {
            at_once = 0;
            sleep(0).await;
        }
    }
}

/// Sends a piece of a body, and waits until the client takes more. Gives what the request is to be finalized with behind the last, or
/// if that fails.
pub(super) async fn pass_on(
    r: Request,
    response: &Response,
    piece: Bytes,
    last: bool,
) -> Option<Code> {
    let Some(mut code) = with(response, |output| output.send(piece, last)) else {
        return Some(ERROR);
    };
    if last {
        return Some(code);
    }
    loop {
        if code == ERROR {
            return Some(ERROR);
        }
        let buffered = await_writable(r);
        if buffered == ERROR {
            return Some(ERROR);
        }
        if buffered == OK || with(response, |output| output.has_room()) == Some(true) {
            return None;
        }
        wait_writable(response).await;
        let Some(next) = with(response, Output::flush) else {
            return Some(ERROR);
        };
        code = next;
    }
}

/// The body breaks off. The client gets the bytes that have come, and the end of its connection tells it that they
/// aren't all (RFC 9112 8), as after a proxy_pass whose backend breaks off.
pub(super) fn cut(r: Request, response: &Response) -> Code {
    r.forbid_keepalive();
    match with(response, Output::push_through) {
        Some(code) if code != ERROR => OK,
        _ => ERROR,
    }
}

pub(super) fn with<T>(response: &Response, f: impl FnOnce(&mut Output) -> T) -> Option<T> {
    // Taken out: a filter may come back to us.
    let mut output = response.output.borrow_mut().take()?;
    let result = f(&mut output);
    *response.output.borrow_mut() = Some(output);
    Some(result)
}

pub(super) async fn wait_writable(response: &Response) {
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
pub unsafe extern "C" fn writable(r: *mut ngx_http_request_t) {
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
