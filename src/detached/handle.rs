//! The handle of a detached request, which may outlive it.

use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use ngx::ffi::ngx_http_request_t;

use super::times::Times;
use crate::ngx::event::Posted;
use crate::ngx::request::Request;

/// A request that is ready to run, runs, or has ended.
pub struct Detached {
    main: Cell<Option<NonNull<ngx_http_request_t>>>,
    /// How many want the request to stay when its response has ended.
    kept: Cell<usize>,
    /// Its response has ended: it stays only for those.
    over: Cell<bool>,
    times: Rc<Times>,
    /// What is called if limit_req holds it back before the backend is asked.
    when_delayed: Cell<Option<Box<dyn FnOnce()>>>,
    resume: Posted,
    run: Posted,
}

impl Detached {
    /// The handle of `main`. `run` and `resume` are called from posted events, where nobody else's request is
    /// half-handled.
    pub(super) fn new(
        main: NonNull<ngx_http_request_t>,
        times: Rc<Times>,
        run: fn(&Detached),
        resume: fn(&Detached),
    ) -> Rc<Detached> {
        Rc::new_cyclic(|weak: &Weak<Detached>| {
            let posted = |call: fn(&Detached)| {
                let weak = weak.clone();
                Posted::new(move || {
                    if let Some(detached) = weak.upgrade() {
                        call(&detached);
                    }
                })
            };
            Detached {
                main: Cell::new(Some(main)),
                kept: Cell::new(0),
                over: Cell::new(false),
                times,
                when_delayed: Cell::new(None),
                resume: posted(resume),
                run: posted(run),
            }
        })
    }

    /// Runs it, soon.
    pub fn start(&self) {
        self.run.post();
    }

    /// Has `call` called once if limit_req of the backend's location holds it back: the backend isn't asked before its
    /// time has come.
    pub fn when_delayed(&self, call: impl FnOnce() + 'static) {
        self.when_delayed.set(Some(Box::new(call)));
    }

    /// That call.
    pub(super) fn take_when_delayed(&self) -> Option<Box<dyn FnOnce()>> {
        self.when_delayed.take()
    }

    /// When its response was fetched.
    pub fn times(&self) -> &Rc<Times> {
        &self.times
    }

    /// nginx's request, as long as it lives.
    pub(super) fn main(&self) -> Option<NonNull<ngx_http_request_t>> {
        self.main.get()
    }

    /// The request, as long as it lives.
    pub fn request(&self) -> Option<Request> {
        // SAFETY: the hook has it forgotten when it is freed.
        self.main
            .get()
            .and_then(|main| unsafe { Request::new(main.as_ptr()) })
    }

    /// nginx frees the request.
    pub(super) fn forget(&self) {
        self.main.set(None);
    }

    /// Goes on with it, soon.
    pub(super) fn resume(&self) {
        self.resume.post();
    }

    /// Keeps the request when its response has ended, as a template for messages.
    pub fn keep(self: &Rc<Self>) -> Kept {
        self.kept.set(self.kept.get() + 1);
        Kept(Rc::clone(self))
    }

    /// Whether somebody still needs the request.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.get() > 0
    }

    /// The response has ended.
    pub(super) fn set_over(&self) {
        self.over.set(true);
    }

    /// Whether it has.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }
}

/// Keeps a request after its response has ended, until this is dropped.
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
