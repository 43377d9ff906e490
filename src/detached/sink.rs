//! Where the response to a detached request goes.

use bytes::Bytes;
use cache_core::flow::Ending;
use cache_core::headers::Headers;

use crate::ngx::request::Request;
use crate::ngx::upstream::captured::Captured;

/// Takes the response to a detached request: its header, its body piece by piece, its end.
///
/// One that takes the whole body at once, and keeps it for its reader, needs no more than what has no default here.
pub trait Sink {
    /// The header has come, once. `r` is the subrequest that got it. `is_restricted`: access rules had a say, so that
    /// the response depends on who asks.
    fn header(&self, r: Request, captured: Captured, is_restricted: bool);

    /// A 103 (Early Hints) has come before the header, to the subrequest `r`.
    fn hint(&self, r: Request, hint: Headers) {
        let _ = (r, hint);
    }

    /// A piece of the body has come. It isn't empty.
    fn push(&self, piece: Bytes);

    /// The backend's location asks that what has come isn't held back.
    fn flush(&self);

    /// No more comes. Later calls change nothing.
    fn end(&self, ending: Ending);

    /// Whether it has ended.
    fn has_ended(&self) -> bool;

    /// Whether nobody wants the rest, so that the request is to be broken off.
    fn is_unwanted(&self) -> bool;

    /// Has `wake` called, at any time before the end, when the response is to go on after
    /// [`is_blocked`](Sink::is_blocked), or when nobody wants it any more. The call only posts an event: it never comes
    /// back here.
    fn set_wake(&self, wake: Box<dyn Fn()>);

    /// Whether the backend shall wait before it sends more.
    fn is_blocked(&self) -> bool {
        false
    }

    /// Memory is short: gives up what is kept for the store alone. False if there is nothing of that kind.
    fn cease_capture(&self, why: Ending) -> bool {
        let _ = why;
        false
    }

    /// How many bytes were given up so, once the readers have caught up; then 0.
    fn take_surplus(&self) -> usize {
        0
    }
}
