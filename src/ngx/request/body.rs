//! The body of a request.

use ngx::ffi::*;

use super::super::shim;
use super::{Code, DONE, Request};

/// Why a body can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBody {
    /// It is longer than is read.
    TooLong,
    /// Its file can't be read.
    Unreadable,
}

impl Request {
    /// The length that the client says its body has.
    pub fn content_length(self) -> Option<u64> {
        u64::try_from(self.get().headers_in.content_length_n).ok()
    }

    /// Its body, which has been read, from memory and from its file. Empty if there is none.
    ///
    /// # Errors
    ///
    /// It has more than `most` bytes, or its file can't be read.
    pub fn body(self, most: usize) -> Result<Vec<u8>, NoBody> {
        let mut whole = Vec::new();
        // SAFETY: a body that has been read is null or lives as long as the request, and so do its links and buffers,
        // which are in memory or in its temporary file.
        unsafe {
            let body = self.get().request_body.as_ref();
            let mut link = body.map_or(std::ptr::null_mut(), |body| body.bufs);
            while let Some(current) = link.as_ref() {
                link = current.next;
                let size = usize::try_from(shim::rcs_buf_size(current.buf));
                let size = size.map_err(|_| NoBody::TooLong)?;
                let before = whole.len();
                if size > most.saturating_sub(before) {
                    return Err(NoBody::TooLong);
                }
                if size == 0 {
                    continue;
                }
                let buffer = &*current.buf;
                if shim::rcs_buf_in_memory(buffer) != 0 {
                    whole.extend_from_slice(std::slice::from_raw_parts(buffer.pos, size));
                    continue;
                }
                whole.resize(before + size, 0);
                let place = whole.as_mut_ptr().add(before);
                let read = ngx_read_file(buffer.file, place, size, buffer.file_pos);
                if usize::try_from(read) != Ok(size) {
                    return Err(NoBody::Unreadable);
                }
            }
        }
        Ok(whole)
    }

    /// Whether the client says that a body comes with it.
    pub fn announces_body(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_announces_body(self.as_ptr()) != 0 }
    }

    /// Whether a body has come or is to come with it. One that is announced without a length may be empty: that is known
    /// when it has been read.
    pub fn has_body(self) -> bool {
        self.announces_body() && self.get().headers_in.content_length_n != 0
    }

    /// Whether only reading tells if its body has any bytes: it has no Content-Length.
    pub fn has_body_of_unknown_length(self) -> bool {
        self.has_body() && self.get().headers_in.content_length_n < 0
    }

    /// Whether nothing of its body is to be read any more.
    pub fn is_body_read(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_is_body_read(self.as_ptr()) != 0 }
    }

    /// Whether its body, which has been read, lies in a file.
    pub fn is_body_in_file(self) -> bool {
        // SAFETY: null, or live as long as the request.
        let body = unsafe { self.get().request_body.as_ref() };
        body.is_some_and(|body| !body.temp_file.is_null())
    }

    /// Reads the request's body, then calls `ready`; returns what a phase handler returns.
    pub fn read_body(self, ready: unsafe extern "C" fn(*mut ngx_http_request_t)) -> Code {
        // SAFETY: live request, in a phase handler.
        unsafe {
            let code = ngx_http_read_client_request_body(self.as_ptr(), Some(ready));
            if code >= NGX_HTTP_SPECIAL_RESPONSE as Code {
                return code;
            }
            // Reading has taken a reference of its own.
            ngx_http_finalize_request(self.as_ptr(), DONE);
        }
        DONE
    }
}
