//! POST: when its response is what a GET of the same URI would get (RFC 9110 9.3.3).
//!
//! "Responses to POST requests are only cacheable when they include explicit freshness information and a Content-Location
//! header field that has the same value as the POST's target URI. A cached POST response can be reused to satisfy a later
//! GET or HEAD request." It can't satisfy another POST.

use crate::complex_value::variables_of;
use crate::freshness::Source;
use crate::headers::{Headers, trim_ows};
use crate::outcome::Reason;
use crate::policy::Plan;
use crate::uri::{Origin, Target, resolve};

/// Whether the response to a POST of `own` says that it is the representation of that URI: it is a 200 with one
/// Content-Location, which means `own`. An empty field says nothing. Without a known `origin` only relative references
/// count.
#[must_use]
pub fn names_target(status: u16, headers: &Headers, own: &Target, origin: Option<&Origin>) -> bool {
    let mut lines = headers.get_all("Content-Location").map(trim_ows);
    let (Some(reference), None) = (lines.next(), lines.next()) else {
        return false;
    };
    status == 200
        && !reference.is_empty()
        && resolve(reference, own, origin).is_some_and(|target| target == *own)
}

/// The plan by which a GET's response would be stored, for the response to a POST.
///
/// # Errors
///
/// Why it isn't stored: the lifetime isn't the response's own word, or there is none left. One that must be validated each
/// time would be stored for nothing: it was made by a POST, which is never sent again for it.
pub fn storable(plan: Plan) -> Result<Plan, Reason> {
    let is_explicit = match plan.freshness.source {
        Source::AccelExpires | Source::SMaxage | Source::MaxAge | Source::Expires => true,
        Source::Heuristic | Source::Default => false,
    };
    if !is_explicit {
        return Err(Reason::NoFreshness);
    }
    if plan.always_validate {
        return Err(Reason::NoCache);
    }
    if plan.fresh_for == 0 {
        return Err(Reason::Expired);
    }
    Ok(plan)
}

/// Whether a key made of `template`, a value with `$variables`, names what a POST has and a GET of the same URI hasn't: its
/// request line, or something of its content. Of what `set` and the like have given it tells nothing.
#[must_use]
pub fn is_of_post(template: &[u8]) -> bool {
    variables_of(template).any(|name| is_variable_of_post(&name))
}

/// Whether a variable, whose name is given in lower case, has something of the request line or of the content.
#[must_use]
pub fn is_variable_of_post(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [
        b"request",
        b"request_body",
        b"request_body_file",
        b"request_length",
        b"content_length",
        b"content_type",
    ];
    NAMES.contains(&name) || name.starts_with(b"http_content_")
}
