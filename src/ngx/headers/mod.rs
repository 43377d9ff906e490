//! The headers of a request and of its response: what is read of the one, and written to the other.

mod accel;
mod apply;
mod conditions;
mod dates;
mod known;
mod list;
mod masked;
mod part;
mod ready;
mod request;
mod response;
mod status_line;
mod validators;

pub use accel::apply as apply_accel;
pub use apply::apply;
pub use dates::date;
pub use list::lines;
pub use masked::MaskedRequest;
pub use part::Part;
pub use ready::Ready;
pub use request::{accepted, directives, each_of_request, has, of_request};
pub use response::{
    NoMemory, ToNginx, borrowed, charset, clean, copied, leave_content_range, push, push_kept,
    push_known, remove, retain,
};
pub use status_line::status_line;
pub use validators::Validators;
