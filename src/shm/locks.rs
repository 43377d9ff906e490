//! The locks of a zone, as the rest of the module sees them.

pub use super::table::Acquired;
pub use super::table::entry::{BackOff, Retention};
