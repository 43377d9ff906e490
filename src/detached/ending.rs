//! Whether a response is whole.

use cache_core::flow::Ending;

use super::hook::Hook;
use crate::ngx::request::{DONE, OK};

/// Complete means: the last buffer came, or all was well and the length is what the header said
/// (an empty file and `return 204` send no last buffer; a response that the backend cut off ends
/// well, but short). It is the backend's location that is judged, before Lua or njs have changed what it gives.
pub(super) fn verdict(hook: &Hook) -> Ending {
    let Some(header) = hook.header.get() else {
        return Ending::Cut;
    };
    let given = hook
        .promised
        .get()
        .is_none_or(|length| length == hook.given.get());
    let length_holds = header
        .content_length
        .is_none_or(|length| length == hook.taken.get());
    let fine = hook
        .code
        .get()
        .is_some_and(|code| code == OK || code == DONE);
    if given
        && length_holds
        && (hook.last_seen.get()
            || (fine && hook.promised.get().is_some())
            || bodiless(header.status))
    {
        Ending::Whole
    } else {
        Ending::Cut
    }
}

/// Statuses without a body (RFC 9110 6.4.1).
fn bodiless(status: u16) -> bool {
    status == 204 || status == 304
}
