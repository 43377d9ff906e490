//! The fill: one request to the backend for one key, detached from every client.

pub mod capture;
mod clock;
pub mod credentials;
pub mod registry;
pub mod request_header;
pub mod start;
pub mod stream;
pub mod task;

pub use stream::{Next, ResponseHead, Stream, Subscription};
