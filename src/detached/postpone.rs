//! nginx's postpone filter, which brings the parts of a page into its order: those of a response and of the subrequests
//! within it.

use ngx::ffi::*;

use crate::ngx::request::{Code, ERROR, Request};

/// A body filter of nginx.
type BodyFilter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

/// nginx builds its chains of filters again at each reload in the same process: the latest counts.
static mut POSTPONE_FILTER: Option<BodyFilter> = None;

/// Learns which filter it is.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn learn_postpone(filter: Option<BodyFilter>) {
    // SAFETY: by contract nobody else is running.
    unsafe { POSTPONE_FILTER = filter };
}

/// Gives a part of a response its place in the page, past all filters on the way.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn postpone(r: Request, input: *mut ngx_chain_t) -> Code {
    // SAFETY: written only among the postconfigurations; the filter takes what we were given.
    unsafe { POSTPONE_FILTER.map_or(ERROR, |filter| filter(r.as_ptr(), input)) }
}
