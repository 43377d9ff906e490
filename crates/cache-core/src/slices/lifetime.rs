//! How long slices are kept: a little longer than their head, and longer when that is renewed.

use crate::freshness::{Freshness, Source};
use crate::policy::Plan;
use crate::targeted::By;
use crate::units::MAX_SECONDS;

/// So many seconds longer than its head a slice is kept: it doesn't go before it, and isn't kept longer by each request that
/// reads it.
pub const MARGIN: u32 = 60;

/// The expiry of a slice whose head has `head_ttl` milliseconds left, in seconds. `None`: the head is at its end, and the slice
/// isn't stored.
#[must_use]
pub fn expiry(head_ttl: i64) -> Option<u32> {
    let left = u64::try_from(head_ttl).ok().filter(|&left| left > 0)?;
    let seconds = u32::try_from(left.div_ceil(1000)).unwrap_or(MAX_SECONDS);
    Some(seconds.saturating_add(MARGIN).min(MAX_SECONDS))
}

/// The new expiry of a slice that was read with `slice_ttl` milliseconds left, in seconds, if it would go before its head:
/// that was renewed meanwhile.
#[must_use]
pub fn extension(slice_ttl: i64, head_ttl: i64) -> Option<u32> {
    if slice_ttl < head_ttl {
        expiry(head_ttl)
    } else {
        None
    }
}

/// How a slice is stored for so many seconds. It is as fresh as its head, whatever this says.
#[must_use]
pub const fn plan(expiry: u32) -> Plan {
    Plan {
        age: 0,
        fresh_for: expiry,
        expiry,
        freshness: Freshness {
            lifetime: expiry,
            initial_age: 0,
            source: Source::Default,
        },
        kept: None,
        always_validate: false,
        by: By::CacheControl,
    }
}
