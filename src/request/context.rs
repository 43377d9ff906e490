//! What the module knows of any request of a client.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::future::Future;
use std::ptr;
use std::rc::Rc;

use cache_core::counters::Coalesced;
use cache_core::outcome::{CacheStatus, Outcome, Reason, Source, Word};
use executor::TaskId;
use ngx::ffi::*;

use crate::detached::{Backend, Entered, is_detached};
use crate::ngx::guard::guard;
use crate::ngx::request::Request;
use crate::ngx::{pool, shim};
use crate::request::settings::{CacheableRequest, LocationSettings};
use crate::request::state::{State, States};
use crate::worker::{self, Ending, Go};

thread_local! {
    /// The requests that are being handed on, the innermost last; null once one has ended.
    static HANDED_ON: RefCell<Vec<*mut ngx_http_request_t>> = const { RefCell::new(Vec::new()) };
}

/// One request of a client in a location that caches.
pub struct Context {
    request: *mut ngx_http_request_t,
    /// The configuration of the location that caches.
    loc_conf: *mut *mut c_void,
    /// Index of the phase handler behind ours.
    pub after: ngx_int_t,
    /// What holds for any request of the location.
    pub location: LocationSettings,
    /// What the cache is to do for the request. `None` if it has no part in it.
    pub cacheable: Option<CacheableRequest>,
    task: Cell<Option<TaskId>>,
    passing: Cell<bool>,
    /// The backend's own location, for a request that runs the backend itself.
    pub entered: Cell<Entered>,
    outcome: Cell<Option<Outcome>>,
    coalesced: Cell<Option<Coalesced>>,
    age: Cell<Option<u32>>,
    ttl: Cell<Option<i64>>,
    fill_outcome: RefCell<Option<Rc<Cell<Option<Reason>>>>>,
    alive: OnceCell<Rc<Cell<Option<Request>>>>,
    retired: Cell<bool>,
    states: States,
}

impl Context {
    /// Attaches a context to a request, for as long as the request lives. The task that serves it
    /// is cancelled when the request ends. `None` if there is no memory.
    pub fn attach(
        r: Request,
        location: LocationSettings,
        cacheable: Option<CacheableRequest>,
    ) -> Option<&'static Context> {
        let context = Context {
            request: r.as_ptr(),
            loc_conf: r.get().loc_conf,
            after: r.phase() + 1,
            location,
            cacheable,
            task: Cell::default(),
            passing: Cell::default(),
            entered: Cell::default(),
            outcome: Cell::default(),
            coalesced: Cell::default(),
            age: Cell::default(),
            ttl: Cell::default(),
            fill_outcome: RefCell::default(),
            alive: OnceCell::new(),
            retired: Cell::default(),
            states: States::default(),
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
        if is_detached(r.connection()) {
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

    /// What a feature keeps of the request, made on first use. It lives as long as the request's memory. `None` if
    /// there is no memory for it.
    pub fn state<T: State + Default>(&'static self) -> Option<&'static T> {
        if let Some(known) = self.find() {
            return Some(known);
        }
        // SAFETY: while code of the module has a context, its request is live; what is kept lives as long.
        let link = unsafe {
            let r = Request::new(self.request)?;
            &*pool::keep(r.pool(), self.states.link::<T>())?.as_ptr()
        };
        Some(self.states.add(link))
    }

    /// What a feature keeps of the request, if it does.
    pub fn find<T: State>(&'static self) -> Option<&'static T> {
        self.states.find()
    }

    /// The request has started a fill, which leaves here what becomes of it. The first call counts.
    pub fn set_fill_outcome(&self, outcome: Rc<Cell<Option<Reason>>>) {
        self.fill_outcome.borrow_mut().get_or_insert(outcome);
    }

    /// The request begins anew: what has become of its fill says nothing of it.
    pub fn forget_fill(&self) {
        self.fill_outcome.replace(None);
    }

    /// What has become of the fill that the request has started. `None` before that is known.
    pub fn end_of_fill(&self) -> Option<Reason> {
        let outcome = self.fill_outcome.borrow();
        outcome.as_ref().and_then(|outcome| outcome.get())
    }

    /// Whether the request has started a fill.
    pub fn has_fill(&self) -> bool {
        self.fill_outcome.borrow().is_some()
    }

    /// This request, until it ends: for work that goes on without it.
    pub fn alive(&self, r: Request) -> Rc<Cell<Option<Request>>> {
        Rc::clone(self.alive.get_or_init(|| Rc::new(Cell::new(Some(r)))))
    }

    /// Serves the request by a task, which ends with it. Should it panic, the request ends. An earlier one has ended.
    pub fn serve(&self, r: Request, work: impl Future<Output = Ending> + 'static) {
        let failed = Go {
            request: r,
            code: None,
            on: |r, _| {
                if let Some(context) = Context::of(r) {
                    context.end_task();
                }
                r.give_up();
            },
        };
        self.task.set(Some(worker::serve(work, failed)));
    }

    /// The task that served the request has ended.
    pub fn end_task(&self) {
        self.task.set(None);
    }

    /// What becomes of the request.
    pub fn set_outcome(&self, outcome: Outcome) {
        self.outcome.set(Some(outcome));
    }

    /// What becomes of the request. `None` before it is known.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get()
    }

    /// The request gets what another one has fetched.
    pub fn set_coalesced(&self, how: Coalesced) {
        self.coalesced.set(Some(how));
    }

    /// How it has got what another one has fetched, if it has.
    pub fn coalesced(&self) -> Option<Coalesced> {
        self.coalesced.get()
    }

    /// Age of a record that is the response, and what is left of its freshness, in seconds.
    pub fn set_freshness(&self, age: u32, ttl: i64) {
        self.age.set(Some(age));
        self.ttl.set(Some(ttl));
    }

    /// The record that was to be the response is none.
    pub fn forget_record(&self) {
        self.coalesced.set(None);
        self.age.set(None);
        self.ttl.set(None);
    }

    /// What is left of the freshness of a fill's response, in seconds. One that isn't stored is of no use later.
    pub fn set_ttl(&self, ttl: u32) {
        if self.word() != Some(Word::Skip) {
            self.ttl.set(Some(ttl.into()));
        }
    }

    /// The client has its response, or has left: nothing goes on for its sake. What remains of the request is its
    /// `post_action`, if the location has one.
    fn retire(&self) {
        self.retired.set(true);
        if let Some(alive) = self.alive.get() {
            alive.set(None);
        }
        HANDED_ON.with_borrow_mut(|requests| {
            let ended = requests.iter_mut().filter(|r| **r == self.request);
            ended.for_each(|r| *r = ptr::null_mut());
        });
        // SAFETY: the request is live until its cleanups have run.
        if let Some(r) = unsafe { Request::new(self.request) } {
            self.states.all().for_each(|state| state.retire(r));
        }
        if let Some(task) = self.task.take() {
            worker::cancel(task);
        }
    }

    /// The client has left, but its request goes on.
    pub fn abandon(&self, r: Request) {
        self.states.all().for_each(|state| state.abandon(r));
        self.retire();
    }

    /// Runs `work`, which hands the request on: to nginx, to a task, or to its end. Should it panic before, the request
    /// ends here.
    pub fn hand_on(&'static self, place: &'static str, r: Request, work: impl FnOnce()) {
        let request = if self.retired.get() {
            ptr::null_mut()
        } else {
            self.request
        };
        HANDED_ON.with_borrow_mut(|requests| requests.push(request));
        let handed_on = guard(place, false, || {
            work();
            true
        });
        // With the request its context may be gone.
        let left = HANDED_ON.with_borrow_mut(Vec::pop);
        if !handed_on && left.is_some_and(|r| !r.is_null()) {
            guard(place, (), || {
                self.abandon(r);
                r.give_up();
            });
        }
    }

    /// Gives the request its own location back: what is done to the response (add_header, gzip,
    /// the access log) is the word of the location that the client asked for, whether a fill or
    /// the request itself has run the backend's.
    pub fn return_to_location(&self, r: Request) {
        // SAFETY: the location in which the request was attached to its context.
        unsafe { r.set_location(self.loc_conf) };
    }

    /// From now on the request runs the backend itself.
    pub fn set_passing(&self, r: Request) {
        self.set_running();
        self.entered.set(match self.location.backend {
            Backend::Own => Entered::at(r),
            Backend::Uri(_) | Backend::Named(_) => Entered::after_redirect(r),
        });
    }

    /// The request runs the backend itself, in whatever location.
    pub fn set_running(&self) {
        self.passing.set(true);
    }

    /// Whether the request runs the backend itself.
    pub fn is_passing(&self) -> bool {
        self.passing.get()
    }

    /// The word for the client.
    pub fn word(&self) -> Option<Word> {
        self.outcome.get()?.word()
    }

    /// `$redis_cache_status`
    pub fn status(&self) -> Option<CacheStatus> {
        Some(self.outcome.get()?.status())
    }

    /// `$redis_cache_reason`
    pub fn reason(&self) -> Option<Reason> {
        self.outcome.get()?.reason_after(self.end_of_fill())
    }

    /// Why the request was served as it was, whatever has become of its fill since.
    pub fn first_reason(&self) -> Option<Reason> {
        self.outcome.get()?.reason()
    }

    /// `$redis_cache_source`. `None` before it is known.
    pub fn source(&self) -> Option<Source> {
        self.outcome.get()?.source()
    }

    /// `$redis_cache_age`
    pub fn age(&self) -> Option<u32> {
        self.age.get()
    }

    /// `$redis_cache_ttl`
    pub fn ttl(&self) -> Option<i64> {
        self.ttl.get()
    }
}

/// The request ends: its task must not outlive it.
unsafe extern "C" fn end(data: *mut c_void) {
    guard("request cleanup", (), || {
        // SAFETY: the data is the context, which lives until the pool is destroyed.
        unsafe { &*data.cast::<Context>() }.retire();
    });
}
