//! The fill as the flow sees it: the backend's answer on one side, the store on the other.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::{Ending, Filling, Finding, Permit, Trouble, Verdict, fill};
use cache_core::key::KeyId;
use cache_core::policy::Plan;
use cache_core::record;
use cache_core::renewal::{self, Renewed};
use cache_core::shown::shown;
use cache_core::status::Reason;
use cache_core::usable::{self, Use};
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::detached::Detached;
use super::registry::LockPermit;
use super::stream::Stream;
use crate::lookup::{self, Lookup};
use crate::ngx::busy;
use crate::ngx::event::Timer;
use crate::ngx::memory;
use crate::redis::{Change, Refresh, StoreError, Write};
use crate::shm::Zone;
use crate::shm::zone::RefillSlot;
use crate::worker;

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
    /// The key in the lock domain.
    pub place: (Zone, KeyId),
    /// Without a lock: where a mark as not storable is it must take it away itself.
    pub unlocked: bool,
    /// The lock domain's count when the backend was asked.
    pub begun: Cell<u64>,
    /// What has become of it is left here.
    pub outcome: Rc<Cell<Option<Reason>>>,
}

impl Fill {
    /// Runs it in a task of its own, which no client can end.
    pub fn spawn(
        self,
        permit: Option<LockPermit>,
        look_again: bool,
        slot: Option<RefillSlot>,
        lock_age: u64,
    ) {
        worker::spawn(async move {
            // A worker that shuts down waits for its fills and their stores.
            let _busy = busy::hold();
            let _slot = slot;
            let (permit, _alive) = match permit {
                Some(permit) => {
                    let (permit, timer) = Alive::keep(permit, lock_age);
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
        zone.is_invalidated(id, self.begun.get())
    }

    fn write(&self, plan: Plan) -> Option<Write> {
        let head = self.stream.head()?;
        let body = self.stream.body();
        let length: usize = body.iter().map(Bytes::len).sum();
        let left_out = [head.connection.as_slice(), &head.withheld].concat();
        let mut headers = record::strip_for_storage(&head.headers, &left_out);
        headers.push("Content-Length", length.to_string());
        let fields = record::encode(
            head.status,
            &headers,
            length as u64,
            &plan,
            new_generation(),
            head.own_location,
        );
        Some(Write {
            key: self.lookup.key.clone(),
            status: head.status,
            headers: Bytes::from(fields.headers),
            body,
            meta: Bytes::from(fields.meta),
            expiry: plan.expiry,
        })
    }

    /// Says why the store didn't take it.
    fn not_stored(&self, error: &StoreError) -> Trouble {
        let (key, store) = (shown(&self.lookup.key), self.lookup.store.name());
        ngx_log_error!(
            error.level(),
            worker::log(),
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

/// The change that stores what has become of a record, or takes it away if it must not be kept. `None` for a record
/// whose write has no name.
pub fn refresh(key: &Bytes, renewed: &Renewed) -> Option<Change> {
    let meta = renewed.record.meta.as_ref()?;
    let mut refresh = Refresh {
        key: key.clone(),
        generation: meta.generation.clone(),
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

/// A permit whose lock is kept young while its holder lives.
struct Alive {
    permit: Rc<Cell<Option<LockPermit>>>,
}

impl Alive {
    fn keep(permit: LockPermit, age: u64) -> (Alive, Rc<Timer>) {
        let shared = Rc::new(Cell::new(Some(permit)));
        let permit = Alive {
            permit: Rc::clone(&shared),
        };
        let interval = (age / 3).max(1);
        let timer = Rc::new_cyclic(|weak: &std::rc::Weak<Timer>| {
            let again = weak.clone();
            Timer::new(true, move || {
                if let Some(permit) = shared.take() {
                    permit.touch();
                    shared.set(Some(permit));
                    if let Some(timer) = again.upgrade() {
                        timer.arm(interval);
                    }
                }
            })
        });
        timer.arm(interval);
        (permit, timer)
    }
}

impl Permit for Alive {
    fn release(self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            permit.release(verdict);
        }
    }
}

impl Filling for Fill {
    async fn is_fresh(&self) -> bool {
        matches!(lookup::lookup(&self.lookup).await,
            Ok(Some(record)) if usable::judge(&record, &self.lookup.rules) == Use::Fresh)
    }

    fn start(&self) {
        self.begun.set(self.place.0.sequence());
        self.detached.start();
    }

    fn abandon(&self) {
        self.detached.abandon();
    }

    async fn head(&self) -> Option<Finding> {
        Some(self.stream.wait_head().await?.finding.clone())
    }

    async fn ending(&self) -> Ending {
        self.stream.wait_ending().await
    }

    async fn store(&self, plan: Plan) -> Result<(), Trouble> {
        if self.known == Some(Reason::WrongType) {
            // It was said when the record was looked for.
            return Err(Trouble::WrongType);
        }
        if self.is_invalidated() {
            return Err(Trouble::Invalidated);
        }
        let Some(write) = self.write(plan) else {
            return Err(Trouble::Unavailable);
        };
        let stored = self.lookup.store.store(write).await;
        if self.is_invalidated() {
            // The deletion may have come first. What it leaves behind is logged as any trouble of the store.
            let _ = self.lookup.store.delete(&self.lookup.key).await;
            return Err(Trouble::Invalidated);
        }
        if stored.is_ok() && self.unlocked && !plan.always_validate {
            let (zone, id) = &self.place;
            zone.unmark(id);
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
        let Some(change) = refresh(&self.lookup.key, renewed) else {
            return Ok(false);
        };
        let changed = self.lookup.store.change(change).await;
        changed.map_err(|error| self.not_stored(&error))
    }

    fn outcome(&self, reason: Reason) {
        self.outcome.set(Some(reason));
        memory::give_back(self.stream.take_surplus());
        let key = shown(&self.lookup.key);
        let level = if reason == Reason::Truncated {
            NGX_LOG_WARN
        } else {
            NGX_LOG_INFO
        };
        ngx_log_error!(
            level,
            worker::log(),
            "redis_cache: fill of \"{key}\": {reason}"
        );
    }
}
