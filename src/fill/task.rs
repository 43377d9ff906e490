//! The fill as the flow sees it: the backend's response on one side, the store on the other.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::claim;
use cache_core::counters::{
    FILL_DURATION, FillKind, FillResult, fills, not_stored, written, written_bytes,
};
use cache_core::fence::{self, Token};
use cache_core::flow::{Claim, Ending, Filling, Finding, Occasion, Trouble, fill};
use cache_core::key::LockKey;
use cache_core::outcome::{CacheStatus, Reason};
use cache_core::policy::Plan;
use cache_core::record::Tie;
use cache_core::renewal::Renewed;
use cache_core::shown::shown;
use cache_core::usable::{self, Use};
use cache_core::vary::{Names, VariantId, slot_key};
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::carrier::Carrier;
use super::compress::Compression;
use super::locks::Locks;
use super::record;
use super::registry::LockPermit;
use super::search::Learning;
use super::stream::Stream;
use super::terms::Terms;
use crate::conf::LockScope;
use crate::ngx::event::{exact_msec, now_msec, within};
use crate::ngx::memory;
use crate::ngx::shutdown;
use crate::shm::zone::RefillSlot;
use crate::store::lookup::{self, Lookup, Variants};
use crate::store::redis::{Change, ChangeReply, Fence, LastLook, Lease, RecordWrite, StoreError};
use crate::store::refresh::{PurgeFacts, refresh};
use crate::store::variants::variant;
use crate::worker;

/// How long a fill waits for its key's fence, in milliseconds: a client waits, too, that may not have looked for a record. Without
/// it the record is written if there is no fence by then.
pub const FENCE_TIMEOUT: u64 = 1000;

/// Maximum attempts to write a record when its key's variants change concurrently.
const ATTEMPTS: usize = 64;

/// What a fill knows of its key's fence.
#[derive(Default)]
pub struct KnownFence {
    /// The token that it held. Empty: none, or it isn't known.
    token: Bytes,
    /// When it was asked for, in milliseconds.
    at: u64,
}

/// One fill, from its start to the release of its key.
pub struct Fill {
    /// Where the record goes.
    pub lookup: Lookup,
    /// The response.
    pub stream: Rc<Stream>,
    /// The request that brings it.
    pub carrier: Carrier,
    /// Why it is known beforehand that it won't be stored.
    pub known: Option<Reason>,
    /// Lock-table entry whose not-storable mark this fill clears on success. `None` if it holds the lock, whose release
    /// clears it.
    pub marked: Option<LockKey>,
    /// The variant of the key to which that belongs, if it was known.
    pub variant: Option<VariantId>,
    /// The locks that it holds: the one that it began with, and that of the variant that the response is.
    pub locks: Locks,
    /// What is known of the key's variants.
    pub variants: RefCell<Variants>,
    /// The fence of the key, as it was before the backend was asked.
    pub known_fence: RefCell<KnownFence>,
    /// What the last look has shown of the record, for a claim. `None`: there was no look.
    pub seen: RefCell<Option<LastLook>>,
    /// On which terms it runs.
    pub terms: Terms,
    /// Why the backend is asked,
    pub kind: FillKind,
    /// and `$redis_cache_status` of the request that has started it.
    pub status: CacheStatus,
    /// Receives the outcome, for the next refill of the same record.
    pub learn: Box<dyn Fn(Reason)>,
    /// What its No-Vary-Search means for later requests of its path.
    pub learning: Option<Rc<Learning>>,
    /// The body as it is to be stored.
    pub compression: Compression,
    /// Receives the outcome.
    pub outcome: Rc<Cell<Option<Reason>>>,
}

impl KnownFence {
    /// The fence held this token, when it was asked for at this time, in milliseconds.
    pub fn new(token: Bytes, at: u64) -> KnownFence {
        KnownFence { token, at }
    }
}

impl Fill {
    /// Runs it in a task of its own, which no client can end.
    pub fn spawn(self, permit: Option<LockPermit>, look_again: bool, slot: Option<RefillSlot>) {
        let occasion = match &slot {
            Some(_) => Occasion::Refill { look_again },
            None => Occasion::Request,
        };
        // limit_req has bounds of its own for what it holds back: other refills needn't wait for that.
        let slot = Rc::new(Cell::new(slot));
        let given_back = Rc::downgrade(&slot);
        if let Some(detached) = self.carrier.detached() {
            detached.when_delayed(move || {
                drop(given_back.upgrade().and_then(|slot| slot.take()));
            });
        }
        worker::spawn(async move {
            // A worker that shuts down waits for its fills and their stores.
            let _guard = shutdown::delay();
            let _slot = slot;
            let (permit, _timer) = match permit {
                Some(permit) => {
                    if let Some(lease) = permit.lease() {
                        lease.adopt(&self.lookup.store);
                    }
                    let (permit, timer) = self.locks.keep(permit, self.terms.lock_age);
                    (Some(permit), Some(timer))
                }
                None => (None, None),
            };
            fill(&self, permit, occasion).await;
            None
        });
    }

    /// How often the key was invalidated.
    fn invalidations(&self) -> u64 {
        self.lookup.zone.invalidations(self.lookup.lock_key())
    }

    /// Whether the response tells of what another request has changed meanwhile (RFC 9111 4.4).
    fn is_invalidated(&self) -> bool {
        let begun = self.carrier.times().invalidations();
        begun.is_some_and(|begun| self.invalidations() != begun)
    }

    /// The response is this variant of the key: the lock of that is held too from now on, and requests for it join
    /// here.
    fn hold_variant(&self, id: VariantId) {
        if self.known.is_some() {
            // It isn't stored: nobody of another worker has anything of it.
            return;
        }
        let lock = self.lookup.lock_key_of(id);
        self.locks
            .add(self.lookup.zone, lock, &self.terms, |permit| {
                permit.publish(&self.stream, self.carrier.times(), true);
            });
    }

    /// The fence as it was before the backend was asked. `None` where the store has none.
    fn fence(&self) -> Result<Option<Fence>, StoreError> {
        let Lookup { store, key, .. } = &self.lookup;
        if store.is_memory_alone() {
            return Ok(None);
        }
        let known = self.known_fence.borrow();
        if now_msec().saturating_sub(known.at) > fence::LONGEST {
            return Err(StoreError::Outdated);
        }
        Ok(Some(Fence {
            lease: self.lease_for_writes(),
            ..Fence::of(&key.redis, known.token.clone())
        }))
    }

    /// The lease under which the fill writes. `None`: it was elected, or passes by the cache, or does without machines beside
    /// this one.
    fn lease_for_writes(&self) -> Option<Lease> {
        self.locks.lease().and_then(|lease| lease.for_writes())
    }

    /// The plan of a record that is written now. Its times were stated when the header of the response came.
    fn counted_from_its_header(&self, plan: Plan) -> Result<Plan, Trouble> {
        let came = self.stream.head().map_or_else(exact_msec, |head| head.came);
        plan.written_after(exact_msec().saturating_sub(came))
            .map_err(|_| Trouble::Expired)
    }

    /// Writes the record; where its key's variants have changed meanwhile, to where it belongs then.
    async fn write_where_it_belongs(&self, plan: Plan) -> Result<(), StoreError> {
        let fence = self.fence()?;
        if let Some(slice) = record::first_slice(&self.stream, &self.lookup, &plan) {
            self.lookup.store.store(slice).await?;
        }
        for _ in 0..ATTEMPTS {
            let write = {
                let (stream, variants) = (&self.stream, self.variants.borrow());
                let log = self.carrier.times().purged();
                let compressed = self.compression.compressed();
                record::write(stream, &self.lookup, &variants, (&plan, log), compressed)
            };
            let write = RecordWrite {
                fence: fence.clone(),
                is_older: self.carrier.succeeds(),
                ..write.ok_or(StoreError::Unavailable)?
            };
            match self.lookup.store.store(write).await? {
                None => return Ok(()),
                Some(base) => *self.variants.borrow_mut() = Variants::of(base),
            }
        }
        Err(StoreError::Refused(
            "the key's variants change all the time".into(),
        ))
    }

    /// The Redis key of the record that was read for this fill.
    fn key_of(&self, tie: Option<&Tie>) -> Option<Bytes> {
        match tie {
            Some(tie) if tie.slot > 0 => {
                slot_key(&self.lookup.key.redis, tie.slot).map(Bytes::from)
            }
            _ => Some(self.lookup.key.redis.clone()),
        }
    }

    /// By what purges select the record from now on that a 304 has confirmed. Empty: by what they do already.
    fn labels_of_confirmation(&self) -> Bytes {
        let head = self.stream.head();
        let head = head.filter(|head| head.has_tags);
        head.map_or_else(Bytes::new, |head| head.labels.clone())
    }

    /// Other machines needn't claim fills of the key while the store remembers that its responses aren't storable: one was. Nobody
    /// waits for that.
    fn forget_verdict(&self) {
        let Lookup { store, key, .. } = &self.lookup;
        if self.terms.lock_scope != LockScope::Store || !store.takes_claims(&key.redis) {
            return;
        }
        let lease = claim::name(&key.redis, self.variant).into();
        let sent = store.change(Change::Forget(key.redis.clone(), lease));
        worker::spawn(async move {
            let _ = sent.await;
            None
        });
    }

    /// Counts it, now that it has ended so.
    fn count(&self, reason: Reason) {
        let Some(counters) = self.lookup.zone.counters() else {
            return;
        };
        let result = FillResult::of(reason);
        counters.add(fills(self.kind, result), 1);
        match result {
            FillResult::Stored => {
                counters.add(written(self.status), 1);
                counters.add(written_bytes(self.status), self.stream.total());
            }
            FillResult::NotStored => counters.add(not_stored(reason), 1),
            FillResult::Revalidated | FillResult::Failed => {}
        }
        if let Some(millis) = self.carrier.times().taken_so_far() {
            counters.add_time(FILL_DURATION, millis.saturating_mul(1000));
        }
    }

    /// Says why the store didn't take it.
    fn not_stored(&self, error: &StoreError) -> Trouble {
        let (key, store) = (shown(&self.lookup.key.redis), self.lookup.store.name());
        ngx_log_error!(
            error.level(),
            ngx_cycle_log().as_ptr(),
            "redis_cache: \"{key}\" was not stored in \"{store}\": {error}"
        );
        match error {
            StoreError::WrongType => Trouble::WrongType,
            StoreError::DoesNotFit => Trouble::TooLarge,
            StoreError::ClaimLost => Trouble::ClaimLost,
            _ => Trouble::Unavailable,
        }
    }
}

impl Drop for Fill {
    /// Nobody joins it any more, and its record is in the store or won't be.
    fn drop(&mut self) {
        self.stream.release();
    }
}

impl Filling for Fill {
    async fn is_fresh(&self) -> bool {
        let detached = self.carrier.detached();
        let select = |on: &Names| Some(variant(on, detached?.request()?));
        let Ok((record, variants)) = lookup::lookup(&self.lookup, &select).await else {
            return false;
        };
        if self.terms.lock_scope == LockScope::Store {
            self.seen.replace(Some(lookup::seen(
                &self.lookup,
                record.as_deref(),
                &variants,
            )));
        }
        *self.variants.borrow_mut() = variants;
        // One that is about to go stale is refilled all the same.
        record.is_some_and(|record| usable::judge(&record, &self.lookup.rules) == Use::Fresh)
    }

    async fn claim(&self) -> Claim {
        let seen = self.seen.take();
        match (self.locks.lease(), seen) {
            (Some(lease), Some(seen)) => lease.claim(&self.lookup.store, seen).await,
            _ => Claim::Granted { changed: false },
        }
    }

    async fn read_fence(&self) {
        if self.carrier.detached().is_none() {
            // The backend was asked before, and then it was read.
            return;
        }
        let Lookup {
            zone, store, key, ..
        } = &self.lookup;
        let (at, heard) = (now_msec(), zone.heard(self.lookup.lock_key()));
        let purged = store.purged();
        let lease = self.locks.lease();
        let claimed = lease.and_then(|lease| lease.fence());
        // What isn't likely to be stored needs none: should it be stored all the same, there must be no fence at all.
        let token = match self.known {
            None if let Some(fence) = claimed => {
                store.hear();
                fence
            }
            None => within(FENCE_TIMEOUT, pin!(store.read_fence(&key.redis)))
                .await
                .flatten()
                .unwrap_or_default(),
            Some(_) => Bytes::new(),
        };
        let number = Token::parse(&token).map_or(0, Token::number);
        let times = self.carrier.times();
        times.set_fence(heard, number);
        times.set_purged(purged);
        self.locks.note_fence(number);
        self.known_fence.replace(KnownFence { token, at });
    }

    fn start(&self) {
        if let Some(detached) = self.carrier.detached() {
            detached.times().set_invalidations(self.invalidations());
            detached.start();
        }
    }

    fn abandon(&self) {
        if let Some(detached) = self.carrier.detached() {
            detached.abandon();
        }
    }

    async fn head(&self) -> Option<Finding> {
        let head = self.stream.wait_head().await?;
        if head.brought.fault().is_some() {
            // It is no answer to those who ask for it, and says nothing of what they would get.
            return None;
        }
        if let (true, Some(own)) = (head.finding.is_shared(), &head.variant) {
            self.hold_variant(own.id);
        }
        Some(head.finding.clone())
    }

    async fn ending(&self) -> Ending {
        let mut work = pin!(self.compression.run(&self.stream));
        let mut works = true;
        let mut ending = pin!(async {
            match within(self.terms.capture_timeout, pin!(self.stream.wait_ending())).await {
                Some(ending) => ending,
                None => {
                    self.stream.cease_capture(Ending::TooLong);
                    self.stream.wait_ending().await
                }
            }
        });
        poll_fn(|cx| {
            works = works && work.as_mut().poll(cx).is_pending();
            ending.as_mut().poll(cx)
        })
        .await
    }

    async fn store(&self, plan: Plan) -> Result<(), Trouble> {
        if self.known == Some(Reason::WrongType) {
            // It was said when the record was looked for.
            return Err(Trouble::WrongType);
        }
        self.carrier.cleared().await?;
        if self.is_invalidated() {
            return Err(Trouble::Invalidated);
        }
        self.compression.run(&self.stream).await;
        let plan = self.counted_from_its_header(plan)?;
        let Lookup { store, key, .. } = &self.lookup;
        let stored = self.write_where_it_belongs(plan).await;
        if self.is_invalidated() {
            // The deletion may have come first. What it leaves behind is logged as any trouble of the store.
            let _ = store.change(Change::Delete(key.redis.clone())).await;
            return Err(Trouble::Invalidated);
        }
        if let (Ok(()), Some(marked), false) = (&stored, &self.marked, plan.always_validate) {
            self.lookup.zone.unmark(marked);
            self.forget_verdict();
        }
        if let (Ok(()), Some(learning)) = (&stored, &self.learning) {
            learning.learn(plan.expiry);
        }
        match stored {
            Err(StoreError::Invalidated) => Err(Trouble::Invalidated),
            stored => stored.map_err(|error| self.not_stored(&error)),
        }
    }

    async fn renew(&self, renewed: &Renewed) -> Result<bool, Trouble> {
        if let Err(reason) = &renewed.plan
            && reason.is_of_request()
        {
            // Another request's response may be stored: the record is none the worse for it.
            return Ok(true);
        }
        let tie = renewed
            .record
            .meta
            .as_ref()
            .and_then(|meta| meta.tie.as_ref());
        let facts = PurgeFacts {
            log: self.carrier.times().purged(),
            labels: self.labels_of_confirmation(),
        };
        let change = self
            .key_of(tie)
            .and_then(|key| refresh(key, renewed, Some(facts)));
        let Some(mut change) = change else {
            return Ok(false);
        };
        if let Change::Refresh(refresh) = &mut change {
            refresh.lease = self.lease_for_writes();
        }
        let changed = self.lookup.store.change(change).await;
        if let (Ok(ChangeReply::Done), Ok(plan), Some(learning)) =
            (&changed, &renewed.plan, &self.learning)
        {
            learning.learn(plan.expiry);
        }
        match changed {
            Ok(ChangeReply::ClaimLost) => Err(self.not_stored(&StoreError::ClaimLost)),
            Ok(changed) => Ok(changed == ChangeReply::Done),
            Err(error) => Err(self.not_stored(&error)),
        }
    }

    fn outcome(&self, ended: Reason) {
        let head = self.stream.head();
        let fault = head.and_then(|head| head.brought.fault());
        let reason = fault.unwrap_or(ended).of_fill(self.known);
        self.outcome.set(Some(reason));
        self.count(reason);
        (self.learn)(reason);
        memory::give_back(self.stream.take_surplus());
        let key = shown(&self.lookup.key.redis);
        // A client that leaves ends its own request.
        let is_cut = reason == Reason::Truncated && self.carrier.detached().is_some();
        let level = if is_cut { NGX_LOG_WARN } else { NGX_LOG_INFO };
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis_cache: fill of \"{key}\": {reason}"
        );
    }
}
