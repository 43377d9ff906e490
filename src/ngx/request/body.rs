//! The body of a request.

use ngx::ffi::*;

use super::super::shim;
use super::{Code, DONE, Request};

impl Request {
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
