//! What the module knows of a running detached request: its context in nginx, found by the filters and phase handlers,
//! dropped with the request.

use std::cell::{Cell, OnceCell, RefCell};
use std::ptr;
use std::rc::Rc;

use cache_core::flow::Ending;
use ngx::ffi::*;

use super::connection::is_detached;
use super::entered::Entered;
use super::handle::Detached;
use super::purpose::Purpose;
use super::sink::Sink;
use super::times::Times;
use crate::ngx::request::{Code, Request};
use crate::ngx::upstream::Left;

/// The context of a detached request.
pub struct Hook {
    /// What it is for.
    pub(super) purpose: Purpose,
    /// Where the response goes.
    pub(super) sink: Rc<dyn Sink>,
    /// The subrequest whose response is captured.
    pub subrequest: Cell<*mut ngx_http_request_t>,
    /// The backend's own location, whose access rules aren't checked.
    pub entered: Cell<Entered>,
    /// Whether those of other locations are checked.
    pub is_checked: bool,
    /// Some location had a rule for this request.
    pub checked: Cell<bool>,
    /// Upstreams that the subrequest has left for another location.
    pub(super) left: RefCell<Vec<Left>>,
    /// The header that the sink got.
    pub(super) header: Cell<Option<Header>>,
    /// Bytes of the body that the sink got.
    pub(super) taken: Cell<u64>,
    /// Bytes of it that nobody wanted any more.
    pub(super) wasted: Cell<u64>,
    /// Buffers that wait until a reader catches up.
    pub(super) waiting: Cell<*mut ngx_chain_t>,
    /// How long the backend's location says that its response is.
    pub(super) promised: Cell<Option<u64>>,
    /// How much of it the location has given.
    pub(super) given: Cell<u64>,
    /// It has given the final buffer.
    pub(super) last_seen: Cell<bool>,
    /// The return code of the subrequest, once it has ended.
    pub(super) code: Cell<Option<Code>>,
    pub(super) times: Rc<Times>,
    /// Lives as long as the request: the task that has started it may have ended before the response has.
    pub(super) detached: OnceCell<Rc<Detached>>,
}

/// What of a response's header tells whether its body is whole.
#[derive(Clone, Copy)]
pub(super) struct Header {
    /// Its status.
    pub(super) status: u16,
    /// The length of the body, where it is known.
    pub(super) content_length: Option<u64>,
}

impl Hook {
    /// That of a request for this client, which has yet to be made.
    pub(super) fn new(client: Request, sink: Rc<dyn Sink>, purpose: Purpose) -> Hook {
        let entered = if purpose.is_own() {
            Entered::at(client)
        } else {
            Entered::No
        };
        Hook {
            purpose,
            sink,
            subrequest: Cell::new(ptr::null_mut()),
            entered: Cell::new(entered),
            is_checked: !client.is_subrequest(),
            checked: Cell::default(),
            left: RefCell::default(),
            header: Cell::default(),
            taken: Cell::default(),
            wasted: Cell::default(),
            waiting: Cell::new(ptr::null_mut()),
            promised: Cell::default(),
            given: Cell::default(),
            last_seen: Cell::default(),
            code: Cell::default(),
            times: Rc::default(),
            detached: OnceCell::new(),
        }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if let Some(detached) = self.detached.get() {
            detached.forget();
        }
        self.times.end();
        // Unless it has ended already, the request went before its response was whole.
        self.sink.end(Ending::Cut);
    }
}

/// The hook of a request that belongs to a detached one.
pub fn hook(r: Request) -> Option<&'static Hook> {
    if !is_detached(r.connection()) {
        return None;
    }
    // SAFETY: the context of a detached main request is its hook, set before it runs, never wiped: the main request
    // runs no phases.
    unsafe { hook_of_main(r.main().as_ptr()) }
}

/// The hook of a detached main request.
///
/// # Safety
///
/// `main` is live and has its hook.
pub(super) unsafe fn hook_of_main(main: *mut ngx_http_request_t) -> Option<&'static Hook> {
    // SAFETY: by contract.
    unsafe {
        Request::new(main)?
            .context::<Hook>()
            .map(|hook| &*hook.as_ptr())
    }
}
