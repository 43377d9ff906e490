//! A record of the memory tier becomes the response.

use std::rc::Rc;

use cache_core::conditions::{Date, Evaluation, Selected};

use super::Response;
use super::header::{Apply, Header, INTERNAL_ERROR, apply_age, evaluate_conditions, send_header};
use super::record::send_body;
use crate::ngx::event::now_sec;
use crate::ngx::headers::{self, NoMemory};
use crate::ngx::request::{Code, Request, is_refused};
use crate::request::context::Context;
use crate::store::lookup::Hit;
use crate::store::memory::{Entry, Usable};

/// Responds with a record of the memory tier; returns what the request is to be finalized with.
pub fn memory(r: Request, context: &'static Context, hit: Hit) -> Code {
    let Hit {
        entry,
        body,
        standing,
    } = hit;
    let Some(response) = context.state::<Response>() else {
        return INTERNAL_ERROR;
    };
    // There is one response to a request.
    let entry: Option<&'static Rc<Entry>> = match response.entry.set(entry) {
        Ok(()) => response.entry.get(),
        Err(_) => None,
    };
    let Some(usable) = entry.and_then(|entry| entry.usable()) else {
        return INTERNAL_ERROR;
    };
    let length = body.len() as u64;
    let outcome = if r.is_conditional() {
        let selected = Selected {
            status: usable.ready.status(),
            etag: usable.ready.etag(),
            last_modified: usable.ready.last_modified(),
            date: Date::before(now_sec(), standing.age),
            stored: true,
        };
        evaluate_conditions(r, &selected, Some(length))
    } else {
        Evaluation::Proceed
    };
    let header = FromMemory {
        usable,
        length,
        age: standing.age,
    };
    let code = send_header(r, context, outcome, &header);
    if is_refused(code) || r.is_header_only() {
        return code;
    }
    send_body(r, response, body)
}

/// The header of a record of the memory tier, which the response keeps.
struct FromMemory {
    usable: &'static Usable,
    length: u64,
    age: u32,
}

impl Apply for FromMemory {
    fn apply(&self, r: Request) -> Result<(), NoMemory> {
        let Usable { ready, unsent, .. } = self.usable;
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
        let Usable { ready, unsent, .. } = self.usable;
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
