//! A record becomes the response.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::conditions::{Date, Evaluation, Selected};
use cache_core::record::Record;
use ngx::ffi::NGX_HTTP_NO_CONTENT;

use super::header::{Header, INTERNAL_ERROR, evaluate_conditions, send_header};
use super::{Response, Sending, coded};
use crate::ngx::event::now_sec;
use crate::ngx::headers;
use crate::ngx::output::{self, Body, Output};
use crate::ngx::request::{Code, ERROR, Request, is_refused};
use crate::request::context::Context;

const NO_CONTENT: u16 = NGX_HTTP_NO_CONTENT as u16;

/// Responds with a record.
pub fn record(r: Request, context: &'static Context, record: Rc<Record>) -> Sending {
    match record.coded().cloned() {
        Some(form) => coded::record(r, context, record, &form),
        None => Sending::Done(plain(r, context, record)),
    }
}

/// Responds with a record that isn't compressed; returns what the request is to be finalized with.
fn plain(r: Request, context: &'static Context, record: Rc<Record>) -> Code {
    let body = record.body.clone();
    let Some(response) = context.state::<Response>() else {
        return INTERNAL_ERROR;
    };
    response.length.set(body.len() as u64);
    // There is one response to a request.
    let record = match response.record.set(without_large_body(record)) {
        Ok(()) => response.record.get(),
        Err(_) => None,
    };
    let Some(record) = record else {
        return INTERNAL_ERROR;
    };
    let length = u64::try_from(body.len()).ok();
    let outcome = if r.is_conditional() {
        let date = Date::before(now_sec(), record.age);
        let selected = Selected::new(record.status, &record.headers, date, true);
        evaluate_conditions(r, &selected, length)
    } else {
        Evaluation::Proceed
    };
    let unsent = record.meta.as_ref().map(|meta| &meta.unsent);
    let phrase = unsent.and_then(|unsent| unsent.phrase.as_ref());
    let header = Header {
        status: record.status,
        headers: &record.headers,
        to_nginx: headers::borrowed,
        // nginx sends the length of a 204 that has a phrase; its backend has none (RFC 9110 8.6).
        length: length.filter(|_| record.status != NO_CONTENT),
        own_location: record.meta.as_ref().is_some_and(|meta| meta.own_location),
        age: Some(record.age),
        // Age and Expires count from the origin's Date; without it nginx would tell the time of this response.
        date: record.meta.as_ref().and_then(|meta| meta.date),
        unsent,
        phrase,
    };
    let code = send_header(r, context, outcome, &header);
    if is_refused(code) || r.is_header_only() {
        return code;
    }
    send_body(r, response, Body::from(body))
}

/// Sends a whole body.
pub(super) fn send_body(r: Request, response: &Response, body: Body) -> Code {
    let body = if wants_several_ranges(r) {
        body.joined()
    } else {
        Some(body)
    };
    let Some(body) = body else {
        return ERROR;
    };
    let mut output = Output::new(r);
    let code = output.send_whole(body);
    // The filters may still hold the body.
    *response.output.borrow_mut() = Some(output);
    code
}

/// Whether a client wants more than one range: nginx cuts several of them out of one buffer alone.
fn wants_several_ranges(r: Request) -> bool {
    r.range().is_some_and(|range| range.contains(&b','))
}

/// What the header of a response needs of a record: the body has its own way, on which its memory may be given back.
pub(super) fn without_large_body(record: Rc<Record>) -> Rc<Record> {
    if !output::is_large(record.body.len()) {
        return record;
    }
    let mut header = Rc::unwrap_or_clone(record);
    header.body = Bytes::new();
    Rc::new(header)
}
