//! The number of a purge: each is larger than all that were given before, also by a server that has lost some of them.

/// So many numbers a second there are room for, and so many a new master leaves out: those that the one before it has given
/// and not replicated.
pub const SPAN: u64 = 1 << 20;

/// Redis keeps numbers of a sorted set as floating point, exact up to this one.
pub const LARGEST: u64 = (1 << 53) - 1;

/// The number of the next purge. `last`: the one that the log gave last, 0 if there is no log. `known`: the last that the
/// sender knows. `seconds`: the server's own time. `is_same_server`: the server that gave `last` gives this one.
///
/// The time makes numbers grow where a log was lost. Where a server's clock is behind, or leaps back, what the log and the sender know
/// is enough. The script that purges follows the same rule.
#[must_use]
pub fn next_number(last: u64, known: u64, seconds: u64, is_same_server: bool) -> u64 {
    let step = if is_same_server || last == 0 { 1 } else { SPAN };
    let next = last
        .saturating_add(step)
        .max(known.saturating_add(1))
        .max(seconds.saturating_mul(SPAN));
    next.min(LARGEST)
}
