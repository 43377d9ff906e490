//! How a detached request runs: made from the client's, started, held back and resumed, ended.
//!
//! The backend's location runs as a subrequest of the copy, as it would for the client: with `internal`, named
//! locations and error_page, but without the access phase, which the client's request has passed.

use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::*;

use super::backend::Backend;
use super::entered::Entered;
use super::handle::Detached;
use super::hook::{Hook, hook, hook_of_main};
use super::purpose::Purpose;
use super::sink::Sink;
use super::{capture, connection, copy, ending};
use crate::ngx::guard::{guard, trip};
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::ngx::values::share_captures;
use crate::ngx::{memory, pool, shim, text, upstream};

const TIMED_OUT: Code = NGX_HTTP_REQUEST_TIME_OUT as Code;
const CLIENT_CLOSED: Code = NGX_HTTP_CLIENT_CLOSED_REQUEST as Code;

/// No connection, or no memory, for a request.
#[derive(Debug)]
pub struct Refused;

/// Makes a request from the client's, or from another detached one. Its response will go to `sink`.
pub fn create(
    client: Request,
    sink: Rc<dyn Sink>,
    purpose: Purpose,
) -> Result<Rc<Detached>, Refused> {
    let hook = Hook::new(client, sink, purpose);
    // SAFETY: the client's request is live; all that is made here is freed with the connection.
    let (main, hook) = unsafe {
        let c = connection::create(client).ok_or(Refused)?;
        let Some(main) = copy::request(client, c, &hook.purpose) else {
            ngx_http_close_connection(c);
            return Err(Refused);
        };
        let Some(hook) = pool::keep((*main.as_ptr()).pool, hook) else {
            ngx_http_free_request(main.as_ptr(), 0);
            ngx_http_close_connection(c);
            return Err(Refused);
        };
        Request::new(main.as_ptr())
            .ok_or(Refused)?
            .set_context(hook);
        (main, &*hook.as_ptr())
    };
    let detached = Detached::new(main, Rc::clone(&hook.times), run, resume);
    let woken = Rc::downgrade(&detached);
    hook.sink.set_wake(Box::new(move || {
        if let Some(detached) = woken.upgrade() {
            detached.resume();
        }
    }));
    let _ = hook.detached.set(Rc::clone(&detached));
    Ok(detached)
}

impl Detached {
    /// How many bytes the location has sent to a server of its own: where that grows, it isn't stuck.
    pub fn sent(&self) -> off_t {
        let Some(main) = self.main() else {
            return 0;
        };
        // SAFETY: main is live, and so are its hook and the subrequest that it names until its
        // response has ended; upstream and connection are null or live as long as they are named.
        unsafe {
            hook_of_main(main.as_ptr())
                .filter(|hook| !hook.sink.has_ended())
                .and_then(|hook| hook.subrequest.get().as_ref())
                .and_then(|sr| sr.upstream.as_ref())
                .and_then(|upstream| upstream.peer.connection.as_ref())
                .map_or(0, |connection| connection.sent)
        }
    }

    /// Frees it without running it.
    pub fn abandon(&self) {
        if let Some(main) = self.main() {
            // SAFETY: it was made by `create` and nobody else knows it; it hasn't run.
            unsafe { finish(main.as_ptr(), OK) };
        }
    }
}

/// Starts the request.
fn run(detached: &Detached) {
    let Some(main) = detached.main() else { return };
    // SAFETY: made by `create`, live until `woken` or a termination frees it; both go through
    // the hook, which tells the sink of the end.
    unsafe {
        if !begin(main.as_ptr()) {
            finish(main.as_ptr(), ERROR);
            return;
        }
        ngx_http_run_posted_requests((*main.as_ptr()).connection);
    }
    let when_delayed = detached.take_when_delayed();
    if is_delayed(detached)
        && let Some(call) = when_delayed
    {
        call();
    }
}

/// Whether it waits for a time to come, as limit_req has it wait.
fn is_delayed(detached: &Detached) -> bool {
    detached.main().is_some_and(|main| {
        // SAFETY: the hook forgets a request that is freed; its connection lives as long as it.
        let write = unsafe { &*(*(*main.as_ptr()).connection).write };
        write.delayed() != 0 && write.timer_set() != 0
    })
}

/// A reader has caught up, or none is left: go on with what is held, or give it up.
fn resume(detached: &Detached) {
    let Some(main) = detached.main() else { return };
    if detached.is_over() {
        if !detached.is_kept() {
            // SAFETY: live until this; its subrequest has ended.
            unsafe { finish(main.as_ptr(), OK) };
        }
        return;
    }
    // SAFETY: the hook is dropped with the request; while the response hasn't ended it is there.
    unsafe {
        let Some(hook) = hook_of_main(main.as_ptr()) else {
            return;
        };
        if hook.sink.has_ended() {
            return;
        }
        memory::give_back(hook.sink.take_surplus());
        let c = (*main.as_ptr()).connection;
        if hook.sink.is_unwanted() {
            return break_off(c);
        }
        match Request::new(main.as_ptr()).map(|main| capture::drain(hook, main)) {
            Some(Ok(true)) => {}
            Some(Ok(false)) => return,
            Some(Err(())) | None => return break_off(c),
        }
        if let Some(handler) = (*(*c).write).handler {
            handler((*c).write);
        }
    }
}

/// Ends a request that has more to come.
///
/// # Safety
///
/// `c` is the live connection of a detached request.
unsafe fn break_off(c: *mut ngx_connection_t) {
    // SAFETY: by contract; its data is its active request.
    unsafe {
        (*c).set_error(1);
        let active = (*c).data.cast::<ngx_http_request_t>();
        ngx_http_finalize_request(active, ERROR);
        ngx_http_run_posted_requests(c);
    }
}

/// A request has found its location. An upstream that it has asked before is left; if it carries a message, nginx
/// learns how long that is.
pub fn located(r: Request) {
    let Some(hook) = hook(r).filter(|hook| hook.subrequest.get() == r.as_ptr()) else {
        return;
    };
    upstream::note_left(r, &mut hook.left.borrow_mut());
    if let Purpose::Message(message) = &hook.purpose {
        // SAFETY: live request.
        unsafe { shim::rcs_set_body_known(r.as_ptr(), message.length()) };
    }
}

/// Starts the subrequest. False if nginx refuses.
unsafe fn begin(main: *mut ngx_http_request_t) -> bool {
    // SAFETY: main is live and its hook set.
    unsafe {
        let Some(hook) = hook_of_main(main) else {
            return false;
        };
        hook.times.begin();
        let m = &mut *main;
        let handler = ngx_pcalloc(m.pool, size_of::<ngx_http_post_subrequest_t>())
            .cast::<ngx_http_post_subrequest_t>();
        if handler.is_null() {
            return false;
        }
        (*handler).handler = Some(ended);
        (*handler).data = (hook as *const Hook).cast_mut().cast();
        let fetch = hook.purpose.fetch();
        let backend = fetch.map(|fetch| &fetch.backend);
        let (mut uri, flags) = match backend {
            Some(Backend::Uri(prefix)) => {
                let joined = [prefix.as_ref(), text::bytes(&m.uri)].concat();
                let Some(uri) = text::copy(m.pool, &joined) else {
                    return false;
                };
                (uri, 0)
            }
            Some(Backend::Own) => {
                m.phase_handler = fetch.map_or(m.phase_handler, |fetch| fetch.next_phase);
                (m.uri, NGX_HTTP_SUBREQUEST_CLONE as ngx_uint_t)
            }
            Some(Backend::Named(_)) | None => (m.uri, 0),
        };
        let mut args = m.args;
        let mut sr = ptr::null_mut();
        m.write_event_handler = Some(woken);
        if ngx_http_subrequest(main, &mut uri, &mut args, &mut sr, handler, flags) != OK {
            return false;
        }
        copy::separate_headers(main, sr);
        share_captures(main, sr);
        (*sr).method = m.method;
        (*sr).method_name = m.method_name;
        hook.subrequest.set(sr);
        if let Some(request) = Request::new(sr) {
            hook.times.upstreams.begin(request);
        }
        if let (Some(sr), false) = (Request::new(sr), hook.purpose.is_own()) {
            hook.entered.set(match backend {
                Some(Backend::Named(_)) => Entered::after_redirect(sr),
                _ => Entered::Soon(sr.uri_changes()),
            });
        }
        if let Some(Backend::Named(_)) = backend {
            shim::rcs_set_valid_unparsed_uri(sr, shim::rcs_get_valid_unparsed_uri(main));
            (*sr).write_event_handler = Some(enter_named);
        }
        true
    }
}

/// The subrequest's first step, where the backend is a named location.
unsafe extern "C" fn enter_named(sr: *mut ngx_http_request_t) {
    let name = guard("fill", None, || {
        trip("fill begin");
        // SAFETY: nginx calls with the live subrequest of a detached request.
        unsafe {
            match &hook_of_main((*sr).main)?.purpose.fetch()?.backend {
                Backend::Named(name) => text::copy((*sr).pool, name),
                _ => None,
            }
        }
    });
    // SAFETY: as above.
    unsafe {
        let code = match name {
            Some(mut name) => ngx_http_named_location(sr, &mut name),
            None => ERROR,
        };
        ngx_http_finalize_request(sr, code);
    }
}

/// Whether nginx breaks a request off with this, rather than end it with a response.
fn is_broken_off(code: Code) -> bool {
    [ERROR, TIMED_OUT, CLIENT_CLOSED].contains(&code)
}

/// The subrequest has ended; what it has sent is judged in [`woken`].
unsafe extern "C" fn ended(
    sr: *mut ngx_http_request_t,
    data: *mut c_void,
    code: ngx_int_t,
) -> ngx_int_t {
    guard("fill", ERROR, || {
        // SAFETY: data is the hook, which lives as long as the main request.
        let hook = unsafe { &*data.cast::<Hook>() };
        if hook.subrequest.get() == sr {
            if code < NGX_HTTP_SPECIAL_RESPONSE as Code {
                hook.code.set(Some(code));
            }
            // If nginx breaks it off now, it runs the location's post_action first: unless that has run.
            // SAFETY: nginx calls with the live subrequest, of a live connection.
            unsafe {
                if (*(*sr).connection).error() != 0 || is_broken_off(code) {
                    shim::rcs_set_post_action(sr, 1);
                    shim::rcs_set_uri_changes(sr, 0);
                }
            }
        }
        code
    })
}

/// The main request goes on: its subrequest has ended.
unsafe extern "C" fn woken(main: *mut ngx_http_request_t) {
    let judged = guard("fill", false, || {
        // SAFETY: nginx calls with a live detached main request.
        unsafe {
            let Some(hook) = hook_of_main(main) else {
                return false;
            };
            if !(*main).postponed.is_null() {
                return true;
            }
            trip("fill end");
            match Request::new(main).map(|main| capture::drain(hook, main)) {
                Some(Ok(true)) => {}
                // A reader that catches up wakes it again.
                Some(Ok(false)) => return true,
                Some(Err(())) | None => return false,
            }
            hook.times.end();
            hook.sink.end(ending::verdict(hook));
            let stays = hook.detached.get().is_some_and(|detached| {
                detached.set_over();
                detached.is_kept()
            });
            if !stays {
                ngx_http_finalize_request(main, OK);
            }
            true
        }
    });
    if !judged {
        // SAFETY: it hasn't come to its end above. With it goes its hook, which tells the sink of the end.
        guard("fill", (), || unsafe {
            ngx_http_finalize_request(main, ERROR);
        });
    }
}

/// Ends a main request whose subrequest never ran or can't.
unsafe fn finish(main: *mut ngx_http_request_t, code: Code) {
    // SAFETY: by the caller, main is live.
    unsafe {
        let c = (*main).connection;
        (*main).write_event_handler = None;
        ngx_http_finalize_request(main, code);
        ngx_http_run_posted_requests(c);
    }
}
