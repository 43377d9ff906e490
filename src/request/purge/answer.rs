//! What the sender of a purge is told.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use cache_core::outcome::Outcome;
use cache_core::purge::request::{self, Refusal};
use ngx::ffi::*;

use crate::conf::{LocConf, MainConf};
use crate::ngx::headers;
use crate::ngx::output::send_text;
use crate::ngx::request::{Code, DONE, Request};
use crate::ngx::shutdown;
use crate::request::context::Context;
use crate::request::settings;
use crate::request::state::State;
use crate::worker::{self, Go};

const INTERNAL_ERROR: Code = NGX_HTTP_INTERNAL_SERVER_ERROR as Code;

/// Seconds after which a sender may come again whose purge the store hasn't taken.
const RETRY_AFTER: &str = "1";

/// An answer.
pub struct Answer {
    status: u32,
    text: String,
    field: Option<(&'static [u8], String)>,
}

/// An answer with this status and text.
pub fn json(status: u32, text: String) -> Answer {
    Answer {
        status,
        text,
        field: None,
    }
}

/// The request isn't understood.
pub fn refused(refusal: &Refusal) -> Answer {
    json(NGX_HTTP_BAD_REQUEST, request::refused(refusal))
}

/// Its sender may not purge.
pub fn forbidden() -> Answer {
    let text = "purges aren't allowed from this address (redis_cache_purge_allow)";
    json(NGX_HTTP_FORBIDDEN, request::failed(text))
}

/// It has a method that means nothing here; `allow` lists those that do.
pub fn method(allow: &str) -> Answer {
    let text = format!("the method isn't one of {allow}");
    Answer {
        field: Some((b"Allow", allow.to_owned())),
        ..json(NGX_HTTP_NOT_ALLOWED, request::failed(&text))
    }
}

/// It has more than is read.
pub fn too_large(most: usize) -> Answer {
    let text = format!("the body is longer than {most} bytes");
    json(NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, request::failed(&text))
}

/// The purge isn't known to hold.
pub fn unavailable(why: &str) -> Answer {
    Answer {
        field: Some((b"Retry-After", RETRY_AFTER.to_owned())),
        ..json(NGX_HTTP_SERVICE_UNAVAILABLE, request::failed(why))
    }
}

/// nginx can't do what it takes.
pub fn failed(why: &str) -> Answer {
    json(NGX_HTTP_INTERNAL_SERVER_ERROR, request::failed(why))
}

/// The answer, once it is there.
#[derive(Default)]
struct Waiting(RefCell<Option<Answer>>);

impl State for Waiting {}

/// Sends an answer in a handler of a phase; gives what that returns.
pub fn at_once(r: Request, conf: &LocConf, main: &MainConf, answer: Answer) -> Code {
    let Some(context) = attach(r, conf, main) else {
        return INTERNAL_ERROR;
    };
    context.hand_on("answer", r, || {
        let code = send(r, &answer);
        r.finalize_in_phase(code);
    });
    DONE
}

/// Does the work, whatever becomes of the client, and sends what it gives; gives what the handler of a phase returns.
pub fn later(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    work: impl Future<Output = Answer> + 'static,
) -> Code {
    let Some((context, waiting)) =
        attach(r, conf, main).and_then(|context| Some((context, context.state::<Waiting>()?)))
    else {
        return INTERNAL_ERROR;
    };
    let note = Rc::new(Note::default());
    let writer = Writer(Rc::clone(&note));
    worker::spawn(async move {
        let _guard = shutdown::delay();
        let answer = work.await;
        *writer.0.answer.borrow_mut() = Some(answer);
        None
    });
    r.await_task();
    context.serve(r, async move {
        *waiting.0.borrow_mut() = note.read().await;
        Some(Go {
            request: r,
            code: None,
            on: carry_out,
        })
    });
    DONE
}

/// The work is done.
fn carry_out(r: Request, _: Option<Code>) {
    let Some(context) = Context::of(r) else {
        return r.give_up();
    };
    context.hand_on("answer", r, || {
        context.end_task();
        let answer = context
            .find::<Waiting>()
            .and_then(|waiting| waiting.0.take());
        // None: the work has panicked.
        let code = answer.map_or(INTERNAL_ERROR, |answer| send(r, &answer));
        r.finalize(code);
    });
}

fn attach(r: Request, conf: &LocConf, main: &MainConf) -> Option<&'static Context> {
    let context = Context::attach(r, settings::of_location(r, conf, main), None)?;
    context.set_outcome(Outcome::purge());
    Some(context)
}

/// Sends it; gives what the request is to be finalized with.
fn send(r: Request, answer: &Answer) -> Code {
    // A condition or a part of what is no representation of the URI means nothing.
    r.settle_conditions();
    r.settle_range(false);
    let fields = answer
        .field
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .chain([(&b"Cache-Control"[..], &b"no-store"[..])]);
    for (name, value) in fields {
        if headers::push_known(r, name, value).is_err() {
            return INTERNAL_ERROR;
        }
    }
    send_text(
        r,
        answer.status,
        b"application/json",
        answer.text.as_bytes(),
    )
}

/// What comes of the work, for the request's task.
#[derive(Default)]
struct Note {
    answer: RefCell<Option<Answer>>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Note {
    /// Waits for the end of the work. `None` if it has come to nothing.
    async fn read(&self) -> Option<Answer> {
        poll_fn(|cx| {
            if self.over.get() {
                return Poll::Ready(self.answer.take());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// The work's end of the note.
struct Writer(Rc<Note>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.over.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}
