//! What the sender of a purge is told: JSON.

use super::Refusal;
use crate::purge::kind::{Kind, Mode};

/// The purge holds. `purged` is how many records were deleted by key, or how many selectors hold from now on.
#[must_use]
pub fn done(purged: u64, kind: Kind, mode: Mode) -> String {
    let (kind, mode) = (kind.as_str(), mode.as_str());
    format!("{{\"purged\": {purged}, \"kind\": \"{kind}\", \"mode\": \"{mode}\"}}\n")
}

/// The request wasn't understood.
#[must_use]
pub fn refused(why: &Refusal) -> String {
    failed(&why.to_string())
}

/// Nothing is purged, for this reason.
#[must_use]
pub fn failed(why: &str) -> String {
    let why = serde_json::Value::String(why.to_owned());
    format!("{{\"error\": {why}}}\n")
}
