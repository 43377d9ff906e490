//! The memory of a zone, and of what all zones have in common: its declaration, its layout, and the mutex that guards
//! it.

mod common;
mod declared;
mod layout;
mod names;

pub(super) use declared::Mapping;
