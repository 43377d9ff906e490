//! Chains of buffers: whether they end a body, and their being consumed.

use ngx::ffi::*;

use super::shim;

/// Whether a chain has the end of a body.
///
/// # Safety
///
/// `link` is null or begins a chain of live buffers.
pub unsafe fn has_last(mut link: *const ngx_chain_t) -> bool {
    // SAFETY: by contract.
    unsafe {
        while let Some(current) = link.as_ref() {
            if shim::rcs_buf_is_last(current.buf) != 0 {
                return true;
            }
            link = current.next;
        }
    }
    false
}

/// Takes what is in a chain's buffers as sent.
///
/// # Safety
///
/// `link` is null or begins a chain of live buffers.
pub unsafe fn consume(mut link: *mut ngx_chain_t) {
    // SAFETY: by contract.
    unsafe {
        while let Some(current) = link.as_ref() {
            let buffer = &mut *current.buf;
            buffer.pos = buffer.last;
            buffer.file_pos = buffer.file_last;
            link = current.next;
        }
    }
}
