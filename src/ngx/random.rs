//! Numbers by chance, as nginx has them.

use ngx::ffi::ngx_random;

/// A number from `low` to `high`, both included.
pub fn between(low: u64, high: u64) -> u64 {
    let span = high.saturating_sub(low).saturating_add(1);
    let chance = u64::try_from(ngx_random()).unwrap_or_default();
    low.saturating_add(chance.checked_rem(span).unwrap_or_default())
}

/// A number of 64 bits.
pub fn number() -> u64 {
    // 31 bits each.
    let bits = || u64::try_from(ngx_random()).unwrap_or_default();
    (bits() << 33) ^ (bits() << 16) ^ bits()
}
