//! The header of a response that comes from the cache.

use cache_core::conditions::{Evaluation, Selected, evaluate, of_not_modified, range_applies};
use cache_core::headers::Headers;
use cache_core::phrase::Phrase;
use cache_core::ranges::is_worth_it;
use cache_core::record::Unsent;
use ngx::ffi::*;

use crate::ngx::headers;
use crate::ngx::headers::{NoMemory, ToNginx, Validators};
use crate::ngx::request::{Code, ERROR, Request, is_refused};
use crate::request::context::Context;
use crate::request::filters::conditions;

pub(super) const INTERNAL_ERROR: Code = NGX_HTTP_INTERNAL_SERVER_ERROR as Code;
const NOT_MODIFIED: u16 = NGX_HTTP_NOT_MODIFIED as u16;
const PRECONDITION_FAILED: Code = NGX_HTTP_PRECONDITION_FAILED as Code;
const RANGE_NOT_SATISFIABLE: Code = NGX_HTTP_RANGE_NOT_SATISFIABLE as Code;

/// Evaluates the conditions and the range that a client asks of a response with a body of this length, in nginx's
/// place.
pub(super) fn evaluate_conditions(
    r: Request,
    selected: &Selected<'_>,
    length: Option<u64>,
) -> Evaluation {
    let conditions = r.conditions();
    let outcome = evaluate(r.method(), &conditions, selected, r.by_date());
    r.settle_conditions();
    let worth = |range: &&[u8]| length.is_some_and(|length| is_worth_it(range, length));
    r.settle_range(
        range_applies(r.method(), &conditions, selected) && conditions.range.iter().all(worth),
    );
    outcome
}

/// The header of a response that a client is to get.
pub(super) struct Header<'a> {
    pub status: u16,
    pub headers: &'a Headers,
    pub to_nginx: ToNginx<'a>,
    pub length: Option<u64>,
    /// Its Location is a path for nginx to complete.
    pub own_location: bool,
    pub age: Option<u32>,
    pub date: Option<u64>,
    /// What nginx has made of X-Accel-* fields that clients don't get.
    pub unsent: Option<&'a Unsent>,
    /// The backend's own phrase for its status.
    pub phrase: Option<&'a Phrase>,
}

/// A header that a response can be given.
pub(super) trait Apply {
    /// Gives it to a response.
    fn apply(&self, r: Request) -> Result<(), NoMemory>;

    /// Gives a response what a 304 has of it.
    fn apply_not_modified(&self, r: Request) -> Result<(), NoMemory>;
}

impl Apply for Header<'_> {
    fn apply(&self, r: Request) -> Result<(), NoMemory> {
        let (headers, length) = (self.headers, self.length);
        headers::apply(
            r,
            self.status,
            headers,
            self.to_nginx,
            length,
            self.own_location,
        )?;
        if let Some(phrase) = self.phrase {
            headers::status_line(r, self.status, phrase)?;
        }
        apply_age(r, self.age)?;
        if let Some(date) = self.date {
            headers::date(r, date)?;
        }
        if let Some(unsent) = self.unsent {
            headers::apply_accel(r, unsent)?;
        }
        Ok(())
    }

    fn apply_not_modified(&self, r: Request) -> Result<(), NoMemory> {
        let header = Header {
            status: NOT_MODIFIED,
            headers: &of_not_modified(self.headers),
            to_nginx: headers::copied,
            length: None,
            phrase: None,
            ..*self
        };
        header.apply(r)
    }
}

/// Gives a response its Age, in seconds.
pub(super) fn apply_age(r: Request, age: Option<u32>) -> Result<(), NoMemory> {
    if let Some(age) = age {
        let mut decimal = itoa::Buffer::new();
        headers::push_known(r, b"Age", decimal.format(age).as_bytes())?;
    }
    Ok(())
}

/// Gives the client's response its header and sends it; returns what the filters say, or what to finalize with instead.
///
/// A response that isn't modified goes to the filters as it would otherwise be: [`crate::request::filters::conditions`]
/// makes it a 304 if they leave its validators alone.
pub(super) fn send_header(
    r: Request,
    context: &'static Context,
    outcome: Evaluation,
    header: &impl Apply,
) -> Code {
    if outcome == Evaluation::PreconditionFailed {
        return PRECONDITION_FAILED;
    }
    if header.apply(r).is_err() {
        return INTERNAL_ERROR;
    }
    if outcome != Evaluation::NotModified {
        return pass_header(r);
    }
    if conditions::expect(context, Validators::of(r)).is_none() {
        return INTERNAL_ERROR;
    }
    let code = pass_header(r);
    let undecided = conditions::take(context).is_some();
    if !undecided || is_refused(code) || !r.is_kept_for_image() {
        return code;
    }
    headers::clean(r);
    match header.apply_not_modified(r) {
        Ok(()) => pass_header(r),
        Err(_) => INTERNAL_ERROR,
    }
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
