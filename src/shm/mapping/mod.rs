//! The memory of a zone, and that which all zones have in common: declared, laid out, mapped, and guarded by a mutex.

mod common;
mod declared;
mod layout;
mod names;

pub(super) use declared::Mapping;
