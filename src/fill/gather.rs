//! Puts a slice of a large object together, where the backend's answer has more than was asked for, or fewer bytes, or is cut
//! (RFC 9110 15.3.7; RFC 9111 3.3, 3.4). What is missing is asked for under the strong validator of the first answer, and goes
//! into the same stream: its readers see one body.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::Ending;
use cache_core::headers::Headers;
use cache_core::slices::assembly::{Assembly, Next};
use cache_core::slices::{Answer, Span, further};
use ngx::ffi::ngx_int_t;

use super::capture::Capture;
use super::part::{Begun, as_whole};
use super::stream::ResponseHead;
use crate::detached::{self, Backend, Detached, Fetch, Kept, Purpose, Sink};
use crate::ngx::request::Request;
use crate::ngx::upstream::captured::Captured;
use crate::worker;

/// A fill's response that may come in several answers.
struct Gathering {
    /// The response.
    capture: Capture,
    /// Where the backend is asked.
    backend: Backend,
    next_phase: ngx_int_t,
    /// The slice, once the header of the first answer is here and has some of it.
    assembly: RefCell<Option<Assembly>>,
}

/// One of the answers.
struct Part {
    of: Rc<Gathering>,
    /// It answers the request for what was missing.
    is_rest: bool,
    /// Its header has come and isn't what is needed.
    is_refused: Cell<bool>,
    ended: Cell<bool>,
    /// Has its request go on, or end.
    wake: OnceCell<Rc<dyn Fn()>>,
    /// Its request, from which that for the rest is made.
    detached: OnceCell<Rc<Detached>>,
}

/// Makes the request for a slice. `None` if there is no connection for it.
pub fn create(r: Request, capture: Capture, fetch: Fetch) -> Option<Rc<Detached>> {
    let gathering = Rc::new(Gathering {
        capture,
        backend: fetch.backend.clone(),
        next_phase: fetch.next_phase,
        assembly: RefCell::default(),
    });
    request(gathering, false, r, fetch)
}

fn request(of: Rc<Gathering>, is_rest: bool, r: Request, fetch: Fetch) -> Option<Rc<Detached>> {
    let part = Rc::new(Part {
        of,
        is_rest,
        is_refused: Cell::new(false),
        ended: Cell::new(false),
        wake: OnceCell::new(),
        detached: OnceCell::new(),
    });
    let sink: Rc<dyn Sink> = Rc::<Part>::clone(&part);
    let detached = detached::create(r, sink, Purpose::Fetch(fetch)).ok()?;
    let _ = part.detached.set(Rc::clone(&detached));
    Some(detached)
}

impl Gathering {
    fn begun(&self) -> Option<&Begun> {
        self.capture.begun.get()
    }

    /// All of the slice is here.
    fn is_done(&self) -> bool {
        let assembly = self.assembly.borrow();
        assembly.as_ref().is_some_and(Assembly::is_done)
    }

    /// Asks for these bytes, by a copy of a request that was kept for that.
    fn ask(self: Rc<Self>, span: Span, kept: Kept) {
        worker::spawn(async move {
            let fetch = self.begun().map(|begun| Fetch {
                backend: self.backend.clone(),
                next_phase: self.next_phase,
                // The request that is copied is without them.
                without_credentials: Vec::new(),
                without_fields: Vec::new(),
                validators: None,
                part: begun.fields(span),
            });
            let copied = kept.request().zip(fetch);
            match copied.and_then(|(r, fetch)| request(Rc::clone(&self), true, r, fetch)) {
                Some(next) => next.start(),
                None => self.capture.end(Ending::Cut),
            }
            drop(kept);
            None
        });
    }
}

impl Part {
    /// Whether the header of an answer to the request for the rest is right.
    fn goes_on(&self, r: Request, mut captured: Captured, is_restricted: bool) -> bool {
        let mut assembly = self.of.assembly.borrow_mut();
        let (Some(begun), Some(assembly)) = (self.of.begun(), assembly.as_mut()) else {
            return false;
        };
        let answer = Answer {
            status: captured.status,
            headers: &captured.said,
            date: None,
        };
        let useful = assembly
            .missing()
            .and_then(|span| further(&answer, begun.object, &begun.validator, span).ok());
        let Some(useful) = useful else {
            return false;
        };
        let capture = &self.of.capture;
        let is_kept = |head: Rc<ResponseHead>| head.finding.is_kept();
        if capture.stream.head().is_some_and(is_kept) {
            // It goes to the store, and to all who have joined, as the beginning does.
            as_whole(&mut captured, begun.span.length());
            let criteria = &capture.criteria;
            if !criteria.admits_rest(r, &captured, is_restricted, &begun.validator) {
                return false;
            }
        }
        assembly.promise(useful);
        true
    }

    /// What follows now that this answer has ended.
    fn next(&self) -> Next {
        let mut assembly = self.of.assembly.borrow_mut();
        match assembly.as_mut() {
            Some(assembly) if !self.is_refused.get() => assembly.end(),
            _ => Next::Failed,
        }
    }

    /// Nobody wants the rest of this answer.
    fn break_off(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }
}

impl Sink for Part {
    fn header(&self, r: Request, captured: Captured, is_restricted: bool) {
        if self.is_rest {
            if !self.goes_on(r, captured, is_restricted) {
                self.is_refused.set(true);
                self.break_off();
            }
            return;
        }
        self.of.capture.header(r, captured, is_restricted);
        if let Some(begun) = self.of.begun() {
            let assembly = Assembly::answered(begun.span, begun.useful);
            self.of.assembly.replace(Some(assembly));
        }
    }

    fn hint(&self, r: Request, hint: Headers) {
        if !self.is_rest {
            self.of.capture.hint(r, hint);
        }
    }

    fn push(&self, piece: Bytes) {
        if self.is_refused.get() || self.of.capture.has_ended() {
            return;
        }
        let length = piece.len() as u64;
        let counted = match self.of.assembly.borrow_mut().as_mut() {
            Some(assembly) => assembly.receive(length),
            None => 0..length,
        };
        if let (Ok(from), Ok(to)) = (usize::try_from(counted.start), usize::try_from(counted.end))
            && from < to
        {
            self.of.capture.push(piece.slice(from..to));
        }
        if counted.end < length && self.of.is_done() {
            // The answer has more.
            self.of.capture.end(Ending::Whole);
            self.break_off();
        }
    }

    fn flush(&self) {
        self.of.capture.flush();
    }

    fn end(&self, ending: Ending) {
        if self.ended.replace(true) || self.of.capture.has_ended() {
            return;
        }
        let capture = &self.of.capture;
        if self.of.begun().is_none() {
            // A whole response, or none.
            return capture.end(ending);
        }
        match (self.next(), self.detached.get()) {
            (Next::Done, _) => capture.end(Ending::Whole),
            (Next::Ask(span), Some(detached)) if !capture.is_unwanted() => {
                Rc::clone(&self.of).ask(span, detached.keep());
            }
            _ => capture.end(Ending::Cut),
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.get()
    }

    fn is_unwanted(&self) -> bool {
        let capture = &self.of.capture;
        capture.is_unwanted() || capture.has_ended() || self.is_refused.get()
    }

    fn set_wake(&self, wake: Box<dyn Fn()>) {
        let wake: Rc<dyn Fn()> = Rc::from(wake);
        let _ = self.wake.set(Rc::clone(&wake));
        self.of.capture.set_wake(Box::new(move || wake()));
    }

    fn is_blocked(&self) -> bool {
        self.of.capture.is_blocked()
    }

    fn cease_capture(&self, why: Ending) -> bool {
        self.of.capture.cease_capture(why)
    }

    fn take_surplus(&self) -> usize {
        self.of.capture.take_surplus()
    }
}
