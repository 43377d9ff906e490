//! The slices of a large object, as one request needs them: found in the store, or filled as any record is (see
//! [`cache_core::slices`]).

use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::{self, Answer, Finding};
use cache_core::outcome::{CacheStatus, Reason};
use cache_core::record::Record;
use cache_core::slices::{Brought, Refused, Sliced, Validator, lifetime};
use cache_core::vary::{Names, slot_key};

use crate::fill::Subscription;
use crate::fill::part::Slice;
use crate::fill::start::{Initiator, Start, start_first};
use crate::ngx::event::now_msec;
use crate::ngx::request::Request;
use crate::request::cache::RequestCache;
use crate::request::context::Context;
use crate::request::settings::{CacheableRequest, Settings};
use crate::store::lookup::{self, Lookup};
use crate::store::refresh;
use crate::store::variants::variant;
use crate::worker;

/// An object whose head is known.
pub struct Object {
    /// Its slices.
    pub sliced: Sliced,
    /// What all of them have.
    pub validator: Validator,
    /// When the head expires, in milliseconds.
    pub until: u64,
}

impl Object {
    /// Milliseconds until its head expires.
    fn left(&self) -> i64 {
        i64::try_from(self.until.saturating_sub(now_msec())).unwrap_or(i64::MAX)
    }
}

/// What has come of the wish for a slice.
pub enum Acquired {
    /// All of it.
    Body(Bytes),
    /// It comes from the backend.
    Stream(Subscription),
    /// It can't be had.
    Refused(Refused),
}

/// Finds a slice in the store, or has it filled, or joins who does so.
pub async fn acquire(
    r: Request,
    context: &'static Context,
    cacheable: &'static CacheableRequest,
    (object, number): (Rc<Object>, u64),
) -> Acquired {
    let sliced = object.sliced;
    let Some(span) = sliced.span(number) else {
        return Acquired::Refused(Refused::Failed);
    };
    let base = &cacheable.settings;
    let name = Bytes::from(sliced.name(&base.lookup.key.redis, number));
    let settings = base.of_slice(name);
    let cache = RequestCache::of_slice(&settings, span.length(), r);
    let answer = if cacheable.directives.only_if_cached {
        flow::only_if_cached(&cache).await
    } else {
        flow::serve(&cache, settings.limits).await
    };
    let (permit, known) = match answer {
        Answer::Hit(record) | Answer::Ahead(record, _) | Answer::Stale(record, _) => {
            prolong(&settings, &record, &object);
            return Acquired::Body(record.body.clone());
        }
        Answer::Join(joined) => {
            // It has its header: it waits no more.
            drop(joined.queued);
            return answered(joined.subscription).await.0;
        }
        Answer::Pass(Reason::StoreRequired | Reason::OnlyIfCached) => {
            return Acquired::Refused(Refused::Failed);
        }
        Answer::Fill(permit, known, _) => (permit, known),
        // Nobody else brings it.
        Answer::Pass(_) => (None, None),
    };
    let slice = Slice {
        object: sliced,
        validator: object.validator.clone(),
        span,
        expiry: lifetime::expiry(object.left()).unwrap_or(lifetime::MARGIN),
        key: *base.lookup.lock_key(),
    };
    let start = Start {
        permit,
        look_again: false,
        known,
        slot: None,
        status: CacheStatus::Miss,
        target: Box::new(cache.target()),
        held: None,
        slice: Some(slice),
    };
    let initiator = Initiator {
        request: r,
        lookup: &settings.lookup,
        terms: &settings.terms,
        view: cacheable.view,
        slice: None,
        backend: &context.location.backend,
        next_phase: context.after,
    };
    let Some((subscription, _)) = start_first(&initiator, start, Rc::default()) else {
        return Acquired::Refused(Refused::Failed);
    };
    r.watch_client();
    let (acquired, is_for_others) = answered(subscription).await;
    if !is_for_others {
        give_up(r, &base.lookup, sliced).await;
    }
    acquired
}

/// Waits for the header of the answer. Tells, too, whether such answers are for others.
async fn answered(subscription: Subscription) -> (Acquired, bool) {
    let Some(head) = subscription.wait_head(|_| {}).await else {
        return (Acquired::Refused(Refused::Failed), true);
    };
    match &head.brought {
        Brought::Slice => {
            let is_for_others = match &head.finding {
                Finding::NotStorable(reason) => !reason.is_of_response(),
                _ => true,
            };
            (Acquired::Stream(subscription), is_for_others)
        }
        Brought::Refused(why) => (Acquired::Refused(*why), true),
        _ => (Acquired::Refused(Refused::Failed), true),
    }
}

/// Takes the head of an object away of which a slice has said that it isn't for others: the head has said otherwise. This
/// worker keeps the object in slices no more ([`crate::fill::part::note_unfit`]).
async fn give_up(r: Request, lookup: &Lookup, object: Sliced) {
    let select = |on: &Names| Some(variant(on, r));
    if let Ok((Some(head), _)) = lookup::lookup(lookup, &select).await
        && head.slices() == Some(object)
    {
        forget(lookup, &head).await;
    }
}

/// A slice goes no sooner than its head, which may have been renewed since.
fn prolong(settings: &Settings, record: &Record, object: &Object) {
    let Lookup { store, key, .. } = &settings.lookup;
    let seconds = lifetime::extension(record.ttl_ms, object.left());
    let change =
        seconds.and_then(|seconds| refresh::shortening(key.redis.clone(), record, seconds));
    if let Some(change) = change {
        let sent = store.change(change);
        worker::spawn(async move {
            let _ = sent.await;
            None
        });
    }
}

/// Takes the head of an object away whose backend has another one now, and no other head that is there by then.
pub async fn forget(lookup: &Lookup, head: &Record) {
    let tie = head.meta.as_ref().and_then(|meta| meta.tie.as_ref());
    let key = match tie {
        Some(tie) if tie.slot > 0 => slot_key(&lookup.key.redis, tie.slot).map(Bytes::from),
        _ => Some(lookup.key.redis.clone()),
    };
    if let Some(change) = key.and_then(|key| refresh::removal(key, head)) {
        // What the store says of it is logged as any trouble of it.
        let _ = lookup.store.change(change).await;
    }
}
