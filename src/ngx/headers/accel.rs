//! X-Accel-Limit-Rate and X-Accel-Charset, by which a backend tells nginx how a response is to be sent.

use cache_core::record::Unsent;
use ngx::ffi::*;

use super::super::request::Request;
use super::super::shim;
use super::response::{NoMemory, copied};

/// Applies both to a response: bytes per second, and the charset of its Content-Type.
pub fn apply(r: Request, unsent: &Unsent) -> Result<(), NoMemory> {
    if let Some(rate) = unsent.limit_rate {
        let rate = usize::try_from(rate).unwrap_or(usize::MAX);
        // SAFETY: live request.
        unsafe { r.change(|r| r.limit_rate = rate) };
        // SAFETY: likewise.
        unsafe { shim::rcs_set_limit_rate_set(r.as_ptr(), 1) };
    }
    if let Some(charset) = &unsent.charset {
        // SAFETY: the request's pool is live, and gives memory for a string or null.
        unsafe {
            let place = ngx_palloc(r.pool(), size_of::<ngx_str_t>()).cast::<ngx_str_t>();
            if place.is_null() {
                return Err(NoMemory);
            }
            place.write(copied(r, charset)?);
            r.change(|r| r.headers_out.override_charset = place);
        }
    }
    Ok(())
}
