//! Purges: which records a request takes out of the cache, and how each machine knows of that.
//!
//! A purge of one URI deletes the record of its key. Any other purge is one [`Entry`] with a number in a log that the store
//! keeps, so that it costs the same however many records it concerns. A record carries the number that was the last one when
//! its fill began, and [`Labels`], by which it can be selected. [`Log::judge`] compares the two.

mod digest;
mod entry;
mod fields;
mod json;
mod labels;
mod log;
mod number;
mod request;
mod uri;

pub use digest::Digest;
pub use entry::{Entry, Mode, Selector};
pub use fields::{DEFAULT_FIELDS, MAX_TAGS, group_invalidations, is_for_clients, tags_of};
pub use json::{MAX_BODY, MAX_SELECTORS, answer, parse_json};
pub use labels::{Labels, Site};
pub use log::{Judgement, Log, MOST};
pub use number::{LARGEST, SPAN, next_number};
pub use request::{Asked, Form, Purge, Refused, Style, Target};
