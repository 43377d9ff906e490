//! The header of a fill's response, as its readers get it.

use bytes::Bytes;
use cache_core::flow::Finding;
use cache_core::headers::Headers;
use cache_core::record::Unsent;
use cache_core::slices::Brought;
use cache_core::vary::Variant;

/// A response header as subscribers get it.
#[derive(Debug)]
pub struct ResponseHead {
    /// Its status.
    pub status: u16,
    /// Its lines, without Content-Length.
    pub headers: Headers,
    /// The length of the body, where it is known.
    pub content_length: Option<u64>,
    /// When the backend says that it made it, else when it came, in unix seconds.
    pub date: u64,
    /// When it came, in milliseconds of the exact clock.
    pub came: u64,
    /// Fields that the backend's Connection names: not stored.
    pub connection: Vec<Bytes>,
    /// Its Location is a path for nginx to complete.
    pub own_location: bool,
    /// Fields that are for nobody but the client that asked: neither stored nor given to those who join.
    pub withheld: Vec<Bytes>,
    /// What the backend said that clients aren't sent.
    pub unsent: Unsent,
    /// The backend's own header, as it came.
    pub upstream: Headers,
    /// Whether nginx made it because the backend gave no response.
    pub generated: bool,
    /// The status of the backend's own response, if it gave one.
    pub backend_status: Option<u16>,
    /// Whether the backend could confirm a record with it.
    pub conditional: bool,
    /// What becomes of it.
    pub finding: Finding,
    /// By what purges select it: field `labels` of its record.
    pub labels: Bytes,
    /// Whether it names tags.
    pub has_tags: bool,
    /// What it varies on, if it does, and which variant it is.
    pub variant: Option<Variant>,
    /// Whether it is a response by itself, or a part of one.
    pub brought: Brought,
}
