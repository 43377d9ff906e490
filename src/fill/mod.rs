//! The fill: one request to the backend for one key, detached from every client, and what its response becomes.
//!
//! In the order of its life: `start` makes it, on its `terms`, with what of the client's header `request_header` and
//! `credentials` leave; `task` runs it, under its `locks`, the first of which may have a `lease` in the store; by `registry` other
//! requests join it; `capture` decides by the `criteria` what becomes of the response, `labelling` says by what purges select it,
//! `search` what its No-Vary-Search means for its key, and `clock` looks at the backend's clock; through `stream` the response
//! reaches its readers, and `compress` compresses its body for the store; `part` says whether it is asked for all of it or for a
//! slice, and `gather` puts a slice together of several answers; `record` makes of it the record that is written. `beside` begins a fill whose response comes to the
//! client's own request, and `succession` has it wait for what that invalidates; a `carrier` is the request that brings it.

pub mod beside;
mod capture;
mod carrier;
mod clock;
mod compress;
mod credentials;
mod criteria;
mod gather;
mod labelling;
pub mod lease;
mod locks;
pub mod part;
mod record;
pub mod registry;
pub mod request_header;
pub mod search;
pub mod start;
mod stream;
pub mod succession;
mod task;
mod terms;

pub use compress::is_to_be_compressed;
pub use stream::{Next, ResponseHead, Stream, Subscription};
pub use task::FENCE_TIMEOUT;
pub use terms::Terms;
