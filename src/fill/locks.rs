//! The locks of one fill: the one that it began with, and that of the variant that the response is.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use cache_core::flow::{Permit, Verdict};
use cache_core::key::LockKey;

use super::lease::Lease;
use super::registry::{LockPermit, Queued};
use super::terms::Terms;
use crate::ngx::event::Timer;
use crate::shm::Zone;
use crate::shm::locks::Acquired;

/// The locks that a fill holds.
#[derive(Clone, Default)]
pub struct Locks {
    held: Rc<RefCell<Vec<LockPermit>>>,
    /// The invalidation that the fill knows of, by its number. 0: none.
    fence: Rc<Cell<u64>>,
}

impl Locks {
    /// The lock that the fill began with is the first of them. All are kept young while the timer lives: `age` is
    /// `redis_cache_lock_age` in milliseconds.
    pub fn keep(&self, permit: LockPermit, age: u64) -> (FillPermit, Rc<Timer>) {
        self.held.borrow_mut().push(permit);
        let locks = self.clone();
        let interval = (age / 3).max(1);
        let timer = Rc::new_cyclic(|weak: &Weak<Timer>| {
            let again = weak.clone();
            Timer::new(true, move || {
                let held = locks.held.borrow();
                held.iter().for_each(LockPermit::touch);
                if !held.is_empty()
                    && let Some(timer) = again.upgrade()
                {
                    timer.arm(interval);
                }
            })
        });
        timer.arm(interval);
        (FillPermit(self.clone()), timer)
    }

    /// The lease of the lock that the fill began with, if it has one.
    pub fn lease(&self) -> Option<Rc<Lease>> {
        let held = self.held.borrow();
        held.iter().find_map(|permit| permit.lease().cloned())
    }

    /// The fill has read its key's fence, and knows of the invalidation of that number.
    pub fn note_fence(&self, number: u64) {
        self.fence.set(number);
        for permit in self.held.borrow().iter() {
            permit.note_fence(number);
        }
    }

    /// Holds one more lock, if the fill holds any, and lets others join under it. If another fill holds it, both go on.
    pub fn add(&self, zone: Zone, lock: LockKey, terms: &Terms, publish: impl FnOnce(&LockPermit)) {
        {
            let held = self.held.borrow();
            if held.is_empty() || held.iter().any(|permit| permit.is_of(&lock)) {
                return;
            }
        }
        match zone.acquire(&lock, zone.sequence(), terms.lock_age, terms.queue) {
            Acquired::Mine { instance, .. } => {
                let permit = LockPermit::new(zone, lock, instance, terms.retention);
                publish(&permit);
                permit.note_fence(self.fence.get());
                self.held.borrow_mut().push(permit);
            }
            Acquired::Busy { instance, .. } => drop(Queued::new(zone, lock, instance)),
            Acquired::Unneeded | Acquired::Crowded { .. } | Acquired::Full => {}
        }
    }
}

/// All locks of a fill, as the one permit that the flow knows.
pub struct FillPermit(Locks);

impl Permit for FillPermit {
    fn release(self, verdict: Verdict) {
        for permit in self.0.held.take() {
            permit.release(verdict);
        }
    }

    fn pass_on(self, verdict: Verdict) {
        for permit in self.0.held.take() {
            permit.pass_on(verdict);
        }
    }

    fn touch(&self) {
        self.0.held.borrow().iter().for_each(LockPermit::touch);
    }
}
