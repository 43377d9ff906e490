//! Claims: which machine of all that share a store fills a key.
//!
//! A machine claims a key by writing a token to the key's *lease*, a key of its own that ends by itself. The machine extends
//! the lease while its fill lives, writes the record only while the lease has its token, and at the end gives the lease
//! back and tells the outcome on the lease's channel. No machine compares its clock with that of another: the store alone
//! decides when a lease has ended.
//!
//! A lease also holds the fence of its key as it was when the key was claimed. A lease whose fence is another than the key's
//! is worth nothing: the fill under it began before an invalidation, and what it brings isn't stored.

mod outcome;
mod reply;
mod times;

use crate::companion_key;
use crate::vary::VariantId;

pub use crate::token::Token;
pub use outcome::{Channel, Told, message, parse_verdict, remembered, told, verdict_text};
pub use reply::{Claimed, parse};
pub use times::{Pace, extension, lease};

/// The field of a lease, a hash, that holds the token of the machine that has it.
pub const TOKEN: &str = "token";

/// The field of a lease that holds the fence of its key as it was when the lease was taken.
pub const FENCE: &str = "fence";

/// The field in whose place of a token a lease holds what is remembered of the last fill.
pub const VERDICT: &str = "verdict";

/// The name of the lease of a key, or of a variant of it: another key in the same slot of a Redis Cluster.
#[must_use]
pub fn name(key: &[u8], variant: Option<VariantId>) -> Vec<u8> {
    match variant {
        None => companion_key::name(key, b"l"),
        Some(id) => companion_key::name(key, &[b"l", &id.to_hex()[..]].concat()),
    }
}
