//! The validators of a response, before and behind the filters that change its body.

use cache_core::conditions::is_in_not_modified;
use ngx::ffi::*;

use super::super::request::Request;
use super::super::{shim, text};
use super::response::retain;

/// What a response had before the filters.
#[derive(Clone, Copy)]
pub struct Validators {
    etag: Option<ngx_str_t>,
    modified: time_t,
    length: off_t,
}

impl Validators {
    /// Those of the response that `r` is about to get.
    pub fn of(r: Request) -> Validators {
        let out = &r.get().headers_out;
        Validators {
            // SAFETY: null or a line of the live request.
            etag: unsafe { out.etag.as_ref() }.map(|line| line.value),
            modified: out.last_modified_time,
            length: out.content_length_n,
        }
    }

    /// Whether the one that the request's condition was found to hold by still speaks of the response: no filter has
    /// taken it away or put another in its place. Without Last-Modified only the time of the response was left to
    /// compare: then its length must be as it was.
    pub fn hold_for(&self, r: Request) -> bool {
        let now = Validators::of(r);
        if !(200..300).contains(&r.get().headers_out.status) {
            return false;
        }
        if !r.get().headers_in.if_none_match.is_null() {
            return match (&self.etag, &now.etag) {
                (None, None) => true,
                // SAFETY: strings of the live request.
                (Some(before), Some(now)) => unsafe {
                    is_same(text::bytes(before), text::bytes(now))
                },
                _ => false,
            };
        }
        let by_time = self.modified == -1;
        self.modified == now.modified && (!by_time || self.length == now.length)
    }

    /// Makes the response a 304, as nginx's own filter does in front of the others: what those add to a 200 only isn't
    /// in it.
    pub fn not_modified(&self, r: Request) {
        // SAFETY: a live request, to which nothing else points meanwhile.
        let out = unsafe { &mut (*r.as_ptr()).headers_out };
        out.status = NGX_HTTP_NOT_MODIFIED as ngx_uint_t;
        out.status_line.len = 0;
        out.content_type.len = 0;
        out.content_length_n = -1;
        // SAFETY: null or a line of the live request.
        if let (Some(line), Some(etag)) = (unsafe { out.etag.as_mut() }, self.etag) {
            line.value = etag;
        }
        for line in [
            &mut out.content_length,
            &mut out.content_encoding,
            &mut out.accept_ranges,
            &mut out.content_range,
        ] {
            *line = std::ptr::null_mut();
        }
        retain(r, is_in_not_modified);
        // SAFETY: live request.
        unsafe { shim::rcs_set_allow_ranges(r.as_ptr(), 0) };
        r.clear_gzip_vary();
    }
}

/// The same tag, or the same made weak.
fn is_same(before: &[u8], now: &[u8]) -> bool {
    before == now || now.strip_prefix(b"W/") == Some(before)
}
