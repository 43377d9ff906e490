//! The cache as the flow sees it, for one request of a client.

use std::cell::OnceCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use cache_core::flow::{Cache, Head, Lock, Trouble, Woken};
use cache_core::key::KeyId;
use cache_core::record::Record;
use cache_core::request_directives::RequestDirectives;
use cache_core::usable::{self, Use};
use cache_core::use_stale::Failure;
use md5::{Digest, Md5};

use crate::fill::registry::{self, Joined, LockPermit, Queued};
use crate::lookup::{self, Lookup};
use crate::ngx::event::{now_msec, sleep};
use crate::settings::Settings;
use crate::shm::Zone;
use crate::shm::locks::{Acquired, Memory};
use crate::shm::waiting;
use crate::shm::zone::RefillSlot;
use crate::store::Store;

/// How often a waiter looks for itself, in milliseconds: wake-ups are hints and may be lost, and a
/// lock's owner that was killed wakes nobody.
const LOOK: u64 = 50;

/// The view of one request.
pub struct ClientCache {
    lookup: Lookup,
    zone: Zone,
    /// The key in the lock table. A hit needs none.
    id: OnceCell<KeyId>,
    lock_age: u64,
    queue: u32,
    refills: u32,
    memory: Memory,
    asks: RequestDirectives,
}

impl ClientCache {
    /// The cache for a request with these settings that asks this of it.
    pub fn new(settings: &Settings, asks: RequestDirectives) -> ClientCache {
        ClientCache {
            lookup: Lookup {
                store: settings.store.clone(),
                key: settings.key.clone(),
                rules: Rc::clone(&settings.rules),
            },
            zone: settings.zone,
            id: OnceCell::new(),
            lock_age: settings.lock_age,
            queue: settings.queue,
            refills: settings.refills,
            memory: settings.memory,
            asks,
        }
    }

    /// The key's place in the lock domain.
    pub fn place(&self) -> (Zone, KeyId) {
        (self.zone, *self.id())
    }

    fn id(&self) -> &KeyId {
        self.id
            .get_or_init(|| lock_id(&self.lookup.store, &self.lookup.key))
    }
}

/// What a key of a store is called in the lock table.
pub fn lock_id(store: &Store, key: &[u8]) -> KeyId {
    let mut hash = Md5::new();
    // Two stores may hold the same key.
    hash.update(store.id());
    hash.update([0]);
    hash.update(key);
    KeyId(hash.finalize().into())
}

impl Cache for ClientCache {
    type Permit = LockPermit;
    type Fill = Joined;
    type Ticket = Queued;
    type Slot = RefillSlot;

    fn now(&self) -> u64 {
        now_msec()
    }

    fn sequence(&self) -> u64 {
        self.zone.sequence()
    }

    async fn lookup(&self) -> Result<Option<Record>, Trouble> {
        lookup::lookup(&self.lookup).await
    }

    fn judge(&self, record: &Record) -> Use {
        usable::judge_for(record, &self.lookup.rules, &self.asks)
    }

    fn failing(&self) -> Option<Failure> {
        self.zone.failing(self.id())
    }

    fn lock(&self, since: u64) -> Lock<LockPermit, Joined, Queued> {
        let (zone, id) = (self.zone, *self.id());
        match zone.acquire(&id, since, self.lock_age, self.queue) {
            Acquired::Mine { instance, changed } => Lock::Mine {
                permit: LockPermit::new(zone, id, instance, self.memory),
                changed,
            },
            Acquired::Busy { instance } => match registry::join(Queued::new(zone, id, instance)) {
                Ok(joined) => Lock::Here(joined),
                Err(queued) => Lock::Elsewhere(queued),
            },
            Acquired::Unneeded => Lock::Unneeded,
            Acquired::Crowded => Lock::Crowded,
            Acquired::Full => Lock::Full,
        }
    }

    fn refill_slot(&self) -> Option<RefillSlot> {
        self.zone.begin_refill(self.refills)
    }

    async fn head(&self, fill: &Joined, deadline: u64) -> Head {
        let mut late = pin!(sleep(deadline.saturating_sub(now_msec())));
        poll_fn(|cx| {
            if let Some(head) = fill.subscription.verdict() {
                return Poll::Ready(head);
            }
            fill.subscription.listen(cx.waker());
            late.as_mut().poll(cx).map(|()| Head::Late)
        })
        .await
    }

    async fn released(&self, ticket: &Queued, deadline: u64) -> Woken {
        loop {
            let left = deadline.saturating_sub(now_msec());
            let mut nap = pin!(sleep(left.min(LOOK)));
            let mut registration = None;
            let verdict = poll_fn(|cx| {
                // Registered before looking: a release in between is not missed.
                registration = Some(waiting::register(*self.id(), cx.waker().clone()));
                let verdict = self
                    .zone
                    .await_release(self.id(), ticket.instance, self.lock_age);
                match verdict {
                    Some(_) => Poll::Ready(verdict),
                    None => nap.as_mut().poll(cx).map(|()| None),
                }
            })
            .await;
            drop(registration);
            match verdict {
                Some(verdict) => return Woken::Released(verdict),
                None if now_msec() >= deadline => return Woken::Late,
                None => {}
            }
        }
    }

    fn elect(&self, timeout: u64) -> Result<(), u64> {
        self.zone.elect(self.id(), timeout)
    }
}
