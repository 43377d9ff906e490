//! The cache as the flow sees it, for one request of a simulated worker.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use cache_core::fence::is_current;
use cache_core::flow::{Cache, Claim, Domain, HeaderWait, Heard, Lock, Trouble, Woken};
use cache_core::record::Record;
use cache_core::token::Token;
use cache_core::usable::{self, Use};
use cache_core::use_stale::Failure;
use cache_core::vary::VariantId;

use super::config::Key;
use super::leasing::{Lease, Seen, claim_fill};
use super::outcomes::{Listener, hear, listen};
use super::permits::{SimPermit, Truth};
use super::store;
use super::topology::Broken;
use super::variants::{FieldValues, Variants, lock_in_worker, lock_of};
use super::wait::Alarm;
use super::worker::{Joining, Times, Worker};
use super::world::World;
use crate::locks::Acquired;
use crate::stream::Subscription;

/// How often a waiter looks for itself, in milliseconds: wake-ups may be lost, and a killed owner
/// wakes nobody.
const LOOK: u64 = 50;

/// A place among those who wait for a key. It ends when dropped.
pub struct Queued {
    world: Rc<World>,
    worker: Rc<Worker>,
    key: Key,
    instance: u64,
}

/// A waiter's place in a fill of its own worker.
pub struct Joined {
    pub subscription: Subscription,
    pub times: Rc<Times>,
    pub queued: Queued,
}

impl Drop for Queued {
    fn drop(&mut self) {
        // Who was killed leaves no queue.
        if self.worker.is_alive() {
            let zone = &self.world.machines[self.worker.machine].zone;
            zone.leave(self.key, self.instance);
        }
    }
}

/// The view of one request.
pub struct SimCache {
    pub world: Rc<World>,
    pub worker: Rc<Worker>,
    pub key: Key,
    pub request: usize,
    pub truth: Rc<Truth>,
    pub fields: FieldValues,
    /// It wants a part of the answer.
    pub part: bool,
    /// What the last look has shown of the key's variants.
    pub variants: RefCell<Variants>,
    /// The lock of the request's own, as far as it is known what the answers vary on.
    pub own_lock: Cell<Option<Key>>,
    /// Among whom the lock that it asks for is held.
    pub domain: Cell<Domain>,
    /// What the last look has shown of the record.
    pub seen: RefCell<Seen>,
}

impl SimCache {
    /// The lock of what the request asks for.
    pub fn lock_number(&self) -> Key {
        match self.domain.get() {
            Domain::Zone => self.shared_lock(),
            Domain::Worker => lock_in_worker(self.shared_lock(), self.worker.pid),
        }
    }

    /// The same among all workers.
    pub fn shared_lock(&self) -> Key {
        self.own_lock.get().unwrap_or(self.key)
    }

    /// Whether what a fill brings was invalidated, or may have been purged, before this request came. As the module has it.
    fn is_from_before(&self, times: &Times) -> bool {
        let zone = &self.world.machines[self.worker.machine].zone;
        let begun = times.invalidations.get();
        let is_invalidated = begun.is_some_and(|begun| zone.invalidations(self.key) != begun);
        let may_be_purged = begun.is_some() && times.purged.get() < self.worker.purges.last();
        let known = times.fence.get();
        is_invalidated
            || may_be_purged
            || known.is_some_and(|(heard, seen)| !is_current(heard, seen, zone.heard(self.key)))
    }

    /// An answer that is for others may be that of another variant.
    fn of_our_variant(&self, fill: &Subscription, head: HeaderWait) -> HeaderWait {
        let (HeaderWait::Shared, Some(theirs)) = (head, fill.variant()) else {
            return head;
        };
        let ours = VariantId::of(&theirs.on, &self.fields);
        if ours == theirs.id {
            return head;
        }
        self.own_lock.set(Some(lock_of(self.key, ours)));
        HeaderWait::OtherVariant
    }
}

impl Cache for SimCache {
    type Permit = SimPermit;
    type Fill = Joined;
    type Ticket = Queued;
    type RefillSlot = ();
    type Outcomes = Rc<Listener>;

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn random(&self) -> u64 {
        self.world.rng().next()
    }

    fn sequence(&self) -> u64 {
        self.world.machines[self.worker.machine].zone.sequence()
    }

    async fn lookup(&self) -> Result<Option<Rc<Record>>, Trouble> {
        self.world.judge().looks(self.request);
        let first = self.world.judge().first_valid(self.key);
        let found = store::lookup(&self.world, &self.worker, self.key, self.fields).await;
        if let Ok(found) = &found {
            let judge = self.world.judge();
            judge.finds_valid(self.key, first, found.record.as_ref());
            self.truth
                .trouble
                .set(self.truth.trouble.get() || found.is_unjudged);
        }
        let (result, variants) = match found {
            Ok(found) => (Ok(found.record), found.variants),
            Err(trouble) => (Err(trouble), Variants::default()),
        };
        let family = variants.family.as_ref();
        let lock = family.map(|f| lock_of(self.key, VariantId::of(&f.on, &self.fields)));
        self.own_lock.set(lock);
        *self.variants.borrow_mut() = variants;
        self.seen.replace(seen(&result, &self.variants.borrow()));
        let fresh = |record: &Rc<Record>| record.is_fresh(self.world.config.rules.stale);
        let found = result.as_ref().ok().and_then(Option::as_ref);
        self.truth.fresh.set(found.is_some_and(fresh));
        if result.is_err() {
            self.truth.trouble.set(true);
        }
        let usable = found.is_some_and(|record| !matches!(self.judge(record), Use::Validate(_)));
        self.world
            .judge()
            .looked(self.request, usable, found.is_some());
        result
    }

    fn needs_store(&self) -> bool {
        false
    }

    fn wants_part(&self) -> bool {
        self.part
    }

    fn judge(&self, record: &Record) -> Use {
        usable::judge(record, &self.world.config.rules)
    }

    fn failing(&self) -> Option<Failure> {
        let zone = &self.world.machines[self.worker.machine].zone;
        zone.failing(self.shared_lock(), self.fields.sender, self.world.now())
    }

    fn asks_ahead(&self) -> bool {
        true
    }

    fn is_used_enough(&self) -> bool {
        let zone = &self.world.machines[self.worker.machine].zone;
        let count = zone.count_use(self.key, self.world.now());
        count >= self.world.config.min_uses
    }

    fn lock(&self, since: u64, domain: Domain) -> Lock<SimPermit, Joined, Queued> {
        self.domain.set(domain);
        self.world.judge().asks_for_lock(self.request);
        let (world, worker, key) = (&self.world, &self.worker, self.lock_number());
        world.judge().requests[self.request].lock = key;
        let full = world.config.faults.is_zone_full(world.now());
        if full && world.fault(50) {
            return Lock::Full;
        }
        let zone = &world.machines[worker.machine].zone;
        if domain == Domain::Worker && zone.is_marked(self.shared_lock(), world.now()) {
            world.judge().requests[self.request].lock = self.shared_lock();
            let told = Acquired::Unneeded;
            world.judge().is_told(world, self.request, &told);
            return Lock::Unneeded;
        }
        let (age, queue) = (world.config.lock_age, world.config.queue);
        let acquired = zone.acquire(key, since, worker.pid, world.now(), (age, queue));
        world.judge().is_told(world, self.request, &acquired);
        match acquired {
            Acquired::Mine { instance, changed } => {
                let permit = taken(world, worker, key, instance, &self.truth);
                Lock::Mine { permit, changed }
            }
            Acquired::Busy { instance, .. } => {
                let queued = Queued {
                    world: Rc::clone(world),
                    worker: Rc::clone(worker),
                    key,
                    instance,
                };
                match worker.join(key, instance, queue) {
                    Joining::Joined(_, times)
                        if self.is_from_before(&times) && !world.breaks(Broken::JoinsOld) =>
                    {
                        Lock::Elsewhere(queued)
                    }
                    Joining::Joined(subscription, times) => Lock::Here(Joined {
                        subscription,
                        times,
                        queued,
                    }),
                    Joining::Crowded(readers) => {
                        world.judge().is_too_much(world, self.request, readers);
                        Lock::Crowded
                    }
                    Joining::Elsewhere => Lock::Elsewhere(queued),
                }
            }
            Acquired::Unneeded => Lock::Unneeded,
            Acquired::Crowded { .. } => Lock::Crowded,
            Acquired::Full => Lock::Full,
        }
    }

    fn is_for_us(&self, permit: &SimPermit) -> bool {
        permit.key == self.lock_number()
    }

    fn refill_slot(&self) -> Option<()> {
        Some(())
    }

    async fn head(&self, fill: &Joined, deadline: u64) -> HeaderWait {
        let alarm = Alarm::default();
        poll_fn(|cx| {
            if let Some(head) = fill.subscription.verdict() {
                return Poll::Ready(self.of_our_variant(&fill.subscription, head));
            }
            if deadline <= self.world.now() {
                return Poll::Ready(HeaderWait::Late);
            }
            fill.subscription.listen(cx.waker());
            alarm.set(&self.world, cx.waker(), deadline);
            Poll::Pending
        })
        .await
    }

    async fn released(&self, ticket: &Queued, deadline: u64) -> Woken {
        let (world, worker) = (&self.world, &self.worker);
        let alarm = Alarm::default();
        let mut registration = None;
        poll_fn(|cx| {
            // Registered before looking: a release in between is not missed.
            registration = Some(worker.register(ticket.key, cx.waker().clone()));
            let now = world.now();
            let zone = &world.machines[worker.machine].zone;
            if let Some(verdict) = zone.await_release(ticket.key, ticket.instance, worker.pid, now)
            {
                return Poll::Ready(Woken::Released(verdict));
            }
            let joinable = worker.joinable(ticket.key, ticket.instance);
            let spins = world.breaks(Broken::Spins);
            if joinable.is_some_and(|times| spins || !self.is_from_before(&times)) {
                return Poll::Ready(Woken::Joinable);
            }
            if deadline <= now {
                return Poll::Ready(Woken::Late);
            }
            alarm.set(world, cx.waker(), deadline.min(now + LOOK));
            Poll::Pending
        })
        .await
    }

    fn elect(&self, timeout: u64) -> Result<(), u64> {
        self.world.judge().asks(self.request);
        let zone = &self.world.machines[self.worker.machine].zone;
        zone.elect(self.lock_number(), timeout, self.world.now())
    }

    async fn claim(&self, permit: &SimPermit) -> Claim {
        if self.domain.get() == Domain::Worker {
            return Claim::Granted { changed: false };
        }
        let (lease, seen) = (Rc::clone(&permit.lease), self.seen.borrow().clone());
        let claim = claimed(&self.world, &lease, &self.truth, seen, self.fields).await;
        if claim == Claim::Unneeded {
            self.world.judge().needs_no_claim(self.request);
        }
        claim
    }

    fn outcomes(&self, permit: &SimPermit) -> Rc<Listener> {
        listen(&self.world, permit.key)
    }

    async fn outcome(&self, outcomes: &Rc<Listener>, by: Token, until: u64) -> Heard {
        let heard = hear(&self.world, outcomes, by, until).await;
        if let Heard::Ended(verdict) = heard {
            // What counts is what the other machine has said, not what is heard of it.
            let told = self.world.judge().hears(outcomes.lock, by, verdict);
            let told = told.map(|told| (told.verdict, told.answer));
            self.truth.told.set(told);
        }
        heard
    }
}

/// The permit for a lock just taken.
pub fn taken(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    key: Key,
    instance: u64,
    truth: &Rc<Truth>,
) -> SimPermit {
    let pid = worker.pid;
    world.note(|| format!("worker {pid} has lock {key}"));
    let held = world.machines[worker.machine].zone.held();
    let age = world.config.lock_age;
    let domain_key = (worker.machine, key);
    world
        .judge()
        .acquired(domain_key, instance, pid, age, &held);
    SimPermit {
        world: Rc::clone(world),
        worker: Rc::clone(worker),
        key,
        instance,
        truth: Rc::clone(truth),
        sender: Cell::new(0),
        released: Rc::new(Cell::new(false)),
        lease: Lease::new(world, worker, key),
    }
}

/// What a look has shown of a record.
pub fn seen(found: &Result<Option<Rc<Record>>, Trouble>, variants: &Variants) -> Seen {
    let record = found.as_ref().ok().and_then(Option::as_ref);
    let meta = record.and_then(|record| record.meta.as_ref());
    let name = |generation: &[u8]| std::str::from_utf8(generation).ok()?.parse().ok();
    let generation = meta.and_then(|meta| name(&meta.generation));
    (generation, variants.text.clone())
}

/// Claims a fill; where the store is in trouble the fill does without.
pub async fn claimed(
    world: &World,
    lease: &Rc<Lease>,
    truth: &Truth,
    seen: Seen,
    fields: FieldValues,
) -> Claim {
    // It is about another fill from now on.
    truth.told.set(None);
    let claim = claim_fill(lease, seen, fields).await;
    truth.without_claim.set(claim.is_err());
    if claim == Ok(Claim::Unneeded) {
        let answer = world.judge().fleet.uncacheable_answer(lease.lock);
        let uncacheable = cache_core::flow::Verdict::Uncacheable;
        truth.told.set(Some((uncacheable, answer)));
    }
    claim.unwrap_or_else(|_| {
        truth.trouble.set(true);
        Claim::Granted { changed: false }
    })
}
