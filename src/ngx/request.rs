//! An nginx request.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

use ngx::ffi::*;

use super::guard::guard;
use super::module;
use super::{shim, text, upstream};

/// What a handler or filter returns to nginx, or `ngx_http_finalize_request` takes.
pub type Code = ngx_int_t;

/// `NGX_OK`
pub const OK: Code = NGX_OK as Code;
/// `NGX_ERROR`
pub const ERROR: Code = NGX_ERROR as Code;
/// `NGX_AGAIN`
pub const AGAIN: Code = NGX_AGAIN as Code;
/// `NGX_DONE`
pub const DONE: Code = NGX_DONE as Code;
/// `NGX_DECLINED`
pub const DECLINED: Code = NGX_DECLINED as Code;

/// Whether what the header filters say ends the response: an error, or a status that the request is to be finalized
/// with. `NGX_AGAIN` doesn't: the header is buffered, and the body goes behind it.
pub const fn is_refused(code: Code) -> bool {
    code == ERROR || code > OK
}

/// A location, or a block of a server, with what is nested in it without a name: by `if`, by `limit_except`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocationId(*const u_char, usize);

/// A request that nginx has given us and hasn't freed.
///
/// Whoever keeps one beyond the call that brought it must give it up in a cleanup of the request:
/// the tasks of the executor do so by being cancelled there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(NonNull<ngx_http_request_t>);

impl Request {
    /// # Safety
    ///
    /// `r` is null or a live request, and stays so for as long as the value is used.
    pub unsafe fn new(r: *mut ngx_http_request_t) -> Option<Request> {
        NonNull::new(r).map(Request)
    }

    /// The pointer that nginx's functions take.
    pub fn as_ptr(self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    pub(crate) fn get<'a>(self) -> &'a ngx_http_request_t {
        // SAFETY: live by the contract of `new`; nginx and we run on one thread.
        unsafe { &*self.0.as_ptr() }
    }

    /// Writes fields of the request.
    ///
    /// # Safety
    ///
    /// Nobody holds a reference into what is written, and `change` reaches the request by its argument alone: it neither
    /// uses another [`Request`] nor calls nginx.
    pub(super) unsafe fn change<T>(self, change: impl FnOnce(&mut ngx_http_request_t) -> T) -> T {
        // SAFETY: live by the contract of `new`; the reference ends with the call.
        change(unsafe { &mut *self.0.as_ptr() })
    }

    /// The client's request if this is a subrequest of it, else itself.
    pub fn main(self) -> Request {
        NonNull::new(self.get().main).map_or(self, Request)
    }

    /// Whether nginx made it for the sake of another one.
    pub fn is_subrequest(self) -> bool {
        self.get().main != self.as_ptr()
    }

    /// Its memory.
    pub fn pool(self) -> *mut ngx_pool_t {
        self.get().pool
    }

    /// Its connection.
    pub fn connection(self) -> *mut ngx_connection_t {
        self.get().connection
    }

    /// Where its log lines go.
    pub fn log(self) -> *mut ngx_log_t {
        // SAFETY: a live request has a connection with a log.
        unsafe { (*self.connection()).log }
    }

    /// The configuration of its location. `None` only for a type that isn't the module's.
    pub fn loc_conf<T>(self) -> Option<&'static T> {
        // SAFETY: ctx_index is set when the module is loaded; the configuration outlives requests.
        unsafe {
            (*self.get().loc_conf.add(module::index()))
                .cast::<T>()
                .as_ref()
        }
    }

    /// The configuration of the http block.
    pub fn main_conf<T>(self) -> Option<&'static T> {
        // SAFETY: as above.
        unsafe {
            (*self.get().main_conf.add(module::index()))
                .cast::<T>()
                .as_ref()
        }
    }

    /// nginx's own configuration of the location.
    pub fn core_loc_conf(self) -> Option<&'static ngx_http_core_loc_conf_t> {
        // SAFETY: as above, for nginx's core module.
        unsafe {
            (*self.get().loc_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_loc_conf_t>()
                .as_ref()
        }
    }

    /// The location that it is in.
    pub fn location(self) -> Option<LocationId> {
        // nginx gives the name, the very bytes, to what is nested without one.
        let name = self.core_loc_conf()?.name;
        Some(LocationId(name.data, name.len))
    }

    /// How often its URI may still be changed.
    pub fn uri_changes(self) -> ngx_uint_t {
        // SAFETY: live request.
        unsafe { shim::rcs_get_uri_changes(self.as_ptr()) }
    }

    /// Where the configuration of its server begins: `/etc/nginx/nginx.conf:12`.
    pub fn server_place(self) -> String {
        // SAFETY: as above; the name ends with NUL.
        unsafe {
            let server = self.server();
            let file = CStr::from_ptr((*server).file_name.cast()).to_string_lossy();
            format!("{file}:{}", (*server).line)
        }
    }

    /// What the module has attached to the request.
    pub fn context<T>(self) -> Option<NonNull<T>> {
        // SAFETY: ctx has a place for every http module.
        NonNull::new(unsafe { *self.get().ctx.add(module::index()) }.cast())
    }

    /// Attaches a context.
    pub fn set_context<T>(self, context: NonNull<T>) {
        // SAFETY: as above.
        unsafe { *self.get().ctx.add(module::index()) = context.as_ptr().cast::<c_void>() }
    }

    /// The name of its method.
    pub fn method(self) -> &'static [u8] {
        // SAFETY: nginx's strings live as long as the request.
        unsafe { text::bytes(&self.get().method_name) }
    }

    /// Whether the client wants no body.
    pub fn is_head(self) -> bool {
        self.get().method == NGX_HTTP_HEAD as usize
    }

    /// Whether it asks for what the URI names, no more.
    pub fn is_get_or_head(self) -> bool {
        self.get().method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as usize != 0
    }

    /// Its decoded path.
    pub fn uri(self) -> &'static [u8] {
        // SAFETY: as above.
        unsafe { text::bytes(&self.get().uri) }
    }

    /// Its path and arguments as the client sent them.
    pub fn unparsed_uri(self) -> &'static [u8] {
        // SAFETY: as above.
        unsafe { text::bytes(&self.get().unparsed_uri) }
    }

    /// Whether a body has come or is to come with it.
    pub fn has_body(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_has_body(self.as_ptr()) != 0 }
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

    /// Whether the client asks for another protocol or a tunnel.
    pub fn wants_upgrade(self) -> bool {
        !self.get().headers_in.upgrade.is_null() || self.method() == b"CONNECT"
    }

    /// Whether it carries credentials (RFC 9111 3.5).
    pub fn has_authorization(self) -> bool {
        !self.get().headers_in.authorization.is_null()
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

    /// Ends it where nothing else can be done: by an error page, or the end of its connection if the header has gone.
    pub fn give_up(self) {
        self.finalize(if self.is_header_sent() {
            ERROR
        } else {
            NGX_HTTP_INTERNAL_SERVER_ERROR as Code
        });
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

    /// Whether the client's connection is encrypted.
    pub fn is_https(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_is_https(self.as_ptr()) != 0 }
    }

    /// Whether nginx merges slashes in paths for its server.
    pub fn merges_slashes(self) -> bool {
        // SAFETY: a request has the configuration of its server.
        unsafe { (*self.server()).merge_slashes != 0 }
    }

    /// The index of the phase handler that runs.
    pub fn phase(self) -> ngx_int_t {
        self.get().phase_handler
    }

    /// Whether it is over but for the `post_action` of its location.
    pub fn is_post_action(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_get_post_action(self.as_ptr()) != 0 }
    }

    /// Watches for the client's leaving while it waits for a backend's answer, as nginx's upstream does: a client that
    /// shuts down its side has left, unless `proxy_ignore_client_abort` says otherwise. A `post_action` has no client.
    pub fn watch_client(self) {
        if self.is_subrequest() || self.is_post_action() || upstream::ignores_client_abort(self) {
            return;
        }
        // SAFETY: live request and connection.
        unsafe {
            self.change(|r| r.read_event_handler = Some(ngx_http_test_reading));
            let read = (*self.connection()).read;
            if (*read).ready() != 0 {
                if (*read).posted() == 0 {
                    ngx_post_event(read, &raw mut ngx_posted_events);
                }
            } else {
                let _ = ngx_handle_read_event(read, 0);
            }
        }
    }

    /// Leaves the request to a task that soon ends. A client whose connection is reset ends it; one that has shut down
    /// its side gets its answer, as where nginx reads its own cache.
    pub fn await_task(self) {
        // SAFETY: live request and connection.
        unsafe {
            self.change(|r| {
                r.write_event_handler = Some(ngx_http_request_empty_handler);
                r.read_event_handler = Some(unless_reset);
            });
            let read = (*self.connection()).read;
            // It came with the request: nothing more will.
            if (*read).pending_eof() != 0 && (*read).posted() == 0 {
                ngx_post_event(read, &raw mut ngx_posted_events);
            }
        }
    }

    /// Sets what nginx calls when the client takes more.
    pub fn set_write_handler(self, handler: unsafe extern "C" fn(*mut ngx_http_request_t)) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.write_event_handler = Some(handler)) };
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
        // SAFETY: as above.
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

    /// Whether the location gives the content by a handler of its own (`proxy_pass` ...).
    pub fn has_content_handler(self) -> bool {
        self.get().content_handler.is_some()
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

    /// Goes on at this index of the phase engine.
    pub fn set_phase(self, index: ngx_int_t) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.phase_handler = index) };
    }

    /// Sets what `satisfy any` remembers of a rule that kept the client out; 0 for nothing.
    pub fn set_access_code(self, code: ngx_uint_t) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.access_code = code) };
    }

    /// Puts it into another location.
    ///
    /// # Safety
    ///
    /// `location` is a location's configuration of the request's server.
    pub unsafe fn set_location(self, location: *mut *mut c_void) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.loc_conf = location) };
    }

    /// Whether a filter that changes bodies is at work on the response.
    pub fn body_may_change(self) -> bool {
        // SAFETY: live request. nginx's filters and those of other makers set it with the header, to see the body.
        unsafe { shim::rcs_get_filter_need_in_memory(self.as_ptr()) != 0 }
    }

    /// Has the connection closed behind the response.
    pub fn forbid_keepalive(self) {
        // SAFETY: live request.
        unsafe { shim::rcs_set_keepalive(self.as_ptr(), 0) };
    }

    /// Has the response wait as limit_rate does, or go on.
    pub fn set_delayed(self, delayed: bool) {
        // SAFETY: live connection.
        unsafe { (*(*self.connection()).write).set_delayed(delayed.into()) };
    }

    /// Whether limit_rate holds the response back.
    pub fn is_delayed(self) -> bool {
        // SAFETY: live connection.
        unsafe { (*(*self.connection()).write).delayed() != 0 }
    }

    /// Ends the request if its client has taken too long; true if so.
    pub fn client_timed_out(self) -> bool {
        // SAFETY: live connection.
        unsafe {
            let c = self.connection();
            if (*(*c).write).timedout() == 0 {
                return false;
            }
            (*c).set_timedout(1);
            ngx_http_finalize_request(self.as_ptr(), NGX_HTTP_REQUEST_TIME_OUT as Code);
        }
        true
    }
}

/// Something has come from a client whose request waits for a lookup.
unsafe extern "C" fn unless_reset(r: *mut ngx_http_request_t) {
    guard("read", (), || {
        // SAFETY: nginx calls with a live request; the descriptor is that of its connection, if it has one of its own.
        unsafe {
            if shim::rcs_is_stream(r) == 0 && !is_reset((*(*r).connection).fd) {
                ngx_http_block_reading(r);
            } else {
                // A stream of HTTP/2 or HTTP/3 has no half that could be shut down: nginx knows whether it was reset.
                ngx_http_test_reading(r);
            }
        }
    });
}

/// Whether a connection is gone, rather than one whose client sends nothing more.
///
/// # Safety
///
/// `fd` is an open socket.
unsafe fn is_reset(fd: c_int) -> bool {
    let mut error: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    let mut byte = 0_u8;
    // SAFETY: by contract; both calls write no more than they are given.
    unsafe {
        let known = libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast(),
            &mut length,
        );
        if known != 0 || error != 0 {
            return true;
        }
        let peeked = libc::recv(
            fd,
            (&raw mut byte).cast(),
            1,
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        );
        peeked < 0 && ngx_errno() != libc::EAGAIN
    }
}
