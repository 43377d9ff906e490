//! A record of the memory tier becomes the response.

use std::rc::Rc;

use cache_core::coding::Form;
use cache_core::conditions::{Date, Evaluation, Selected};

use super::coded::Parts;
use super::header::{Apply, Header, INTERNAL_ERROR, apply_age, evaluate_conditions, send_header};
use super::record::send_body;
use super::{Response, Sending, coded};
use crate::ngx::event::now_sec;
use crate::ngx::headers::{self, NoMemory, Ready};
use crate::ngx::request::{Request, is_refused};
use crate::request::context::Context;
use crate::store::lookup::Hit;
use crate::store::memory::{Entry, Usable};

/// Responds with a record of the memory tier.
pub fn memory(r: Request, context: &'static Context, hit: Hit) -> Sending {
    let (Some(response), Some(usable)) = (context.state::<Response>(), hit.entry.usable()) else {
        return Sending::Done(INTERNAL_ERROR);
    };
    if let Some(form) = &usable.coded {
        let length = form.coded.length;
        let outcome = evaluated(r, usable, hit.standing.age, length);
        let coded = &form.coded;
        let form = match form.stored {
            Some(_) => {
                let accepted = coded::accepted(r, context);
                Form::preferred(coded.coding, accepted, r.range().is_some())
            }
            None => Form::Identity,
        };
        return match Parts::of(r, hit.body.clone(), form, coded, outcome) {
            Ok(parts) => compressed(r, (context, response), hit, parts, outcome),
            Err(why) => coded::unsent(why),
        };
    }
    let Hit {
        entry,
        body,
        standing,
    } = hit;
    let Some(usable) = keep(response, entry) else {
        return Sending::Done(INTERNAL_ERROR);
    };
    let length = body.len() as u64;
    let outcome = evaluated(r, usable, standing.age, length);
    let header = FromMemory {
        usable,
        ready: &usable.ready,
        length,
        age: standing.age,
    };
    let code = send_header(r, context, outcome, &header);
    if is_refused(code) || r.is_header_only() {
        return Sending::Done(code);
    }
    Sending::Done(send_body(r, response, body))
}

/// Responds with one that was compressed.
fn compressed(
    r: Request,
    (context, response): (&'static Context, &'static Response),
    hit: Hit,
    parts: Parts,
    outcome: Evaluation,
) -> Sending {
    let Some(usable) = keep(response, hit.entry) else {
        return Sending::Done(INTERNAL_ERROR);
    };
    let stored = usable.coded.as_ref().and_then(|form| form.stored.as_ref());
    let header = FromMemory {
        usable,
        ready: stored
            .filter(|_| parts.form() == Form::Coded)
            .unwrap_or(&usable.ready),
        length: parts.length(),
        age: hit.standing.age,
    };
    coded::send(r, context, response, parts, outcome, &header)
}

/// Has the response keep its record. `None` if it has one: there is one response to a request.
fn keep(response: &'static Response, entry: Rc<Entry>) -> Option<&'static Usable> {
    response.entry.set(entry).ok()?;
    response.entry.get()?.usable()
}

/// What comes of the conditions of a request, for a record of this age, in seconds, whose body has so many bytes.
fn evaluated(r: Request, usable: &Usable, age: u32, length: u64) -> Evaluation {
    if !r.is_conditional() {
        return Evaluation::Proceed;
    }
    let selected = Selected {
        status: usable.ready.status(),
        etag: usable.ready.etag(),
        last_modified: usable.ready.last_modified(),
        date: Date::before(now_sec(), age),
        stored: true,
        has_two_forms: usable.coded.is_some(),
    };
    evaluate_conditions(r, &selected, Some(length))
}

/// The header of a record of the memory tier, which the response keeps.
struct FromMemory {
    usable: &'static Usable,
    /// The form of it.
    ready: &'static Ready,
    length: u64,
    age: u32,
}

impl Apply for FromMemory {
    fn apply(&self, r: Request) -> Result<(), NoMemory> {
        let (ready, unsent) = (self.ready, &self.usable.unsent);
        ready.apply(r, self.length)?;
        if let Some(phrase) = unsent.as_ref().and_then(|unsent| unsent.phrase.as_ref()) {
            headers::status_line(r, ready.status(), phrase)?;
        }
        apply_age(r, Some(self.age))?;
        ready.apply_date(r)?;
        if let Some(unsent) = unsent {
            headers::apply_accel(r, unsent)?;
        }
        Ok(())
    }

    fn apply_not_modified(&self, r: Request) -> Result<(), NoMemory> {
        let (ready, unsent) = (self.ready, &self.usable.unsent);
        let header = Header {
            status: ready.status(),
            headers: &ready.headers(),
            to_nginx: headers::copied,
            length: None,
            own_location: self.usable.own_location,
            age: Some(self.age),
            date: None,
            unsent: unsent.as_deref(),
            phrase: None,
        };
        header.apply_not_modified(r)?;
        ready.apply_date(r)
    }
}
