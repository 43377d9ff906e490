//! A message in place of what the client asked for.

use std::ptr;

use bytes::Bytes;
use ngx::ffi::*;

use super::super::purpose::Message;
use super::{alloc, headers};
use crate::ngx::{pool, text};

/// Makes the copy a POST of the message.
///
/// # Safety
///
/// `main` is live and a copy without a body.
pub unsafe fn put(message: &Message, main: *mut ngx_http_request_t) -> Option<()> {
    // SAFETY: the bytes are kept as long as the pool that the buffers are made in.
    unsafe {
        let m = &mut *main;
        m.method = NGX_HTTP_POST as ngx_uint_t;
        // nginx's proxy sends the blank behind it too.
        m.method_name = text::borrowed(b"POST ");
        m.method_name.len = 4;
        m.uri = text::copy(m.pool, &message.uri)?;
        m.args = text::copy(m.pool, &message.args)?;
        let kept = pool::keep(m.pool, message.body.clone())?;
        let content = alloc::<ngx_http_request_body_t>(m.pool)?.as_ptr();
        let mut last: *mut *mut ngx_chain_t = &raw mut (*content).bufs;
        for piece in kept.as_ref().iter().filter(|piece| !piece.is_empty()) {
            let link = ngx_alloc_chain_link(m.pool);
            if link.is_null() {
                return None;
            }
            (*link).buf = buffer(m.pool, piece)?;
            (*link).next = ptr::null_mut();
            *last = link;
            last = &raw mut (*link).next;
        }
        m.request_body = content;
        // How long it is nginx learns behind client_max_body_size: it is no client's body.
        headers::content_length(main, message.length())
    }
}

/// A buffer that points to `piece`, which nobody may change.
unsafe fn buffer(pool: *mut ngx_pool_t, piece: &Bytes) -> Option<*mut ngx_buf_t> {
    // SAFETY: by the caller, the piece outlives the buffer; nginx only reads from `memory`.
    unsafe {
        let buffer = alloc::<ngx_buf_t>(pool)?.as_ptr();
        let range = piece.as_ptr_range();
        (*buffer).start = range.start.cast_mut();
        (*buffer).pos = (*buffer).start;
        (*buffer).last = range.end.cast_mut();
        (*buffer).end = (*buffer).last;
        (*buffer).set_memory(1);
        Some(buffer)
    }
}
