//! What the header of a fill's response means for a request that waits for it.

use super::{Finding, Held};
use crate::outcome::{Outcome, Reason, Source};
use crate::use_stale::Failure;

/// The header of a fill's response, as it concerns a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// What it makes of the response.
    pub finding: &'a Finding,
    /// It is a 304 to a question about a record.
    pub not_modified: bool,
    /// nginx itself has made the response: the backend has given none.
    pub generated: bool,
    /// The request wants a part that is far behind the beginning.
    pub is_far: bool,
}

/// What a request gets that waits for a fill's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The response itself, as it comes.
    Stream,
    /// The record that the backend was asked about, as it was.
    Held,
    /// The record as the backend has confirmed it.
    Renewed,
    /// 502: there is no response.
    BadGateway,
    /// 504: a record must be validated and can't be (RFC 9111 5.2.2.2).
    GatewayTimeout,
    /// The backend must be asked by the request itself.
    Pass,
}

/// Decides it, and the outcome of the request. `before`: its outcome so far. `head`: `None` if there is no response. `held`: the
/// record that this request's fill has asked about, found in `source`.
#[must_use]
pub fn turn(
    before: Outcome,
    head: Option<Head<'_>>,
    (held, source): (Option<&Held>, Source),
) -> (Turn, Outcome) {
    let in_place_of_failure = (Turn::Held, Outcome::in_place_of_failure(source));
    let passed = |reason| (Turn::Pass, Outcome::passed(reason));
    let Some(head) = head else {
        let failed = before.not_stored(Reason::BackendFailed);
        return match held {
            Some(held) if held.on_failure.allows(Failure::Error) => in_place_of_failure,
            Some(held) if held.record.terms.never_stale => (Turn::GatewayTimeout, failed),
            _ => (Turn::BadGateway, failed),
        };
    };
    match (head.finding, held) {
        (Finding::Confirmed(_), held) => {
            (Turn::Renewed, Outcome::confirmed(held.is_some(), source))
        }
        (Finding::Failed(_), Some(_)) => in_place_of_failure,
        (Finding::NotStorable(_), Some(_)) if head.not_modified => passed(Reason::NotModified),
        (Finding::NotStorable(reason), _) if head.is_far => passed(*reason),
        (Finding::NotStorable(reason), Some(held))
            if head.generated && held.record.terms.never_stale =>
        {
            (Turn::GatewayTimeout, before.not_stored(*reason))
        }
        (Finding::NotStorable(reason), _) => (Turn::Stream, before.not_stored(*reason)),
        (Finding::Failed(_) | Finding::Storable(_), _) => (Turn::Stream, before),
    }
}
