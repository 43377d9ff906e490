//! Conditional requests and Range: what a request says of the response that its client has (RFC 9110 13, 14).

use std::ptr;

use cache_core::conditions::{ByDate, Conditions};
use ngx::ffi::*;

use super::super::request::Request;
use super::super::{shim, text};
use super::list::lines;

impl Request {
    /// Whether it has a field that may make it conditional, or a Range. A subrequest has those of its client, which
    /// speak of the whole that it is a part of.
    pub fn is_conditional(self) -> bool {
        let fields = &self.get().headers_in;
        if self.is_subrequest() {
            return false;
        }
        !fields.if_none_match.is_null()
            || !fields.if_modified_since.is_null()
            || !fields.range.is_null()
            || !fields.if_match.is_null()
            || !fields.if_unmodified_since.is_null()
    }

    /// Whether it is to be carried out under conditions only, and does more than to fetch.
    pub fn is_guarded(self) -> bool {
        let fields = &self.get().headers_in;
        let fetches = [NGX_HTTP_GET, NGX_HTTP_HEAD].contains(&(self.get().method as u32));
        let conditional = !fields.if_match.is_null()
            || !fields.if_none_match.is_null()
            || !fields.if_unmodified_since.is_null();
        conditional && !fetches
    }

    /// The Range of a client's GET: other methods have none (RFC 9110 14.2), and a subrequest wants the whole.
    pub fn range(self) -> Option<&'static [u8]> {
        let fetches = self.get().method == NGX_HTTP_GET as ngx_uint_t && !self.is_subrequest();
        // SAFETY: null or a line of the live request, whose strings live as long as it.
        let line = unsafe { self.get().headers_in.range.as_ref() };
        line.filter(|_| fetches)
            // SAFETY: as above.
            .map(|line| unsafe { text::bytes(&line.value) })
    }

    /// Its conditions and its Range.
    pub fn conditions(self) -> Conditions<'static> {
        // SAFETY: the list is initialised with the request; nginx's strings live as long as it.
        Conditions::of(unsafe {
            lines(&self.get().headers_in.headers)
                .map(|line| (text::bytes(&line.key), text::bytes(&line.value)))
        })
    }

    /// What the location's `if_modified_since` says.
    pub fn by_date(self) -> ByDate {
        match self.core_loc_conf() {
            Some(conf) if conf.if_modified_since == NGX_HTTP_IMS_OFF as ngx_uint_t => ByDate::Off,
            _ => ByDate::On,
        }
    }

    /// Its conditions have been evaluated: nginx's own filter isn't asked.
    pub fn settle_conditions(self) {
        // SAFETY: live request.
        unsafe { shim::rcs_set_disable_not_modified(self.as_ptr(), 1) };
    }

    /// Whether Range applies has been decided: nginx cuts the parts out, or sees no Range.
    pub fn settle_range(self, applies: bool) {
        // SAFETY: live request.
        unsafe {
            self.change(|r| {
                r.headers_in.if_range = ptr::null_mut();
                if !applies {
                    r.headers_in.range = ptr::null_mut();
                }
            });
        }
    }

    /// How much of the body is of use, once the header is sent: up to the end of a part that was cut
    /// out of it.
    pub fn end_of_part(self) -> Option<u64> {
        let out = &self.get().headers_out;
        if out.status != NGX_HTTP_PARTIAL_CONTENT as ngx_uint_t || out.content_length_n < 0 {
            return None;
        }
        u64::try_from(out.content_offset.saturating_add(out.content_length_n)).ok()
    }
}
