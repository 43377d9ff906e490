//! A request without a client: nginx's own, on a connection without a socket. A fill's request to the backend is one,
//! and so is an exchange with a location that is the store. Its maker says what it is for ([`Purpose`]) and where its
//! response goes ([`Sink`]). The client's request is copied deeply enough that it may be gone a moment later.
//!
//! In the order of its life: `purpose` and `backend`; `connection` and `copy` make it; `handle` is what its maker has
//! of it, `hook` what nginx's filters find, `times` what both note; `run` starts it; `entered` is the location that it
//! was sent to; `capture` gives its response to the `sink`; `ending` says whether the response is whole. `tap`
//! does so with the response to a client's own request.

mod backend;
mod capture;
mod connection;
mod copy;
mod ending;
mod entered;
mod handle;
mod hook;
mod purpose;
mod run;
mod sink;
mod tap;
mod times;

pub use backend::Backend;
pub use capture::{body, header, hint, output_body, output_header};
pub use connection::is_detached;
pub use copy::leaves_out;
pub use entered::Entered;
pub use handle::{Detached, Kept};
pub use hook::hook;
pub use purpose::{Fetch, FilterPosition, Message, Purpose};
pub use run::{create, located};
pub use sink::Sink;
pub use tap::Tap;
pub use times::Times;
