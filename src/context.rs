//! What the module knows of a client's request.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use cache_core::executor::TaskId;
use cache_core::status::{CacheStatus, Reason, Word};
use ngx::ffi::*;

use crate::conf::Backend;
use crate::fill::detached::is_fill;
use crate::ngx::guard::guard;
use crate::ngx::output::Output;
use crate::ngx::request::Request;
use crate::ngx::{pool, shim};
use crate::worker;

/// One request of a client in a location that caches.
pub struct Context {
    request: *mut ngx_http_request_t,
    /// The configuration of the location that caches.
    location: *mut *mut c_void,
    /// Index of the phase handler behind ours.
    pub after: ngx_int_t,
    /// Where a fill goes.
    pub backend: Backend,
    key: Bytes,
    header: Option<Rc<[u8]>>,
    task: Cell<Option<TaskId>>,
    passing: Cell<bool>,
    word: Cell<Option<Word>>,
    status: Cell<Option<CacheStatus>>,
    reason: Cell<Option<Reason>>,
    age: Cell<Option<u32>>,
    /// What became of the fill that this request has started.
    pub outcome: Rc<Cell<Option<Reason>>>,
    /// Waits for the client to take more.
    pub writable: RefCell<Option<Waker>>,
    /// The body on its way.
    pub output: RefCell<Option<Output>>,
    /// What to do when the request's body is read.
    pub wish: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Context {
    /// Attaches a context to a request, for as long as the request lives. The task that serves it
    /// is cancelled when the request ends. `None` if there is no memory.
    pub fn attach(
        r: Request,
        key: Bytes,
        header: Option<Rc<[u8]>>,
        backend: Backend,
    ) -> Option<&'static Context> {
        let context = Context {
            request: r.as_ptr(),
            location: r.get().loc_conf,
            after: r.phase() + 1,
            backend,
            key,
            header,
            task: Cell::default(),
            passing: Cell::default(),
            word: Cell::default(),
            status: Cell::default(),
            reason: Cell::default(),
            age: Cell::default(),
            outcome: Rc::default(),
            writable: RefCell::default(),
            output: RefCell::default(),
            wish: RefCell::default(),
        };
        // SAFETY: the request is live, and so is its pool until its cleanups have run; the end of
        // the request (ngx_http_cleanup_t) comes before that.
        unsafe {
            let kept = pool::keep(r.pool(), context)?;
            let cleanup = ngx_http_cleanup_add(r.as_ptr(), 0).as_mut()?;
            cleanup.data = kept.as_ptr().cast();
            cleanup.handler = Some(end);
            r.set_context(kept);
            Some(&*kept.as_ptr())
        }
    }

    /// The context of a request, also after an internal redirect, which wipes nginx's own table.
    pub fn of(r: Request) -> Option<&'static Context> {
        if is_fill(r.connection()) {
            return None;
        }
        // SAFETY: outside of fills the module's place holds a context; it lives in the pool.
        unsafe {
            if let Some(context) = r.context::<Context>() {
                return Some(&*context.as_ptr());
            }
            if shim::rcs_get_internal(r.as_ptr()) == 0 && !r.is_subrequest() {
                return None;
            }
            let found = pool::find::<Context>(r.pool(), |known| known.request == r.as_ptr())?;
            r.set_context(found);
            Some(&*found.as_ptr())
        }
    }

    /// Makes `task` the one that serves the request; an earlier one has ended.
    pub fn set_task(&self, task: Option<TaskId>) {
        self.task.set(task);
    }

    /// What the client is told.
    pub fn say(&self, word: Word, status: CacheStatus, reason: Reason) {
        self.word.set(Some(word));
        self.status.set(Some(status));
        self.reason.set(Some(reason));
    }

    /// Seconds for the Age header.
    pub fn set_age(&self, age: u32) {
        self.age.set(Some(age));
    }

    /// Gives the request its own location back: what is done to the response (add_header, gzip,
    /// the access log) is the word of the location that the client asked for, whether a fill or
    /// the request itself has run the backend's.
    pub fn return_to_location(&self, r: Request) {
        r.get_mut().loc_conf = self.location;
    }

    /// From now on the request runs the backend itself.
    pub fn set_passing(&self) {
        self.passing.set(true);
    }

    /// Whether the request runs the backend itself.
    pub fn is_passing(&self) -> bool {
        self.passing.get()
    }

    /// The name and value of the header that `$cache_header` names.
    pub fn header(&self) -> Option<(&[u8], Word)> {
        Some((self.header.as_deref()?, self.word.get()?))
    }

    /// `$redis_cache_status`
    pub fn status(&self) -> Option<CacheStatus> {
        self.status.get()
    }

    /// `$redis_cache_reason`
    pub fn reason(&self) -> Option<Reason> {
        match (self.reason.get(), self.outcome.get()) {
            // Known beforehand; that storing failed then says less.
            (
                known @ Some(Reason::StoreUnavailable | Reason::WrongType),
                Some(Reason::StoreFailed),
            ) => known,
            (known, outcome) => outcome.or(known),
        }
    }

    /// `$redis_cache_age`
    pub fn age(&self) -> Option<u32> {
        self.age.get()
    }

    /// `$redis_cache_key`
    pub fn key(&self) -> &Bytes {
        &self.key
    }
}

/// The request ends: its task must not outlive it.
unsafe extern "C" fn end(data: *mut c_void) {
    guard("request cleanup", (), || {
        // SAFETY: the data is the context, which lives until the pool is destroyed.
        let context = unsafe { &*data.cast::<Context>() };
        if let Some(task) = context.task.take() {
            worker::cancel(task);
        }
    });
}
