//! The request of a fill, or of a message: nginx's own, on a connection without a socket.
//!
//! The client's request is copied deeply enough that it may be gone a moment later. The backend's
//! location runs as a subrequest of the copy, as it would for the client: with `internal`, named
//! locations and error_page, but without the access phase, which the client's request has passed.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use cache_core::flow::Ending;
use ngx::ffi::*;

use crate::conf::Backend;
use crate::fill::capture;
use crate::fill::stream::{Demand, Stream};
use crate::ngx::event::Posted;
use crate::ngx::guard::{guard, trip};
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::ngx::upstream::{self, Left};
use crate::ngx::{memory, pool, shim, text};
use crate::request::access::Entered;

mod copy;
mod ending;
mod purpose;
mod times;

pub use copy::leaves_out;
pub use purpose::{Message, NoStore, Own, Purpose, Question};
pub use times::Times;

const TIMED_OUT: Code = NGX_HTTP_REQUEST_TIME_OUT as Code;
const CLIENT_CLOSED: Code = NGX_HTTP_CLIENT_CLOSED_REQUEST as Code;

/// What a fill hangs on its request: found by the filters, dropped with the request.
pub struct Hook {
    /// Where the answer goes.
    pub stream: Rc<Stream>,
    /// What it is for.
    pub purpose: Purpose,
    /// The subrequest whose answer is captured.
    pub subrequest: Cell<*mut ngx_http_request_t>,
    /// How long the backend's location says that its answer is.
    pub promised: Cell<Option<u64>>,
    /// How much of it the location has given.
    pub given: Cell<u64>,
    /// It has given the final buffer.
    pub last_seen: Cell<bool>,
    /// The backend's own location, whose access rules aren't checked.
    pub entered: Cell<Entered>,
    /// Whether those of others are.
    pub is_checked: bool,
    /// Some had a rule for this request.
    pub checked: Cell<bool>,
    /// The return code of the subrequest, once it has ended.
    ended: Cell<Option<Code>>,
    /// Buffers that wait until a reader catches up.
    pub held: Cell<*mut ngx_chain_t>,
    /// Upstreams that the subrequest has left for another location.
    pub left: RefCell<Vec<Left>>,
    times: Rc<Times>,
    /// Lives as long as the request: the fill's task may have ended before the answer has.
    detached: OnceCell<Rc<Detached>>,
}

impl Hook {
    /// Who is asked for an answer for the cache. `None` if a message is carried.
    fn backend(&self) -> Option<(&Backend, Own)> {
        match &self.purpose {
            Purpose::Fill(question) => Some((&question.backend, question.own)),
            Purpose::Message(_) => None,
        }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if let Some(detached) = self.detached.get() {
            detached.main.set(None);
        }
        self.times.end();
        // Unless it has ended already, the request went before its answer was whole.
        self.stream.end(Ending::Cut);
    }
}

/// No connection, or no memory, for a fill.
#[derive(Debug)]
pub struct Refused;

/// A request that is ready to run.
pub struct Detached {
    main: Cell<Option<NonNull<ngx_http_request_t>>>,
    /// How many want the request to stay when its answer has ended.
    kept: Cell<usize>,
    /// It stays only for them.
    over: Cell<bool>,
    times: Rc<Times>,
    /// What is called if limit_req holds it back before the backend is asked.
    when_delayed: Cell<Option<Box<dyn FnOnce()>>>,
    resume: Posted,
    run: Posted,
}

/// Makes a request from the client's, or from that of another fill.
pub fn create(
    client: Request,
    stream: &Rc<Stream>,
    purpose: Purpose,
) -> Result<Rc<Detached>, Refused> {
    let is_own = purpose.is_own();
    let hook = Hook {
        stream: Rc::clone(stream),
        purpose,
        subrequest: Cell::new(ptr::null_mut()),
        promised: Cell::new(None),
        given: Cell::new(0),
        last_seen: Cell::new(false),
        entered: Cell::new(if is_own {
            Entered::at(client)
        } else {
            Entered::No
        }),
        is_checked: !client.is_subrequest(),
        checked: Cell::new(false),
        ended: Cell::new(None),
        held: Cell::new(ptr::null_mut()),
        left: RefCell::default(),
        times: Rc::default(),
        detached: OnceCell::new(),
    };
    // SAFETY: the client's request is live; all that is made here is freed with the connection.
    let detached = unsafe {
        let c = copy::connection(client).ok_or(Refused)?;
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
        let detached = Detached::new(main, stream, Rc::clone(&hook.as_ref().times));
        let _ = hook.as_ref().detached.set(Rc::clone(&detached));
        detached
    };
    Ok(detached)
}

impl Detached {
    fn new(
        main: NonNull<ngx_http_request_t>,
        stream: &Rc<Stream>,
        times: Rc<Times>,
    ) -> Rc<Detached> {
        let detached = Rc::new_cyclic(|weak: &std::rc::Weak<Detached>| {
            let (run, resume) = (weak.clone(), weak.clone());
            Detached {
                main: Cell::new(Some(main)),
                kept: Cell::new(0),
                over: Cell::new(false),
                times,
                when_delayed: Cell::new(None),
                run: Posted::new(move || {
                    if let Some(detached) = run.upgrade() {
                        detached.run_now();
                    }
                }),
                resume: Posted::new(move || {
                    if let Some(detached) = resume.upgrade() {
                        detached.resume_now();
                    }
                }),
            }
        });
        let control = Rc::downgrade(&detached);
        stream.set_control(move |demand| {
            if let Some(detached) = control.upgrade() {
                match demand {
                    Demand::Resume | Demand::Abort => detached.resume.post(),
                    Demand::Nothing => {}
                }
            }
        });
        detached
    }

    /// Runs it, soon: from a posted event, where nobody else's request is half-handled.
    pub fn start(&self) {
        self.run.post();
    }

    /// Has `call` called once if limit_req of the backend's location holds it back: the backend isn't asked before its time
    /// has come.
    pub fn when_delayed(&self, call: impl FnOnce() + 'static) {
        self.when_delayed.set(Some(Box::new(call)));
    }

    /// When its answer was fetched.
    pub fn times(&self) -> &Rc<Times> {
        &self.times
    }

    /// How many bytes the location has sent to a server of its own: where that grows, it isn't stuck.
    pub fn sent(&self) -> off_t {
        let Some(main) = self.main.get() else {
            return 0;
        };
        // SAFETY: main is live, and so are its hook and the subrequest that it names until its
        // answer has ended; upstream and connection are null or live as long as they are named.
        unsafe {
            hook_of_main(main.as_ptr())
                .filter(|hook| !hook.stream.ended())
                .and_then(|hook| hook.subrequest.get().as_ref())
                .and_then(|sr| sr.upstream.as_ref())
                .and_then(|upstream| upstream.peer.connection.as_ref())
                .map_or(0, |connection| connection.sent)
        }
    }

    /// Frees it without running it.
    pub fn abandon(&self) {
        if let Some(main) = self.main.get() {
            // SAFETY: it was made by `create` and nobody else knows it; it hasn't run.
            unsafe { finish(main.as_ptr(), OK) };
        }
    }

    /// The request, as long as it lives.
    pub fn request(&self) -> Option<Request> {
        // SAFETY: the hook forgets it when it is freed.
        self.main
            .get()
            .and_then(|main| unsafe { Request::new(main.as_ptr()) })
    }

    /// Keeps the request when its answer has ended, as a template for messages.
    pub fn keep(self: &Rc<Self>) -> Kept {
        self.kept.set(self.kept.get() + 1);
        Kept(Rc::clone(self))
    }

    /// The answer has ended: whether somebody still needs the request.
    fn stays(&self) -> bool {
        self.over.set(true);
        self.kept.get() > 0
    }

    fn run_now(&self) {
        let Some(main) = self.main.get() else { return };
        // SAFETY: made by `create`, live until `woken` or a termination frees it; both go through
        // the hook, which ends the stream.
        unsafe {
            if !begin(main.as_ptr()) {
                finish(main.as_ptr(), ERROR);
                return;
            }
            ngx_http_run_posted_requests((*main.as_ptr()).connection);
        }
        let when_delayed = self.when_delayed.take();
        if self.is_delayed()
            && let Some(call) = when_delayed
        {
            call();
        }
    }

    /// Whether it waits for a time to come, as limit_req has it wait.
    fn is_delayed(&self) -> bool {
        self.main.get().is_some_and(|main| {
            // SAFETY: the hook forgets a request that is freed; its connection lives as long as it.
            let write = unsafe { &*(*(*main.as_ptr()).connection).write };
            write.delayed() != 0 && write.timer_set() != 0
        })
    }

    /// A reader has caught up, or none is left: go on with what is held, or give it up.
    fn resume_now(&self) {
        let Some(main) = self.main.get() else { return };
        if self.over.get() {
            if self.kept.get() == 0 {
                // SAFETY: live until this; its subrequest has ended.
                unsafe { finish(main.as_ptr(), OK) };
            }
            return;
        }
        // SAFETY: the hook is dropped with the request; while the stream hasn't ended it is there.
        unsafe {
            let Some(hook) = hook_of_main(main.as_ptr()) else {
                return;
            };
            if hook.stream.ended() {
                return;
            }
            memory::give_back(hook.stream.take_surplus());
            let c = (*main.as_ptr()).connection;
            if hook.stream.is_unwanted() {
                (*c).set_error(1);
                let active = (*c).data.cast::<ngx_http_request_t>();
                ngx_http_finalize_request(active, ERROR);
                ngx_http_run_posted_requests(c);
                return;
            }
            match Request::new(main.as_ptr()).map(|main| capture::drain(hook, main)) {
                Some(Ok(true)) => {}
                Some(Ok(false)) => return,
                Some(Err(())) | None => {
                    (*c).set_error(1);
                    let active = (*c).data.cast::<ngx_http_request_t>();
                    ngx_http_finalize_request(active, ERROR);
                    ngx_http_run_posted_requests(c);
                    return;
                }
            }
            if let Some(handler) = (*(*c).write).handler {
                handler((*c).write);
            }
        }
    }
}

/// The will that a request stays when its answer has ended.
pub struct Kept(Rc<Detached>);

impl Kept {
    /// The request, unless it ended before its time.
    pub fn request(&self) -> Option<Request> {
        self.0.request()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.kept.set(self.0.kept.get().saturating_sub(1));
        if self.0.over.get() {
            self.0.resume.post();
        }
    }
}

/// Whether a connection is that of a fill.
pub fn is_fill(c: *mut ngx_connection_t) -> bool {
    // SAFETY: a request's connection is live as long as it is.
    let send = unsafe { (*c).send_chain };
    let ours: unsafe extern "C" fn(
        *mut ngx_connection_t,
        *mut ngx_chain_t,
        off_t,
    ) -> *mut ngx_chain_t = copy::send_chain;
    send.is_some_and(|function| function as usize == ours as usize)
}

/// The hook of a request that belongs to a fill.
pub fn hook(r: Request) -> Option<&'static Hook> {
    if !is_fill(r.connection()) {
        return None;
    }
    // SAFETY: the context of a fill's main request is its hook, set before it runs, never wiped:
    // the main request runs no phases.
    unsafe { hook_of_main(r.main().as_ptr()) }
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

unsafe fn hook_of_main(main: *mut ngx_http_request_t) -> Option<&'static Hook> {
    // SAFETY: by the caller's contract main is the live main request of a fill.
    unsafe {
        Request::new(main)?
            .context::<Hook>()
            .map(|hook| &*hook.as_ptr())
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
        let (mut uri, flags) = match hook.backend() {
            Some((Backend::Uri(prefix), _)) => {
                let joined = [prefix.as_ref(), text::bytes(&m.uri)].concat();
                let Some(uri) = text::copy(m.pool, &joined) else {
                    return false;
                };
                (uri, 0)
            }
            Some((Backend::Own, own)) => {
                m.phase_handler = own.phase;
                (m.uri, NGX_HTTP_SUBREQUEST_CLONE as ngx_uint_t)
            }
            Some((Backend::Named(_), _)) | None => (m.uri, 0),
        };
        let mut args = m.args;
        let mut sr = ptr::null_mut();
        m.write_event_handler = Some(woken);
        if ngx_http_subrequest(main, &mut uri, &mut args, &mut sr, handler, flags) != OK {
            return false;
        }
        copy::separate_headers(main, sr);
        (*sr).method = m.method;
        (*sr).method_name = m.method_name;
        hook.subrequest.set(sr);
        if let Some(request) = Request::new(sr) {
            hook.times.asked.begin(request);
        }
        if let (Some(sr), false) = (Request::new(sr), hook.purpose.is_own()) {
            hook.entered.set(match hook.backend() {
                Some((Backend::Named(_), _)) => Entered::after_redirect(sr),
                _ => Entered::Soon(sr.uri_changes()),
            });
        }
        if let Some((Backend::Named(_), _)) = hook.backend() {
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
        // SAFETY: nginx calls with the live subrequest of a fill.
        unsafe {
            match hook_of_main((*sr).main)?.backend()? {
                (Backend::Named(name), _) => text::copy((*sr).pool, name),
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

/// Whether nginx breaks a request off with this, rather than end it with an answer.
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
                hook.ended.set(Some(code));
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
        // SAFETY: nginx calls with the live main request of a fill.
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
            hook.stream.end(ending::verdict(hook));
            if !hook.detached.get().is_some_and(|detached| detached.stays()) {
                ngx_http_finalize_request(main, OK);
            }
            true
        }
    });
    if !judged {
        // SAFETY: it hasn't come to its end above. With it goes its hook, which ends the stream.
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
