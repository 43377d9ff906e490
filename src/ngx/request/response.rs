//! The response to a request, as nginx's filters have it.

use std::ptr;

use ngx::ffi::*;

use super::super::{module, shim};
use super::{Code, Request};

impl Request {
    /// Sends the header; returns what the filters say.
    pub fn send_header(self) -> Code {
        // SAFETY: live request with headers_out filled.
        unsafe { ngx_http_send_header(self.as_ptr()) }
    }

    /// Whether the header has passed all filters: some keep it back until they have seen the body.
    pub fn is_header_sent(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_get_header_sent(self.as_ptr()) != 0 }
    }

    /// Whether the response has no body for this request: HEAD, or a 304.
    pub fn is_header_only(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_get_header_only(self.as_ptr()) != 0 }
    }

    /// Has the response sent without a header, as nginx does with what came to it without one.
    pub fn forbid_header(self) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.http_version = NGX_HTTP_VERSION_9 as ngx_uint_t) };
    }

    /// Whether a filter that changes bodies is at work on the response.
    pub fn body_may_change(self) -> bool {
        // SAFETY: live request. nginx's filters and those of other makers set it with the header, to see the body.
        unsafe { shim::rcs_get_filter_need_in_memory(self.as_ptr()) != 0 }
    }

    /// Whether a filter changes the response, or may: none of nginx's leaves a length that it doesn't know.
    pub fn is_changed(self) -> bool {
        self.body_may_change() || self.get().headers_out.content_length_n < 0
    }

    /// The response isn't coded after all: its body has so many bytes, unless a filter has taken its length away.
    pub fn drop_coding(self, length: u64) {
        // SAFETY: live request; null or one of its lines.
        unsafe {
            self.change(|r| {
                let out = &mut r.headers_out;
                if let Some(line) = out.content_encoding.as_mut() {
                    line.hash = 0;
                }
                out.content_encoding = ptr::null_mut();
                if out.content_length_n >= 0 {
                    out.content_length_n = i64::try_from(length).unwrap_or(-1);
                }
            });
        }
    }

    /// Whether parts may be cut out of the response: filters that change its body say no.
    pub fn allows_ranges(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_get_allow_ranges(self.as_ptr()) != 0 }
    }

    /// Whether `error_page` has the response sent with another status than 200.
    pub fn has_status_of_error(self) -> bool {
        let status = self.get().err_status;
        status != 0 && status != NGX_HTTP_OK as ngx_uint_t
    }

    /// Whether `error_page` says with what status the response is sent, whatever it had.
    pub fn is_sent_with_another_status(self) -> bool {
        self.get().err_status != 0
    }

    /// Whether the response has a Content-Encoding.
    pub fn is_coded(self) -> bool {
        !self.get().headers_out.content_encoding.is_null()
    }

    /// Whether nginx is to add a Vary for gzip's sake, where `gzip_vary` says so.
    pub fn has_gzip_vary(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_has_gzip_vary(self.as_ptr()) != 0 }
    }

    /// It isn't.
    pub fn clear_gzip_vary(self) {
        // SAFETY: live request.
        unsafe { shim::rcs_clear_gzip_vary(self.as_ptr()) };
    }

    /// Whether the filter for images keeps the header of the response back until it has the body. It leaves the
    /// validators alone, but for making an ETag weak.
    pub fn is_kept_for_image(self) -> bool {
        !self.is_header_sent()
            && module::loaded().any(|(name, module)| {
                // SAFETY: ctx has a place for every http module.
                name == b"ngx_http_image_filter_module"
                    && unsafe { !(*self.get().ctx.add(module.ctx_index)).is_null() }
            })
    }
}
