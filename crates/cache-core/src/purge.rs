//! Purges: which records they concern, who asks for them, and what is known of them.
//!
//! A purge by key deletes at once. Any other is one entry in the store's log: a number that the store gives, and an
//! [`Entry`] that says by what it selects records. A record carries the log's last number that was known when its fill
//! began, and its [`Labels`]. It is purged if a later entry selects it: [`Log::judge`]. So a purge writes the same few
//! bytes however many records it concerns, and a record that is written meanwhile is purged, too.
//!
//! Wherever room ends or a text can't be read, a purge concerns more records, never fewer.

mod entry;
mod fields;
mod groups;
mod kind;
mod labels;
mod log;
mod normal;
pub mod number;
mod prefixes;
pub mod request;
mod selector;
mod tag_id;

pub use entry::{Entry, Member, Purged};
pub use fields::{Separators, TagFields};
pub use groups::{group_invalidation, strings};
pub use kind::{Kind, Mode};
pub use labels::{Labels, MAX_TAGS, Tags};
pub use log::{Log, MAX_ENTRIES, Verdict};
pub use normal::{MAX_TARGET, target_of};
pub use selector::{Scope, Selector};
pub use tag_id::TagId;
