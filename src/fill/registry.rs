//! The fills of this worker that can be joined, by key.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use cache_core::flow::{Permit, Verdict};
use cache_core::key::LockKey;

use super::lease::Lease;
use super::stream::{Stream, Subscription};
use crate::detached::Times;
use crate::shm::locks::Retention;
use crate::shm::{Zone, wake};

/// A fill that can be joined.
struct Joinable {
    instance: u64,
    stream: Rc<Stream>,
    times: Rc<Times>,
    /// What the header named by `$cache_header` says to those who join.
    stored: bool,
}

thread_local! {
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static FILLS: ManuallyDrop<RefCell<HashMap<LockKey, Joinable>>> = ManuallyDrop::default();
}

/// A waiter's place in a fill of its own worker.
pub struct Joined {
    /// The response.
    pub subscription: Subscription,
    /// When it was fetched.
    pub times: Rc<Times>,
    /// Whether the response goes to the store.
    pub stored: bool,
    /// As long as it waits.
    pub queued: Queued,
}

/// A place among those who wait for a key. It ends when dropped.
pub struct Queued {
    zone: Zone,
    /// The lock that is waited for.
    pub key: LockKey,
    /// The holding of it.
    pub instance: u64,
}

impl Queued {
    /// The place that a held lock has given.
    pub fn new(zone: Zone, key: LockKey, instance: u64) -> Queued {
        Queued {
            zone,
            key,
            instance,
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.zone.leave_queue(&self.key, self.instance);
    }
}

/// Why a fill wasn't joined.
pub enum NotJoined {
    /// It isn't here, or can't be joined any more: its release is to be waited for.
    Elsewhere(Queued),
    /// So many read it already as may.
    Crowded,
}

/// When the fill of this holding of a lock was begun, if this worker runs it and it can be joined.
pub fn joinable(key: &LockKey, instance: u64) -> Option<Rc<Times>> {
    FILLS.with(|fills| {
        let fills = fills.borrow();
        let fill = fills.get(key)?;
        let is_joinable = fill.instance == instance && fill.stream.is_joinable();
        is_joinable.then(|| Rc::clone(&fill.times))
    })
}

/// Joins the fill of a key, if this worker runs the lock's holder and no more than `most` have joined it.
pub fn join(queued: Queued, most: u32) -> Result<Joined, NotJoined> {
    FILLS.with(|fills| {
        let fills = fills.borrow();
        // A response that isn't captured any more is about to be given up: its release will say so.
        let joinable = fills
            .get(&queued.key)
            .filter(|fill| fill.instance == queued.instance && fill.stream.is_joinable());
        match joinable {
            Some(fill) if fill.stream.joined() >= most as usize => Err(NotJoined::Crowded),
            Some(fill) => Ok(Joined {
                subscription: fill.stream.join(),
                times: Rc::clone(&fill.times),
                stored: fill.stored,
                queued,
            }),
            None => Err(NotJoined::Elsewhere(queued)),
        }
    })
}

/// A lock of the zone. Dropped without a verdict it says [`Verdict::Failed`], which is no word on the backend: nobody
/// knows what it would have answered.
pub struct LockPermit {
    zone: Zone,
    key: LockKey,
    instance: u64,
    retention: Retention,
    /// The lease that goes with it, where machines share their fills.
    lease: Option<Rc<Lease>>,
}

impl LockPermit {
    /// The permit for a lock just acquired. `retention`: see [`Zone::release`].
    pub fn new(zone: Zone, key: LockKey, instance: u64, retention: Retention) -> LockPermit {
        LockPermit {
            zone,
            key,
            instance,
            retention,
            lease: None,
        }
    }

    /// The same with a lease, which ends with it.
    pub fn with_lease(self, lease: Option<Rc<Lease>>) -> LockPermit {
        let mut permit = self;
        permit.lease = lease;
        permit
    }

    /// Its lease, if it has one.
    pub fn lease(&self) -> Option<&Rc<Lease>> {
        self.lease.as_ref()
    }

    /// What tells the sender of the request that the backend gets; see [`Retention::sender`].
    pub fn set_sender(&mut self, sender: u64) {
        self.retention.sender = sender;
    }

    /// Lets others of this worker join the fill that runs under this permit.
    pub fn publish(&self, stream: &Rc<Stream>, times: &Rc<Times>, stored: bool) {
        let fill = Joinable {
            instance: self.instance,
            stream: Rc::clone(stream),
            times: Rc::clone(times),
            stored,
        };
        let former = FILLS.with(|fills| fills.borrow_mut().insert(self.key, fill));
        drop(former);
        // Those that came while it was claimed, and so wait for its release.
        wake::rouse(&self.key);
    }

    /// Whether it is the lock of this place.
    pub fn is_of(&self, key: &LockKey) -> bool {
        self.key == *key
    }

    /// Its fill knows of the invalidation of that number.
    pub fn note_fence(&self, number: u64) {
        self.zone.note_fence(&self.key, self.instance, number);
    }

    /// Nobody joins its fill any more.
    fn withdraw(&self) {
        let gone = FILLS.with(|fills| {
            let mut fills = fills.borrow_mut();
            let ours = fills
                .get(&self.key)
                .is_some_and(|fill| fill.instance == self.instance);
            if ours { fills.remove(&self.key) } else { None }
        });
        drop(gone);
    }

    /// The other machines learn of it before this one goes on.
    fn end_lease(&mut self, verdict: Verdict) {
        if let Some(lease) = self.lease.take() {
            lease.end(verdict, self.retention.uncacheable);
            self.retention.uncacheable = lease.uncacheable(self.retention.uncacheable);
        }
    }
}

impl Permit for LockPermit {
    fn release(self, verdict: Verdict) {
        let mut permit = ManuallyDrop::new(self);
        permit.withdraw();
        permit.end_lease(verdict);
        permit
            .zone
            .release(&permit.key, permit.instance, verdict, permit.retention);
    }

    fn pass_on(self, verdict: Verdict) {
        let mut permit = ManuallyDrop::new(self);
        permit.withdraw();
        permit.end_lease(verdict);
        permit
            .zone
            .pass_on(&permit.key, permit.instance, verdict, permit.retention);
    }

    fn touch(&self) {
        self.zone.touch(&self.key, self.instance);
    }
}

impl Drop for LockPermit {
    fn drop(&mut self) {
        self.withdraw();
        self.end_lease(Verdict::Failed);
        self.zone.abandon(&self.key, self.instance);
    }
}
