//! A record that is stored compressed becomes the response, in the form that its client accepts: see [`cache_core::coding`].

use std::rc::Rc;

use bytes::Bytes;
use cache_core::coding::{Accepted, Coded, ContentCoding, Decoder, Form, NotDecoded};
use cache_core::conditions::{Date, Evaluation, Selected};
use cache_core::record::Record;

use super::header::{Apply, Header, INTERNAL_ERROR, evaluate_conditions, send_header};
use super::record::{send_body, without_large_body};
use super::{Response, Sending};
use crate::ngx::event::now_sec;
use crate::ngx::headers::{self, NoMemory};
use crate::ngx::output::{self, Body};
use crate::ngx::request::{ERROR, Request, is_refused};
use crate::ngx::shim;
use crate::request::context::Context;
use crate::request::filters::coding::Coding;

/// A body that is being decoded, and its first piece.
pub struct Decoding {
    pub(super) first: Bytes,
    pub(super) decoder: Decoder,
}

/// A body as it is before it was compressed.
enum Plain {
    /// All of it: it is small.
    Whole(Body),
    /// The rest comes later.
    Begun(Decoding),
}

impl Plain {
    fn of(body: Body, coding: ContentCoding, length: u64) -> Result<Plain, NotDecoded> {
        let mut decoder = Decoder::new(coding, body.into_pieces(), length)?;
        let first = decoder.next_piece()?.unwrap_or_default();
        if is_large(length) {
            return Ok(Plain::Begun(Decoding { first, decoder }));
        }
        let mut pieces = vec![first];
        while let Some(piece) = decoder.next_piece()? {
            pieces.push(piece);
        }
        Ok(Plain::Whole(Body::of(pieces)))
    }
}

/// Whether a body of so many bytes is decoded in several turns, as its client takes it.
fn is_large(length: u64) -> bool {
    usize::try_from(length).is_ok_and(output::is_large)
}

/// Which forms a client takes: one that wants no transformation (RFC 9111 5.2.1.6) takes what the backend has sent.
pub(super) fn accepted(r: Request, context: &Context) -> Accepted {
    let cacheable = context.cacheable.as_ref();
    if cacheable.is_some_and(|cacheable| cacheable.directives.no_transform) {
        Accepted::IDENTITY
    } else {
        headers::accepted(r)
    }
}

/// Responds with a compressed record.
pub(super) fn record(
    r: Request,
    context: &'static Context,
    record: Rc<Record>,
    coded: &Coded,
) -> Sending {
    let Some(response) = context.state::<Response>() else {
        return Sending::Done(INTERNAL_ERROR);
    };
    let outcome = if r.is_conditional() {
        let date = Date::before(now_sec(), record.age);
        let selected = Selected::new(record.status, &record.headers, date, true).in_two_forms(true);
        evaluate_conditions(r, &selected, Some(coded.length))
    } else {
        Evaluation::Proceed
    };
    let body = Body::from(record.body.clone());
    let form = Form::of(
        &record.headers,
        coded.coding,
        accepted(r, context),
        r.range().is_some(),
    );
    let parts = match Parts::of(r, body, form, coded, outcome) {
        Ok(parts) => parts,
        Err(why) => return unsent(why),
    };
    response.length.set(coded.length);
    // There is one response to a request.
    let record = match response.record.set(without_large_body(record)) {
        Ok(()) => response.record.get(),
        Err(_) => None,
    };
    let Some(record) = record else {
        return Sending::Done(INTERNAL_ERROR);
    };
    let meta = record.meta.as_deref();
    let unsent = meta.map(|meta| &meta.unsent);
    let header = Header {
        status: record.status,
        headers: &coded.headers(&record.headers, form, parts.length()),
        to_nginx: headers::copied,
        length: Some(parts.length()),
        own_location: meta.is_some_and(|meta| meta.own_location),
        age: Some(record.age),
        date: meta.and_then(|meta| meta.date),
        unsent,
        phrase: unsent.and_then(|unsent| unsent.phrase.as_ref()),
    };
    send(r, context, response, parts, outcome, &header)
}

/// What becomes of a request whose record can't be decoded, before anything is sent.
pub(super) fn unsent(why: NotDecoded) -> Sending {
    match why {
        NotDecoded::Corrupt => Sending::Broken,
        NotDecoded::NoMemory => Sending::Done(INTERNAL_ERROR),
    }
}

/// The body of a response from a compressed record, and what becomes of it.
pub(super) struct Parts {
    /// As it is stored.
    body: Body,
    /// As it is to be sent.
    form: Form,
    /// Its coding, and bytes of it before it was compressed.
    coding: ContentCoding,
    plain: u64,
    /// The beginning of it as it was then, if it is to be sent so.
    begun: Option<Plain>,
}

impl Parts {
    /// That of a body in a form. What can't be decoded is found out before anything is sent; of a large one what is wrong
    /// behind its beginning isn't.
    pub(super) fn of(
        r: Request,
        body: Body,
        form: Form,
        &Coded {
            coding,
            length: plain,
            ..
        }: &Coded,
        outcome: Evaluation,
    ) -> Result<Parts, NotDecoded> {
        let has_body = outcome == Evaluation::Proceed && r.method() != b"HEAD";
        let begun = if form == Form::Identity && has_body {
            Some(Plain::of(body.clone(), coding, plain)?)
        } else {
            None
        };
        Ok(Parts {
            body,
            form,
            coding,
            plain,
            begun,
        })
    }

    /// The form.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Bytes of the body in it.
    pub(super) fn length(&self) -> u64 {
        match self.form {
            Form::Coded => self.body.len() as u64,
            Form::Identity => self.plain,
        }
    }
}

/// Sends the response in the form that was chosen, which `header` is of, or in the plain one if filters change it.
pub(super) fn send(
    r: Request,
    context: &'static Context,
    response: &Response,
    parts: Parts,
    outcome: Evaluation,
    header: &impl Apply,
) -> Sending {
    let Parts {
        body,
        form,
        coding: content_coding,
        plain,
        begun,
    } = parts;
    let Some(coding) = Coding::of(context) else {
        return Sending::Done(INTERNAL_ERROR);
    };
    let code = if form == Form::Coded {
        coding.send_as_stored(plain);
        r.settle_range(false);
        send_header(r, context, outcome, &Whole(header))
    } else {
        if is_large(plain) {
            // SAFETY: live request. The body comes in pieces: one range at a time can be cut from it.
            unsafe { shim::rcs_set_single_range(r.as_ptr(), 1) };
        }
        send_header(r, context, outcome, header)
    };
    if is_refused(code) || r.is_header_only() {
        return Sending::Done(code);
    }
    if !r.is_header_sent() {
        // A filter makes another body of it, and then its header.
        coding.unwrap(r);
    }
    if coding.is_as_stored() {
        return Sending::Done(send_body(r, response, body));
    }
    let begun = match begun {
        Some(begun) => Ok(begun),
        // Filters want it, or have made a 200 of what was to be a 304.
        None => Plain::of(body, content_coding, plain),
    };
    match begun {
        Ok(Plain::Whole(body)) => Sending::Done(send_body(r, response, body)),
        Ok(Plain::Begun(decoding)) => Sending::Decode(Box::new(decoding)),
        Err(_) => Sending::Done(ERROR),
    }
}

/// A header of a response that is sent as a whole: its bytes may be others the next time, and its validator is weak.
struct Whole<'a, H>(&'a H);

impl<H: Apply> Apply for Whole<'_, H> {
    fn apply(&self, r: Request) -> Result<(), NoMemory> {
        self.0.apply(r)?;
        // SAFETY: live request.
        unsafe { shim::rcs_set_allow_ranges(r.as_ptr(), 0) };
        Ok(())
    }

    fn apply_not_modified(&self, r: Request) -> Result<(), NoMemory> {
        self.0.apply_not_modified(r)
    }
}
