//! The cache as the flow sees it, for one request of a client.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use cache_core::fence::is_current;
use cache_core::flow::{Cache, Claim, Domain, HeaderWait, Heard, Lock, Trouble, Woken};
use cache_core::key::LockKey;
use cache_core::outcome::Source;
use cache_core::record::Record;
use cache_core::request_directives::RequestDirectives;
use cache_core::token::Token;
use cache_core::usable::{self, Use};
use cache_core::use_stale::Failure;
use cache_core::vary::{Names, Select, VariantId};

use crate::conf::LockScope;
use crate::detached::Times;
use crate::fill::lease::{self, Lease};
use crate::fill::part::validator_of;
use crate::fill::registry::{self, Joined, LockPermit, NotJoined, Queued};
use crate::fill::request_header;
use crate::fill::start::FillTarget;
use crate::ngx::event::{now_msec, sleep};
use crate::ngx::hints;
use crate::ngx::pool;
use crate::ngx::random;
use crate::ngx::request::Request;
use crate::request::ahead;
use crate::request::context::Context;
use crate::request::explain;
use crate::request::settings::{CacheableRequest, Settings};
use crate::shm::Zone;
use crate::shm::locks::Acquired;
use crate::shm::zone::RefillSlot;
use crate::store::key::lock_in_worker;
use crate::store::lookup::{self, Hit, Variants};
use crate::store::redis::{Hearer, LastLook};
use crate::store::variants::variant;

/// The view of one request.
pub struct RequestCache<'a> {
    /// Tasks that hold it are cancelled when it ends.
    request: Request,
    settings: &'a Settings,
    /// Bytes that the record has, if it is a slice of an object: that neither varies nor goes stale.
    slice: Option<u64>,
    /// What the last look has shown of the key's variants.
    variants: RefCell<Variants>,
    /// The request's own, as far as it is known what the responses vary on.
    variant: Cell<Option<VariantId>>,
    /// Among whom the lock that it asks for is held.
    domain: Cell<Domain>,
    directives: RequestDirectives,
    /// There was a look.
    has_looked: Cell<bool>,
    /// Where the last look found the record.
    found: Cell<Source>,
    /// The record that it has found, for a claim. `None`: there was no look, or it has failed.
    looked: RefCell<Option<Option<Rc<Record>>>>,
    /// It has waited for another one's fill.
    has_waited: Cell<bool>,
}

/// A fresh record of the memory tier that is the response to a request.
pub fn hit_in_memory(
    r: Request,
    context: &'static Context,
    cacheable: &CacheableRequest,
) -> Option<Hit> {
    let lookup = &cacheable.settings.lookup;
    let known = cacheable.known.take()?;
    let select = |on: &Names| {
        let variant = variant(on, r);
        explain::note_variant(context, Some(variant));
        Some(variant)
    };
    let suits = |standing| {
        match usable::judge_standing_for(standing, &lookup.rules, &cacheable.directives) {
            Use::Fresh => true,
            // Its refill is for the flow to start.
            Use::Ahead(_) => !ahead::is_time(lookup.lock_key()),
            Use::Stale(_) | Use::Validate(_) => false,
        }
    };
    // SAFETY: the response's output has the copy, and is dropped by a cleanup of the pool.
    let copy = |bytes: &[u8]| unsafe { pool::copy(r.pool(), bytes) };
    lookup::hit_in_memory(lookup, &known, &select, suits, copy)
}

impl<'a> RequestCache<'a> {
    /// The cache for this request.
    pub fn new(cacheable: &'a CacheableRequest, request: Request) -> RequestCache<'a> {
        RequestCache::of(&cacheable.settings, cacheable.directives, request)
    }

    /// The cache for a slice of this length, which this request needs.
    pub fn of_slice(settings: &'a Settings, length: u64, request: Request) -> RequestCache<'a> {
        let mut cache = RequestCache::of(settings, RequestDirectives::default(), request);
        cache.slice = Some(length);
        cache
    }

    fn of(
        settings: &'a Settings,
        directives: RequestDirectives,
        request: Request,
    ) -> RequestCache<'a> {
        RequestCache {
            request,
            settings,
            slice: None,
            variants: RefCell::default(),
            variant: Cell::new(None),
            domain: Cell::new(Domain::Zone),
            directives,
            has_looked: Cell::new(false),
            found: Cell::default(),
            looked: RefCell::default(),
            has_waited: Cell::default(),
        }
    }

    /// Whether machines that share the store fill each key once.
    fn shares_fills(&self) -> bool {
        self.settings.terms.lock_scope == LockScope::Store
    }

    /// The permit for a lock just taken, and its lease if other machines are to be asked.
    fn permit(&self, key: LockKey, instance: u64) -> LockPermit {
        let Settings { lookup, terms, .. } = self.settings;
        let permit = LockPermit::new(lookup.zone, key, instance, terms.retention);
        let claims = self.shares_fills()
            && self.domain.get() == Domain::Zone
            && !lookup.store.is_memory_alone();
        permit.with_lease(claims.then(|| Lease::new(lookup, self.variant.get(), key, terms)))
    }

    /// Whether a request that waits for a lock finds its fill begun in this worker, and may have what it brings.
    fn is_joinable(&self, ticket: &Queued) -> bool {
        registry::joinable(&ticket.key, ticket.instance)
            .is_some_and(|times| !self.is_from_before(&times))
    }

    /// Where the last look found the record.
    pub fn found(&self) -> Source {
        self.found.get()
    }

    /// The variant that the request asks for, of a key that has some.
    pub fn variant(&self) -> Option<VariantId> {
        self.variant.get()
    }

    /// Whether it has waited for another one's fill.
    pub fn has_waited(&self) -> bool {
        self.has_waited.get()
    }

    /// What a fill that this request starts knows beforehand.
    pub fn target(&self) -> FillTarget {
        FillTarget {
            wanted: self.shared_lock_key(),
            variant: self.variant.get(),
            seen: self.seen(),
            variants: self.variants.take(),
        }
    }

    /// What the last look has shown, for a claim.
    fn seen(&self) -> Option<LastLook> {
        let looked = self.looked.borrow();
        let record = looked.as_ref()?.as_deref();
        let variants = self.variants.borrow();
        Some(lookup::seen(&self.settings.lookup, record, &variants))
    }

    /// Looks into the memory tier alone, for the first look of a request. Those after it follow the fill of somebody else, and the
    /// memory may hear of another machine's later than this request does.
    fn in_memory(&self, select: Select<'_>) -> Option<(Option<Rc<Record>>, Variants)> {
        let lookup = &self.settings.lookup;
        let has_looked = self.has_looked.replace(true);
        if has_looked && self.shares_fills() && lookup.store.takes_claims(&lookup.key.redis) {
            return None;
        }
        lookup::in_memory(lookup, select)
    }

    /// Where a lookup has found a record that isn't known to come from memory: the store may have gone down meanwhile.
    fn source(&self) -> Source {
        if self.settings.lookup.is_alone() {
            Source::Memory
        } else {
            Source::Store
        }
    }

    /// The lock key of what this request asks for: the key, or the variant that it selects.
    fn lock_key(&self) -> LockKey {
        let shared = self.shared_lock_key();
        match self.domain.get() {
            Domain::Zone => shared,
            Domain::Worker => lock_in_worker(&shared),
        }
    }

    /// The same among all workers.
    fn shared_lock_key(&self) -> LockKey {
        let lookup = &self.settings.lookup;
        match self.variant.get() {
            Some(variant) => lookup.lock_key_of(variant),
            None => *lookup.lock_key(),
        }
    }

    /// A response of another variant (RFC 9111 4.1) isn't for this request. It tells what the key's responses vary on,
    /// and so which lock the request needs.
    fn of_our_variant(&self, fill: &Joined, head: HeaderWait) -> HeaderWait {
        let answer = fill.subscription.variant();
        let (HeaderWait::Shared, Some(theirs)) = (head, answer) else {
            return head;
        };
        let ours = variant(&theirs.on, self.request);
        if ours == theirs.id {
            return head;
        }
        self.variant.set(Some(ours));
        HeaderWait::OtherVariant
    }

    /// Whether what a fill brings was invalidated with its key, or may have been purged, before this request came. The lock of the key was
    /// freed then, unless another zone has taken this one's place at a reload; that of a variant wasn't.
    fn is_worthless(&self, fill: &Joined) -> bool {
        self.is_from_before(&fill.times)
    }

    /// The same for a fill that began then.
    fn is_from_before(&self, times: &Times) -> bool {
        let (zone, key) = (self.zone(), self.settings.lookup.lock_key());
        let begun = times.invalidations();
        let is_invalidated = begun.is_some_and(|begun| zone.invalidations(key) != begun);
        // Whether a purge since then concerns it is seen by its labels, once it is stored.
        let may_be_purged = begun.is_some() && times.purged() < self.settings.lookup.store.purged();
        let known = times.fence();
        is_invalidated
            || may_be_purged
            || known.is_some_and(|(heard, seen)| !is_current(heard, seen, zone.heard(key)))
    }

    fn zone(&self) -> Zone {
        self.settings.lookup.zone
    }
}

impl Cache for RequestCache<'_> {
    type Permit = LockPermit;
    type Fill = Joined;
    type Ticket = Queued;
    type RefillSlot = RefillSlot;
    type Outcomes = Option<Hearer>;

    fn now(&self) -> u64 {
        now_msec()
    }

    fn random(&self) -> u64 {
        random::number()
    }

    fn sequence(&self) -> u64 {
        self.zone().sequence()
    }

    async fn lookup(&self) -> Result<Option<Rc<Record>>, Trouble> {
        let request = self.request;
        let select = |on: &Names| Some(variant(on, request));
        let found = match self.in_memory(&select) {
            Some(found) => {
                self.found.set(Source::Memory);
                Ok(found)
            }
            None => {
                let found = lookup::lookup(&self.settings.lookup, &select).await;
                self.found.set(self.source());
                found
            }
        };
        let (found, variants) = match found {
            // Without Redis there is no telling.
            Ok((None, _)) if self.settings.needs_store && self.settings.lookup.is_alone() => {
                (Err(Trouble::Unavailable), Variants::default())
            }
            Ok((record, variants)) => {
                let suits = |record: &Rc<Record>| match self.slice {
                    Some(length) => record.is_slice() && record.body.len() as u64 == length,
                    // A head whose slices couldn't be told from those of others is none.
                    None => {
                        !record.is_slice()
                            && (record.slices().is_none() || validator_of(record).is_some())
                    }
                };
                (Ok(record.filter(suits)), variants)
            }
            Err(trouble) => (Err(trouble), Variants::default()),
        };
        if self.shares_fills() {
            self.looked.replace(found.as_ref().ok().cloned());
        }
        self.variant.set(variants.ours);
        *self.variants.borrow_mut() = variants;
        found
    }

    fn needs_store(&self) -> bool {
        self.settings.needs_store
    }

    fn wants_part(&self) -> bool {
        self.slice.is_none() && self.request.range().is_some()
    }

    fn judge(&self, record: &Record) -> Use {
        if self.slice.is_some() {
            // Its bytes never change.
            return Use::Fresh;
        }
        usable::judge_for(record, &self.settings.lookup.rules, &self.directives)
    }

    fn failing(&self) -> Option<Failure> {
        let sender = || request_header::sender(self.request);
        self.zone().failing(&self.shared_lock_key(), sender)
    }

    fn asks_ahead(&self) -> bool {
        ahead::ask(self.settings.lookup.lock_key())
    }

    fn is_used_enough(&self) -> bool {
        let wanted = self.settings.min_uses;
        // All variants of a key count together.
        wanted <= 1 || self.zone().count_use(self.settings.lookup.lock_key()) >= wanted
    }

    fn lock(&self, since: u64, domain: Domain) -> Lock<LockPermit, Joined, Queued> {
        let (zone, terms) = (self.zone(), &self.settings.terms);
        // What doesn't fit into the store goes from no worker to another.
        let domain = match domain {
            Domain::Zone if zone.does_not_fit(&self.shared_lock_key()) => Domain::Worker,
            domain => domain,
        };
        self.domain.set(domain);
        let key = self.lock_key();
        if domain == Domain::Worker && zone.is_marked(&self.shared_lock_key()) {
            return Lock::Unneeded;
        }
        match zone.acquire(&key, since, terms.lock_age, terms.queue) {
            Acquired::Mine { instance, changed } => Lock::Mine {
                permit: self.permit(key, instance),
                changed,
            },
            Acquired::Busy { instance, .. } => {
                let queued = Queued::new(zone, key, instance);
                match registry::join(queued, terms.queue) {
                    Ok(joined) if self.is_worthless(&joined) => Lock::Elsewhere(joined.queued),
                    Ok(joined) => Lock::Here(joined),
                    Err(NotJoined::Elsewhere(queued)) => Lock::Elsewhere(queued),
                    Err(NotJoined::Crowded) => Lock::Crowded,
                }
            }
            Acquired::Unneeded => Lock::Unneeded,
            Acquired::Crowded { .. } => Lock::Crowded,
            Acquired::Full => Lock::Full,
        }
    }

    fn is_for_us(&self, permit: &LockPermit) -> bool {
        permit.is_of(&self.lock_key())
    }

    fn refill_slot(&self) -> Option<RefillSlot> {
        // The store isn't asked with each hit while another machine refills the key.
        if self.shares_fills() && lease::is_held_elsewhere(&self.lock_key()) {
            return None;
        }
        self.zone().begin_refill(self.settings.refills)
    }

    async fn head(&self, fill: &Joined, deadline: u64) -> HeaderWait {
        self.request.watch_client();
        let mut late = pin!(sleep(deadline.saturating_sub(now_msec())));
        poll_fn(|cx| {
            fill.subscription.hints(|lines| {
                // With the first slice of an object its response has begun.
                if self.slice.is_none() {
                    hints::send(self.request, lines);
                }
            });
            if let Some(head) = fill.subscription.verdict() {
                return Poll::Ready(self.of_our_variant(fill, head));
            }
            fill.subscription.listen(cx.waker());
            late.as_mut().poll(cx).map(|()| HeaderWait::Late)
        })
        .await
    }

    async fn released(&self, ticket: &Queued, deadline: u64) -> Woken {
        self.has_waited.set(true);
        self.request.watch_client();
        let waiter = self.zone().wait_for_release(ticket.key, ticket.instance);
        let mut late = pin!(sleep(deadline.saturating_sub(now_msec())));
        poll_fn(|cx| match waiter.poll(cx) {
            Poll::Ready(verdict) => Poll::Ready(Woken::Released(verdict)),
            Poll::Pending if self.is_joinable(ticket) => Poll::Ready(Woken::Joinable),
            Poll::Pending => late.as_mut().poll(cx).map(|()| Woken::Late),
        })
        .await
    }

    fn elect(&self, timeout: u64) -> Result<(), u64> {
        self.zone().elect(&self.lock_key(), timeout)
    }

    async fn claim(&self, permit: &LockPermit) -> Claim {
        match (permit.lease(), self.seen()) {
            (Some(lease), Some(seen)) => {
                self.request.watch_client();
                lease.claim(&self.settings.lookup.store, seen).await
            }
            _ => Claim::Granted { changed: false },
        }
    }

    fn outcomes(&self, permit: &LockPermit) -> Option<Hearer> {
        let store = &self.settings.lookup.store;
        let lease = permit.lease();
        lease.and_then(|lease| store.hear_outcomes(lease.name()))
    }

    async fn outcome(&self, outcomes: &Option<Hearer>, by: Token, until: u64) -> Heard {
        self.request.watch_client();
        let mut late = pin!(sleep(until.saturating_sub(now_msec())));
        poll_fn(
            |cx| match outcomes.as_ref().map(|hearer| hearer.poll(by, cx)) {
                Some(Poll::Ready(heard)) => Poll::Ready(heard),
                Some(Poll::Pending) | None => late.as_mut().poll(cx).map(|()| Heard::Late),
            },
        )
        .await
    }
}
