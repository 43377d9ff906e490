//! The fill as the flow sees it: the backend's answer on one side, the store on the other.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::{Ending, Filling, Finding, Permit, Trouble, Verdict, fill};
use cache_core::key::LockKey;
use cache_core::outcome::Reason;
use cache_core::policy::Plan;
use cache_core::record::{self, New, Tie, Unsent};
use cache_core::renewal::{self, Renewed};
use cache_core::shown::shown;
use cache_core::usable::{self, Use};
use cache_core::vary::{self, Names, VariantId, choose_slot, slot_key};
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::registry::{LockPermit, Queued};
use super::stream::Stream;
use crate::detached::Detached;
use crate::ngx::event::{Timer, within};
use crate::ngx::memory;
use crate::ngx::shutdown;
use crate::shm::Zone;
use crate::shm::locks::{Acquired, Retention};
use crate::shm::zone::RefillSlot;
use crate::store::lookup::{self, Lookup, Variants};
use crate::store::redis::{
    Change, ChangeReply, RecordRefresh, RecordWrite, StoreError, ValidatedRecord, VariantWrite,
};
use crate::store::variants::{lock_of, variant};
use crate::worker;

/// So often a record is written again whose key got another variant meanwhile.
const ATTEMPTS: usize = 64;

/// One fill, from its start to the release of its key.
pub struct Fill {
    /// Where the record goes.
    pub lookup: Lookup,
    /// The answer.
    pub stream: Rc<Stream>,
    /// The request that brings it.
    pub detached: Rc<Detached>,
    /// Why it is known beforehand that it won't be stored.
    pub known: Option<Reason>,
    /// The lock domain, and the key's place there.
    pub place: (Zone, LockKey),
    /// Without a lock: where a mark as not storable may be that it must take away itself.
    pub mark: Option<LockKey>,
    /// The locks that it holds: the one that it began with, and that of the variant that the answer is.
    pub locks: Locks,
    /// What is known of the key's variants.
    pub variants: RefCell<Variants>,
    /// What a lock is asked for with.
    pub terms: Terms,
    /// How long the answer may be captured from its header on, in milliseconds.
    pub capture_timeout: u64,
    /// What has become of it is told here, for the next refill of its record.
    pub learn: Box<dyn Fn(Reason)>,
    /// What has become of it is left here.
    pub outcome: Rc<Cell<Option<Reason>>>,
}

impl Fill {
    /// Runs it in a task of its own, which no client can end.
    pub fn spawn(self, permit: Option<LockPermit>, look_again: bool, slot: Option<RefillSlot>) {
        // limit_req has bounds of its own for what it holds back: other refills needn't wait for that.
        let slot = Rc::new(Cell::new(slot));
        let given_back = Rc::downgrade(&slot);
        self.detached.when_delayed(move || {
            drop(given_back.upgrade().and_then(|slot| slot.take()));
        });
        worker::spawn(async move {
            // A worker that shuts down waits for its fills and their stores.
            let _guard = shutdown::delay();
            let _slot = slot;
            let (permit, _alive) = match permit {
                Some(permit) => {
                    let (permit, timer) = Alive::keep(permit, &self.locks, self.terms.age);
                    (Some(permit), Some(timer))
                }
                None => (None, None),
            };
            fill(&self, permit, look_again).await;
            None
        });
    }

    /// Whether the answer tells of what another request has changed meanwhile (RFC 9111 4.4).
    fn is_invalidated(&self) -> bool {
        let (zone, id) = &self.place;
        let begun = self.detached.times().invalidations();
        begun.is_some_and(|begun| zone.invalidations(id) != begun)
    }

    fn write(&self, plan: Plan) -> Option<RecordWrite> {
        let head = self.stream.head()?;
        let body = self.stream.body();
        let length: usize = body.iter().map(Bytes::len).sum();
        let left_out = [head.connection.as_slice(), &head.withheld].concat();
        let mut headers = record::strip_for_storage(&head.headers, &left_out);
        headers.push("Content-Length", length.to_string());
        let (tie, variant) = match &head.variant {
            Some(own) => {
                let (tie, variant) = self.place(own)?;
                (Some(tie), Some(variant))
            }
            None => (None, None),
        };
        let new = New {
            generation: new_generation(),
            date: Some(head.date),
            own_location: head.own_location,
            tie,
            unsent: Unsent {
                hidden: record::without(&head.unsent.hidden, &head.withheld),
                ..head.unsent.clone()
            },
        };
        let fields = record::encode(head.status, &headers, length as u64, &plan, new);
        Some(RecordWrite {
            key: self.lookup.key.clone(),
            status: head.status,
            headers: Bytes::from(fields.headers),
            body,
            meta: Bytes::from(fields.meta),
            expiry: plan.expiry,
            variant,
        })
    }

    /// Where an answer goes that varies.
    fn place(&self, own: &vary::Variant) -> Option<(Tie, VariantWrite)> {
        let (key, known) = (&self.lookup.key, self.variants.borrow());
        let most = self.lookup.rules.variants;
        let target = choose_slot(key, known.family.as_ref(), &own.on, own.id, most, new_token);
        let slot = match target.slot {
            0 => None,
            slot => Some(Bytes::from(slot_key(key, slot)?)),
        };
        let tie = Tie {
            family: target.family.token.clone(),
            id: own.id,
            slot: target.slot,
        };
        let variant = VariantWrite {
            slot,
            seen: known.text.clone(),
            variants: Bytes::from(target.family.encode()),
        };
        Some((tie, variant))
    }

    /// The answer is this variant of the key: the lock of that is held too from now on, and those who know it join
    /// here. If somebody else fills it, both go on.
    fn hold_variant(&self, id: VariantId) {
        if self.known.is_some() {
            // It isn't stored: nobody of another worker has anything of it.
            return;
        }
        let (zone, key) = self.place;
        let lock = lock_of(key, id);
        {
            let held = self.locks.borrow();
            if held.is_empty() || held.iter().any(|permit| permit.is_of(&lock)) {
                return;
            }
        }
        let terms = &self.terms;
        match zone.acquire(&lock, zone.sequence(), terms.age, terms.queue) {
            Acquired::Mine { instance, .. } => {
                let permit = LockPermit::new(zone, lock, instance, terms.memory);
                permit.publish(&self.stream, self.detached.times(), self.known.is_none());
                self.locks.borrow_mut().push(permit);
            }
            Acquired::Busy { instance, .. } => drop(Queued::new(zone, lock, instance)),
            Acquired::Unneeded | Acquired::Crowded { .. } | Acquired::Full => {}
        }
    }

    /// Writes the record; where its key's variants have changed meanwhile, to where it belongs then.
    async fn write_where_it_belongs(&self, plan: Plan) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let write = self.write(plan).ok_or(StoreError::Unavailable)?;
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
            Some(tie) if tie.slot > 0 => slot_key(&self.lookup.key, tie.slot).map(Bytes::from),
            _ => Some(self.lookup.key.clone()),
        }
    }

    /// Says why the store didn't take it.
    fn not_stored(&self, error: &StoreError) -> Trouble {
        let (key, store) = (shown(&self.lookup.key), self.lookup.store.name());
        ngx_log_error!(
            error.level(),
            ngx_cycle_log().as_ptr(),
            "redis_cache: \"{key}\" was not stored in \"{store}\": {error}"
        );
        match error {
            StoreError::WrongType => Trouble::WrongType,
            _ => Trouble::Unavailable,
        }
    }
}

/// A name for one write of a record.
fn new_generation() -> Bytes {
    Bytes::from(format!("{:x}", ngx_random()))
}

/// The change that stores what has become of the record under a key, or takes it away if it must not be kept. `None` for
/// a record whose write has no name.
pub fn refresh(key: Bytes, renewed: &Renewed) -> Option<Change> {
    let record = &renewed.record;
    let meta = record.meta.as_ref()?;
    let mut refresh = RecordRefresh {
        key,
        validated: ValidatedRecord {
            generation: meta.generation.clone(),
            status: record.status,
            headers: record.stored_headers.clone(),
            length: record.body.len(),
        },
        headers: Bytes::new(),
        meta: Bytes::new(),
        expiry: 0,
    };
    if let Ok(plan) = &renewed.plan {
        let fields = renewal::encode(renewed, meta, plan, new_generation());
        refresh.headers = Bytes::from(fields.headers);
        refresh.meta = Bytes::from(fields.meta);
        refresh.expiry = plan.expiry;
    }
    Some(Change::Refresh(refresh))
}

/// A name for a family of variants.
fn new_token() -> Bytes {
    Bytes::from(format!("{:08x}{:08x}", ngx_random(), ngx_random()))
}

/// The locks of one fill.
pub type Locks = Rc<RefCell<Vec<LockPermit>>>;

/// What a lock is asked for with.
#[derive(Clone, Copy)]
pub struct Terms {
    /// `redis_cache_lock_age`, milliseconds
    pub age: u64,
    /// `redis_cache_lock_queue`
    pub queue: u32,
    /// How long what is learnt of a key is remembered.
    pub memory: Retention,
}

/// Permits whose locks are kept young while their holder lives.
struct Alive {
    locks: Locks,
}

impl Alive {
    fn keep(permit: LockPermit, locks: &Locks, age: u64) -> (Alive, Rc<Timer>) {
        locks.borrow_mut().push(permit);
        let shared = Rc::clone(locks);
        let permit = Alive {
            locks: Rc::clone(locks),
        };
        let interval = (age / 3).max(1);
        let timer = Rc::new_cyclic(|weak: &std::rc::Weak<Timer>| {
            let again = weak.clone();
            Timer::new(true, move || {
                let held = shared.borrow();
                held.iter().for_each(LockPermit::touch);
                if !held.is_empty()
                    && let Some(timer) = again.upgrade()
                {
                    timer.arm(interval);
                }
            })
        });
        timer.arm(interval);
        (permit, timer)
    }
}

impl Permit for Alive {
    fn release(self, verdict: Verdict) {
        for permit in self.locks.take() {
            permit.release(verdict);
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
        let detached = &self.detached;
        let select = |on: &Names| Some(variant(on, detached.request()?));
        let Ok((record, variants)) = lookup::lookup(&self.lookup, &select).await else {
            return false;
        };
        *self.variants.borrow_mut() = variants;
        record.is_some_and(|record| usable::judge(&record, &self.lookup.rules) == Use::Fresh)
    }

    fn start(&self) {
        let (zone, id) = &self.place;
        let times = self.detached.times();
        times.set_invalidations(zone.invalidations(id));
        self.detached.start();
    }

    fn abandon(&self) {
        self.detached.abandon();
    }

    async fn head(&self) -> Option<Finding> {
        let head = self.stream.wait_head().await?;
        if let (true, Some(own)) = (head.finding.is_shared(), &head.variant) {
            self.hold_variant(own.id);
        }
        Some(head.finding.clone())
    }

    async fn ending(&self) -> Ending {
        match within(self.capture_timeout, pin!(self.stream.wait_ending())).await {
            Some(ending) => ending,
            None => {
                self.stream.cease_capture(Ending::TooLong);
                self.stream.wait_ending().await
            }
        }
    }

    async fn store(&self, plan: Plan) -> Result<(), Trouble> {
        if self.known == Some(Reason::WrongType) {
            // It was said when the record was looked for.
            return Err(Trouble::WrongType);
        }
        if self.is_invalidated() {
            return Err(Trouble::Invalidated);
        }
        let Lookup { store, key, .. } = &self.lookup;
        let stored = self.write_where_it_belongs(plan).await;
        if self.is_invalidated() {
            // The deletion may have come first. What it leaves behind is logged as any trouble of the store.
            let _ = store.change(Change::Delete(key.clone())).await;
            return Err(Trouble::Invalidated);
        }
        if let (Ok(()), Some(mark), false) = (&stored, &self.mark, plan.always_validate) {
            self.place.0.unmark(mark);
        }
        stored.map_err(|error| self.not_stored(&error))
    }

    async fn renew(&self, renewed: &Renewed) -> Result<bool, Trouble> {
        if let Err(reason) = &renewed.plan
            && reason.is_of_request()
        {
            // Another request's answer may be stored: the record is none the worse for it.
            return Ok(true);
        }
        let tie = renewed
            .record
            .meta
            .as_ref()
            .and_then(|meta| meta.tie.as_ref());
        let change = self.key_of(tie).and_then(|key| refresh(key, renewed));
        let Some(change) = change else {
            return Ok(false);
        };
        let changed = self.lookup.store.change(change).await;
        changed
            .map(|changed| changed == ChangeReply::Done)
            .map_err(|error| self.not_stored(&error))
    }

    fn outcome(&self, reason: Reason) {
        self.outcome.set(Some(reason));
        (self.learn)(reason);
        memory::give_back(self.stream.take_surplus());
        let key = shown(&self.lookup.key);
        let level = if reason == Reason::Truncated {
            NGX_LOG_WARN
        } else {
            NGX_LOG_INFO
        };
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis_cache: fill of \"{key}\": {reason}"
        );
    }
}
