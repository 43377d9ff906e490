//! What a record may be used for now (RFC 9111 4, 4.2.4, RFC 5861).

use crate::record::{Record, Standing};
use crate::request_directives::RequestDirectives;
use crate::rules::Rules;
use crate::use_stale::UseStale;

/// What a record may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To answer, as it is.
    Fresh,
    /// To answer, as it is, and to be refilled before it goes stale. Its refill's failures in the set leave it in use.
    Ahead(UseStale),
    /// To answer at once, while it is refilled. Its refill's failures in the set leave it in use.
    Stale(UseStale),
    /// To answer if the backend confirms it, or fails in a way of the set.
    Validate(UseStale),
}

impl Use {
    /// Whether the record is fresh, and the response as it is.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::Ahead(_))
    }
}

/// Decides what a record may be used for. The operator's permission to serve it stale
/// (`redis_cache_use_stale`, out of band in the sense of RFC 9111 4.2.4) reaches as far as
/// `redis_cache_stale`, which has a longer time for failures (`error=`); what the response says can shorten it, and
/// replaces it where the operator permits nothing.
#[must_use]
pub fn judge(record: &Record, rules: &Rules) -> Use {
    judge_standing(record.standing(), rules)
}

fn judge_standing(record: Standing, rules: &Rules) -> Use {
    let terms = record.terms;
    if terms.always_validate {
        return Use::Validate(UseStale::NONE);
    }
    if record.is_fresh(rules.stale) {
        return match rules.ahead {
            Some(ahead) if record.is_due(ahead, rules.stale) => Use::Ahead(on_failure_ahead(rules)),
            _ => Use::Fresh,
        };
    }
    if terms.never_stale {
        return Use::Validate(UseStale::NONE);
    }
    let past = record.staleness(rules.stale);
    let on_failure = match terms.if_error {
        // Another configuration has kept it for longer.
        _ if past > rules.kept() => UseStale::NONE,
        Some(window) if past > window => UseStale::NONE,
        Some(_) => rules.use_stale | UseStale::STALE_IF_ERROR,
        None => rules.use_stale,
    };
    let at_once = match terms.while_revalidate {
        _ if past > rules.stale => false,
        Some(window) => past <= window,
        None => rules.use_stale.contains(UseStale::UPDATING),
    };
    if at_once {
        Use::Stale(on_failure)
    } else {
        Use::Validate(on_failure)
    }
}

/// Failures of a refill ahead that leave the record in use: it is fresh, so that a server's error doesn't count against
/// it, whatever the operator says of stale ones.
fn on_failure_ahead(rules: &Rules) -> UseStale {
    rules.use_stale | UseStale::STALE_IF_ERROR | UseStale::HTTP_5XX
}

/// Decides it for a request that says what it wants (RFC 9111 5.2.1): a record that won't do is validated; a
/// stale one that will do is served, unless the response forbids it.
#[must_use]
pub fn judge_for(record: &Record, rules: &Rules, asks: &RequestDirectives) -> Use {
    judge_standing_for(record.standing(), rules, asks)
}

/// The same of a record of which only that is at hand.
#[must_use]
pub fn judge_standing_for(record: Standing, rules: &Rules, asks: &RequestDirectives) -> Use {
    let found = judge_standing(record, rules);
    if *asks == RequestDirectives::default() {
        return found;
    }
    let fresh_ms = record.fresh_ms(rules.stale);
    let accepted = asks.accepts(record.age, fresh_ms);
    let never_stale = record.terms.always_validate || record.terms.never_stale;
    match found {
        // What the client doesn't want isn't given to it for a failure either.
        Use::Fresh | Use::Ahead(_) if !accepted => Use::Validate(UseStale::NONE),
        Use::Stale(on_failure) if !accepted => Use::Validate(on_failure),
        // 4.2.4: the client's own permission. It doesn't reach past the operator's.
        Use::Validate(on_failure)
            if accepted
                && !never_stale
                && record.staleness(rules.stale) <= rules.stale
                && asks.permits_stale(fresh_ms.saturating_neg()) =>
        {
            Use::Stale(on_failure)
        }
        found => found,
    }
}
