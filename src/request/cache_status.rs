//! What the client is told of how the cache has handled its request: Cache-Status (RFC 9211), and the header that
//! `$cache_header` names.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::cache_status_field::{self, Forward, Member, collapsed};
use cache_core::outcome::{Reason, Word};

use crate::detached::Times;
use crate::ngx::headers::{self, NoMemory};
use crate::ngx::request::Request;
use crate::ngx::upstream;
use crate::request::context::Context;
use crate::request::invalidate;
use crate::request::state::State;

/// How a request was forwarded to the backend, by itself or by a fill.
#[derive(Default)]
pub struct Forwarding {
    why: Cell<Option<Forward>>,
    status: Cell<Option<u16>>,
    joined: Cell<bool>,
    times: RefCell<Option<Rc<Times>>>,
}

impl State for Forwarding {}

impl Forwarding {
    /// Why the request was forwarded, where the outcome doesn't say it. The first call counts.
    pub fn set_why(context: &'static Context, why: Forward) {
        if let Some(forwarding) = context.state::<Forwarding>() {
            let known = forwarding.why.get();
            forwarding.why.set(known.or(Some(why)));
        }
    }

    /// The status of the backend's response.
    pub fn set_status(context: &'static Context, status: u16) {
        if let Some(forwarding) = context.state::<Forwarding>() {
            forwarding.status.set(Some(status));
        }
    }

    /// The fill whose response the client gets; `joined`: one that another request has started.
    pub fn set_fill(context: &'static Context, times: &Rc<Times>, joined: bool) {
        if let Some(forwarding) = context.state::<Forwarding>() {
            *forwarding.times.borrow_mut() = Some(Rc::clone(times));
            forwarding.joined.set(joined);
        }
    }

    /// Whether another request has started the fill.
    pub fn is_joined(&self) -> bool {
        self.joined.get()
    }

    /// The times of the fill.
    pub fn times(&self) -> Option<Rc<Times>> {
        self.times.borrow().clone()
    }
}

/// `$redis_cache_fill_time`, in milliseconds.
pub fn fill_time(context: &'static Context) -> Option<u64> {
    context.find::<Forwarding>()?.times()?.taken()
}

/// `$redis_cache_key`: the cache key of the request, or that of the record that it may invalidate.
pub fn key(context: &'static Context) -> Option<&'static [u8]> {
    let key = match &context.cacheable {
        Some(cacheable) => &cacheable.settings.lookup.key.redis,
        None => invalidate::key(context)?,
    };
    (!key.is_empty()).then_some(key)
}

/// Adds the header that `$cache_header` names, and Cache-Status, to a response.
pub fn add_headers(r: Request, context: &'static Context) -> Result<(), NoMemory> {
    if let (Some(name), Some(word)) = (context.location.header.as_deref(), context.word()) {
        headers::remove(r, name);
        headers::push_kept(r, name, word.as_str().as_bytes())?;
    }
    if let Some(value) = value(r, context) {
        headers::push(r, cache_status_field::NAME.as_bytes(), &value)?;
    }
    Ok(())
}

/// The value of Cache-Status, if it is wanted.
fn value(r: Request, context: &'static Context) -> Option<Vec<u8>> {
    let header = context.location.status_header.as_ref()?;
    let (status, reason) = (context.status()?, context.first_reason()?);
    let forwarding = context.find::<Forwarding>();
    let forward_status = if context.is_passing() {
        upstream::backend_status(r)
    } else {
        forwarding.and_then(|forwarding| forwarding.status.get())
    };
    let known = forwarding.and_then(|forwarding| forwarding.why.get());
    let mut forward = known.or(Forward::of(status, reason));
    let mut together = collapsed(reason);
    if forwarding.is_some_and(Forwarding::is_joined) {
        forward = forward.or(Some(Forward::UriMiss));
        together = Some(true);
    }
    let word = context.word();
    // The detail says why the response isn't stored, or why it is stale, where the other parameters don't.
    let own = matches!(reason, Reason::OnlyIfCached | Reason::StoreRequired);
    let tells = (forward.is_some() || own)
        && matches!(word, Some(Word::Skip | Word::Stale))
        && !matches!(reason, Reason::MethodNotListed | Reason::Bypass);
    let member = Member {
        forward,
        own,
        forward_status,
        ttl: context.ttl(),
        stored: word == Some(Word::Store),
        collapsed: together,
        key: if header.key { key(context) } else { None },
        detail: tells.then_some(reason.as_str()),
    };
    Some(member.value(&header.name))
}
