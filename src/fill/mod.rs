//! The fill: one request to the backend for one key, detached from every client.

mod capture;
mod clock;
pub mod credentials;
mod criteria;
pub mod registry;
pub mod request_header;
pub mod start;
pub mod stream;
pub mod task;

pub use stream::{Next, ResponseHead, Stream, Subscription};
