//! What the module knows of a client's request.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use cache_core::cache_status_field::{Forward, Member, collapsed};
use cache_core::headers::Headers;
use cache_core::http_date;
use cache_core::outcome::{CacheStatus, Reason, Word};
use cache_core::record::{Record, without};
use executor::TaskId;
use ngx::ffi::*;

use crate::conf::Backend;
use crate::detached::{Times, is_fill};
use crate::fill::ResponseHead;
use crate::ngx::guard::guard;
use crate::ngx::output::Output;
use crate::ngx::request::Request;
use crate::ngx::upstream::Left;
use crate::ngx::validators::Validators;
use crate::ngx::{pool, shim, stand_in};
use crate::request::access::Entered;
use crate::request::deliver::Decision;
use crate::request::hold::Hold;
use crate::request::invalidate::Aftermath;
use crate::request::settings::{Basics, Wish};
use crate::worker;

/// One request of a client in a location that caches.
pub struct Context {
    request: *mut ngx_http_request_t,
    /// The configuration of the location that caches.
    location: *mut *mut c_void,
    /// Index of the phase handler behind ours.
    pub after: ngx_int_t,
    /// What holds for any request of the location.
    pub basics: Basics,
    /// What the request asks of the cache. `None` if the cache has no part in it.
    pub wish: Option<Wish>,
    task: Cell<Option<TaskId>>,
    passing: Cell<bool>,
    /// The backend's own location, for a request that runs the backend itself.
    pub entered: Cell<Entered>,
    word: Cell<Option<Word>>,
    status: Cell<Option<CacheStatus>>,
    reason: Cell<Option<Reason>>,
    age: Cell<Option<u32>>,
    ttl: Cell<Option<i64>>,
    saying: Saying,
    outcome: OnceCell<Rc<Cell<Option<Reason>>>>,
    /// Waits for the client to take more.
    pub writable: RefCell<Option<Waker>>,
    /// The body on its way.
    pub output: RefCell<Option<Output>>,
    /// The record that is the answer: header lines point into it.
    record: OnceCell<Rc<Record>>,
    /// The header of the fill's answer, and whether another request has started that.
    head: OnceCell<(Rc<ResponseHead>, bool)>,
    /// What the upstream said whose answer this is.
    said: OnceCell<Headers>,
    /// The upstream that the request itself had asked before it came here, or null.
    own_upstream: *mut ngx_http_upstream_t,
    alive: OnceCell<Rc<Cell<Option<Request>>>>,
    /// What the answer means for the cache.
    pub aftermath: Cell<Option<Box<Aftermath>>>,
    /// The key whose records that answer may change.
    aftermath_key: Bytes,
    /// The answer, while it waits for the store.
    pub hold: Hold,
    /// Upstreams that the request, which runs the backend itself, has left for another location.
    pub left: RefCell<Vec<Left>>,
    /// The validators by which the answer isn't modified for the client, until the filters have had their say.
    pub not_modified: Cell<Option<Validators>>,
    /// What was decided, while it waits to be carried out.
    pub decision: Cell<Option<Decision>>,
}

impl Context {
    /// Attaches a context to a request, for as long as the request lives. The task that serves it
    /// is cancelled when the request ends. `None` if there is no memory.
    pub fn attach(r: Request, basics: Basics, part: Part) -> Option<&'static Context> {
        let (wish, aftermath) = match part {
            Part::Wish(wish) => (Some(wish), None),
            Part::None(aftermath) => (None, aftermath),
        };
        let context = Context {
            request: r.as_ptr(),
            location: r.get().loc_conf,
            after: r.phase() + 1,
            wish,
            task: Cell::default(),
            passing: Cell::default(),
            entered: Cell::default(),
            word: Cell::default(),
            status: Cell::default(),
            reason: Cell::default(),
            age: Cell::default(),
            ttl: Cell::default(),
            saying: Saying::default(),
            basics,
            outcome: OnceCell::new(),
            writable: RefCell::default(),
            output: RefCell::default(),
            record: OnceCell::new(),
            head: OnceCell::new(),
            said: OnceCell::new(),
            own_upstream: r.get().upstream,
            alive: OnceCell::new(),
            aftermath_key: aftermath
                .as_ref()
                .map(|aftermath| aftermath.key().clone())
                .unwrap_or_default(),
            aftermath: Cell::new(aftermath),
            hold: Hold::default(),
            left: RefCell::default(),
            not_modified: Cell::default(),
            decision: Cell::default(),
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

    /// Keeps the record that is the answer, as long as the context lives. `None` if another one is.
    pub fn keep(&'static self, record: Rc<Record>) -> Option<&'static Record> {
        self.record.set(record).ok()?;
        self.record.get().map(Rc::as_ref)
    }

    /// Keeps the header of the fill's answer, for its variables.
    pub fn keep_head(&self, head: &Rc<ResponseHead>) {
        let _ = self.head.set((Rc::clone(head), self.saying.joined.get()));
    }

    /// Reads one of nginx's `$upstream_*` variables: of the fill whose answer the request got, or of the record. One that
    /// runs the backend itself, or has asked an upstream since, has its own.
    pub fn read_upstream<T>(&'static self, r: Request, handler: impl FnOnce() -> T) -> T {
        let own = self.is_passing() || r.get().upstream != self.own_upstream;
        let said = if own { None } else { self.said() };
        let times = self.saying.times.borrow().clone();
        // Who joins asks nobody, like who hits.
        let times = times.filter(|_| !self.saying.joined.get());
        if own || (said.is_none() && times.is_none()) {
            return handler();
        }
        let nothing = Headers::new();
        let watched = times.as_ref().map(|times| &times.asked);
        // SAFETY: the context keeps both, and lives as long as the request's memory.
        unsafe { stand_in::read(r, said.unwrap_or(&nothing), watched, handler) }
    }

    /// The header of the upstream whose answer this is, as far as it is known.
    fn said(&self) -> Option<&Headers> {
        if self.said.get().is_none() {
            let said = match (self.record.get(), self.head.get()) {
                (Some(record), _) => said_of_record(record),
                (None, Some((head, true))) => without(&head.upstream, &head.withheld),
                (None, Some((head, false))) => head.upstream.clone(),
                (None, None) => return None,
            };
            let _ = self.said.set(said);
        }
        self.said.get()
    }

    /// `$upstream_cache_status`: `proxy_cache` says nothing of a method that it doesn't know.
    pub fn upstream_cache_status(&self) -> Option<&'static str> {
        if self.reason.get() == Some(Reason::MethodNotListed) {
            return None;
        }
        self.status.get().map(|status| status.as_str())
    }

    /// Where to leave what becomes of the fill that this request starts.
    pub fn outcome(&self) -> Rc<Cell<Option<Reason>>> {
        Rc::clone(self.outcome.get_or_init(Rc::default))
    }

    /// This request, until it ends: for work that goes on without it.
    pub fn alive(&self, r: Request) -> Rc<Cell<Option<Request>>> {
        Rc::clone(self.alive.get_or_init(|| Rc::new(Cell::new(Some(r)))))
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

    /// Age of a record that is the answer, and what is left of its freshness, in seconds.
    pub fn set_freshness(&self, age: u32, ttl: i64) {
        self.age.set(Some(age));
        self.ttl.set(Some(ttl));
    }

    /// What is left of the freshness of a fill's answer, in seconds. One that isn't stored is of no use later.
    pub fn set_ttl(&self, ttl: u32) {
        if self.word.get() != Some(Word::Skip) {
            self.ttl.set(Some(ttl.into()));
        }
    }

    /// The fill whose answer this is; `joined`: one that somebody else has started.
    pub fn set_fill(&self, times: &Rc<Times>, joined: bool) {
        *self.saying.times.borrow_mut() = Some(Rc::clone(times));
        self.saying.joined.set(joined);
    }

    /// The client has its answer, or has left: nothing goes on for its sake. What remains of the request is its
    /// `post_action`, if the location has one.
    pub fn retire(&self) {
        if let Some(alive) = self.alive.get() {
            alive.set(None);
        }
        // SAFETY: the request is live until its cleanups have run.
        unsafe { self.hold.forget(self.request) };
        if let Some(task) = self.task.take() {
            worker::cancel(task);
        }
    }

    /// Runs `work`, which hands the request on: to nginx, to a task, or to its end. Should it panic before, the request
    /// ends here.
    pub fn hand_on(&'static self, place: &'static str, r: Request, work: impl FnOnce()) {
        let alive = self.alive(r);
        let handed_on = guard(place, false, || {
            work();
            true
        });
        if !handed_on && alive.get().is_some() {
            guard(place, (), || {
                self.hold.abandon(r);
                self.retire();
                r.give_up();
            });
        }
    }

    /// Why the backend was asked, where the outcome doesn't say it. The first word counts.
    pub fn set_forward(&self, forward: Forward) {
        let known = self.saying.forward.get();
        self.saying.forward.set(known.or(Some(forward)));
    }

    /// The status of the backend's answer.
    pub fn set_backend_status(&self, status: u16) {
        self.saying.backend_status.set(Some(status));
    }

    /// The value of Cache-Status, if it is wanted.
    pub fn cache_status(&self, r: Request) -> Option<Vec<u8>> {
        let header = self.basics.status_header.as_ref()?;
        let (status, reason) = (self.status.get()?, self.reason.get()?);
        if self.is_passing() {
            self.saying.backend_status.set(backend_status(r));
        }
        let outcome = Forward::of(status, reason);
        let mut forward = self.saying.forward.get().or(outcome);
        let mut together = collapsed(reason);
        if self.saying.joined.get() {
            forward = forward.or(Some(Forward::UriMiss));
            together = Some(true);
        }
        let stored = self.word.get() == Some(Word::Store);
        // Why it isn't stored, or why it is stale: what the other parameters don't say.
        let own = reason == Reason::OnlyIfCached;
        let tells = (forward.is_some() || own)
            && matches!(self.word.get(), Some(Word::Skip | Word::Stale))
            && !matches!(reason, Reason::MethodNotListed | Reason::Bypass);
        let member = Member {
            forward,
            own,
            forward_status: self.saying.backend_status.get(),
            ttl: self.ttl.get(),
            stored,
            collapsed: together,
            key: (header.key && !self.key().is_empty()).then(|| self.key().as_ref()),
            detail: tells.then_some(reason.as_str()),
        };
        Some(member.value(&header.name))
    }

    /// Gives the request its own location back: what is done to the response (add_header, gzip,
    /// the access log) is the word of the location that the client asked for, whether a fill or
    /// the request itself has run the backend's.
    pub fn return_to_location(&self, r: Request) {
        // SAFETY: the location in which the request was attached to its context.
        unsafe { r.set_location(self.location) };
    }

    /// From now on the request runs the backend itself.
    pub fn set_passing(&self, r: Request) {
        self.set_running();
        self.entered.set(match self.basics.backend {
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

    /// The name and value of the header that `$cache_header` names.
    pub fn header(&self) -> Option<(&[u8], Word)> {
        Some((self.basics.header.as_deref()?, self.word.get()?))
    }

    /// `$redis_cache_status`
    pub fn status(&self) -> Option<CacheStatus> {
        self.status.get()
    }

    /// `$redis_cache_reason`
    pub fn reason(&self) -> Option<Reason> {
        let outcome = self.outcome.get().and_then(|outcome| outcome.get());
        match (self.reason.get(), outcome) {
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

    /// `$redis_cache_ttl`
    pub fn ttl(&self) -> Option<i64> {
        self.ttl.get()
    }

    /// `$redis_cache_fill_time`, in milliseconds
    pub fn fill_time(&self) -> Option<u64> {
        self.saying.times.borrow().as_ref()?.taken()
    }

    /// `$redis_cache_key`
    pub fn key(&self) -> &Bytes {
        match &self.wish {
            Some(wish) => &wish.settings.lookup.key,
            None => &self.aftermath_key,
        }
    }
}

/// The part that the cache has in a request.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once, into the context"
)]
pub enum Part {
    /// It is asked for an answer.
    Wish(Wish),
    /// None, but what the backend answers may mean this.
    None(Option<Box<Aftermath>>),
}

/// What Cache-Status and the log say beside the outcome.
#[derive(Default)]
struct Saying {
    forward: Cell<Option<Forward>>,
    backend_status: Cell<Option<u16>>,
    joined: Cell<bool>,
    times: RefCell<Option<Rc<Times>>>,
}

/// What is left of the header that a record came with.
fn said_of_record(record: &Record) -> Headers {
    let mut said = record.said().into_owned();
    if !said.contains("Content-Length") {
        said.push("Content-Length", record.body.len().to_string());
    }
    if let Some(meta) = &record.meta {
        if let Some(date) = meta.date {
            said.push("Date", Bytes::copy_from_slice(&http_date::print(date)));
        }
        if let Some(rate) = meta.unsent.limit_rate {
            said.push("X-Accel-Limit-Rate", rate.to_string());
        }
        if let Some(charset) = &meta.unsent.charset {
            said.push("X-Accel-Charset", charset.clone());
        }
    }
    said
}

/// The status of the answer to a request that runs the backend itself. An upstream that gave none has none, whatever
/// nginx says in its place.
fn backend_status(r: Request) -> Option<u16> {
    // SAFETY: upstream is null or lives as long as the request.
    let status = match unsafe { r.get().upstream.as_ref() } {
        Some(upstream) => upstream.headers_in.status_n,
        None => r.get().headers_out.status,
    };
    u16::try_from(status).ok().filter(|status| *status > 0)
}

/// The request ends: its task must not outlive it.
unsafe extern "C" fn end(data: *mut c_void) {
    guard("request cleanup", (), || {
        // SAFETY: the data is the context, which lives until the pool is destroyed.
        unsafe { &*data.cast::<Context>() }.retire();
    });
}
