//! The way of a request through nginx's phases, and its end.

use ngx::ffi::*;

use super::super::{shim, text};
use super::{Code, DONE, ERROR, Request};

impl Request {
    /// The index of the phase handler that runs.
    pub fn phase(self) -> ngx_int_t {
        self.get().phase_handler
    }

    /// Goes on at this index of the phase engine.
    pub fn set_phase(self, index: ngx_int_t) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.phase_handler = index) };
    }

    /// Takes the phases up again at `index` of the phase engine.
    pub fn run_phases_from(self, index: ngx_int_t) {
        let c = self.connection();
        // SAFETY: the index came from the same phase engine.
        unsafe {
            self.change(|r| {
                r.phase_handler = index;
                r.read_event_handler = Some(ngx_http_block_reading);
                r.write_event_handler = Some(ngx_http_core_run_phases);
            });
            ngx_http_core_run_phases(self.as_ptr());
            ngx_http_run_posted_requests(c);
        }
    }

    /// Runs the phase handler again that has waited, and those behind it.
    pub fn resume_phases(self) {
        // SAFETY: a live request between two phase handlers.
        unsafe {
            self.change(|r| r.write_event_handler = Some(ngx_http_core_run_phases));
            ngx_http_core_run_phases(self.as_ptr());
        }
    }

    /// Sets what `satisfy any` remembers of a rule that kept the client out; 0 for nothing.
    pub fn set_access_code(self, code: ngx_uint_t) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.access_code = code) };
    }

    /// Whether the location gives the content by a handler of its own (`proxy_pass` ...).
    pub fn has_content_handler(self) -> bool {
        self.get().content_handler.is_some()
    }

    /// Whether it is over but for the `post_action` of its location.
    pub fn is_post_action(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_get_post_action(self.as_ptr()) != 0 }
    }

    /// What a context getter finds, for requests that nginx has redirected internally; others
    /// aren't asked.
    pub fn redirected_context<T: 'static>(
        self,
        of: fn(Request) -> Option<&'static T>,
    ) -> Option<&'static T> {
        // SAFETY: live request.
        if unsafe { shim::rcs_get_internal(self.as_ptr()) } == 0 {
            return None;
        }
        of(self)
    }

    /// Goes on at another URI of the same server, with the same arguments.
    pub fn internal_redirect(self, uri: &[u8]) {
        // SAFETY: live request; the URI is copied into its pool.
        unsafe {
            self.change(|r| r.read_event_handler = Some(ngx_http_block_reading));
            let Some(mut uri) = text::copy(self.pool(), uri) else {
                self.finalize(NGX_HTTP_INTERNAL_SERVER_ERROR as Code);
                return;
            };
            let mut args = self.get().args;
            ngx_http_internal_redirect(self.as_ptr(), &mut uri, &mut args);
            ngx_http_finalize_request(self.as_ptr(), DONE);
        }
    }

    /// Goes on in a named location of the same server.
    pub fn named_location(self, name: &[u8]) {
        // SAFETY: live request; the name is copied into its pool.
        unsafe {
            self.change(|r| r.read_event_handler = Some(ngx_http_block_reading));
            let Some(mut name) = text::copy(self.pool(), name) else {
                self.finalize(NGX_HTTP_INTERNAL_SERVER_ERROR as Code);
                return;
            };
            ngx_http_named_location(self.as_ptr(), &mut name);
            ngx_http_finalize_request(self.as_ptr(), DONE);
        }
    }

    /// Ends it; it may be freed at once.
    pub fn finalize(self, code: Code) {
        let c = self.connection();
        // SAFETY: live until the first call; the connection outlives it or is marked destroyed.
        unsafe {
            ngx_http_finalize_request(self.as_ptr(), code);
            ngx_http_run_posted_requests(c);
        }
    }

    /// Finalizes the request in a handler of a phase, which returns [`super::DONE`]. What is posted runs when nginx comes to that.
    pub fn finalize_in_phase(self, code: Code) {
        // SAFETY: live until this call.
        unsafe { ngx_http_finalize_request(self.as_ptr(), code) };
    }

    /// Ends it where nothing else can be done: by an error page, or the end of its connection if the header has gone.
    pub fn give_up(self) {
        self.finalize(if self.is_header_sent() {
            ERROR
        } else {
            NGX_HTTP_INTERNAL_SERVER_ERROR as Code
        });
    }
}
