//! A fill of a simulated worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::fence::Token;
use cache_core::flow::{self, Claim, Ending, Filling, Finding, Occasion, Permit, Trouble, Verdict};
use cache_core::outcome::Reason;
use cache_core::policy::Plan;
use cache_core::record::{Tie, strip_for_storage};
use cache_core::renewal::Renewed;
use cache_core::usable::{self, Use};
use cache_core::vary::{Variant, VariantId, choose_slot};

use super::backend::Asked;
use super::cache::{SimCache, claimed, seen, taken};
use super::config::{Claims, Key, Kind, MAX_SIZE};
use super::data::Stored;
use super::leasing::{Lease, Seen, forget};
use super::permits::{SimPermit, Truth};
use super::purging;
use super::store;
use super::topology::Broken;
use super::variants::{FieldValues, Variants, lock_of};
use super::wait::{first, sleep};
use super::worker::{Times, Worker};
use super::world::World;
use crate::locks::Acquired;
use crate::stream::{Stream, Subscription};

/// One fill.
struct SimFill {
    world: Rc<World>,
    worker: Rc<Worker>,
    key: Key,
    request: usize,
    lock: Option<(Key, u64)>,
    /// Where a mark as not storable may be.
    mark: Key,
    stream: Rc<Stream>,
    held: Option<Rc<flow::Held>>,
    /// Its lock is one of its worker.
    alone: bool,
    /// It is known beforehand that it isn't stored.
    known: Option<Reason>,
    truth: Rc<Truth>,
    outcome: Cell<Option<Reason>>,
    fields: FieldValues,
    variants: RefCell<Variants>,
    /// What the last look has shown of the record.
    seen: RefCell<Seen>,
    /// The lease of the lock that it began with.
    lease: Option<Rc<Lease>>,
    /// The request bypasses the cache: its fill claims nothing.
    bypass: bool,
    /// What the fence of the key held before the backend was asked.
    fence: RefCell<Bytes>,
    times: Rc<Times>,
    /// The locks that it holds: the one that it began with, and that of its answer's variant.
    locks: Locks,
}

type Locks = Rc<RefCell<Vec<SimPermit>>>;

/// All that a fill holds.
struct FillPermit(Locks);

impl Permit for FillPermit {
    fn release(self, verdict: Verdict) {
        for permit in self.0.take() {
            permit.release(verdict);
        }
    }

    fn pass_on(self, verdict: Verdict) {
        for permit in self.0.take() {
            permit.pass_on(verdict);
        }
    }

    fn touch(&self) {
        self.0.borrow().iter().for_each(SimPermit::touch);
    }
}

/// Starts a fill for a request, which may subscribe to it.
pub fn start(
    cache: &SimCache,
    (permit, known): (Option<SimPermit>, Option<Reason>),
    occasion: Occasion,
    held: Option<Rc<flow::Held>>,
) -> Option<Subscription> {
    let subscribe = occasion == Occasion::Request;
    let stream = Stream::new(MAX_SIZE, u64::MAX);
    let times = Rc::new(Times::default());
    if let Some(permit) = &permit {
        cache
            .worker
            .publish(permit.key, permit.instance, (&stream, &times));
        // Those who came while it was claimed.
        cache.worker.wake(permit.key);
        permit.keep();
        permit.sender.set(cache.fields.sender);
    }
    let subscription = subscribe.then(|| stream.subscribe());
    let fill = SimFill {
        world: Rc::clone(&cache.world),
        worker: Rc::clone(&cache.worker),
        key: cache.key,
        request: cache.request,
        mark: cache.shared_lock(),
        lock: permit.as_ref().map(|permit| (permit.key, permit.instance)),
        stream,
        held,
        alone: cache.domain.get() == flow::Domain::Worker,
        known,
        truth: Rc::clone(&cache.truth),
        outcome: Cell::new(None),
        fields: cache.fields,
        variants: RefCell::new(cache.variants.take()),
        seen: RefCell::new(cache.seen.take()),
        lease: permit.as_ref().map(|permit| Rc::clone(&permit.lease)),
        bypass: cache.world.judge().requests[cache.request].bypass,
        fence: RefCell::default(),
        times,
        locks: Rc::default(),
    };
    let permit = permit.map(|permit| {
        fill.locks.borrow_mut().push(permit);
        FillPermit(Rc::clone(&fill.locks))
    });
    cache.worker.spawn(async move {
        flow::fill(&fill, permit, occasion).await;
        fill.check_outcome();
        None
    });
    subscription
}

impl SimFill {
    /// The answers are storable: the other machines learn it, too. Nobody waits for that.
    fn forget_verdict(&self) {
        let (world, worker, mark) = (Rc::clone(&self.world), Rc::clone(&self.worker), self.mark);
        self.worker.spawn(async move {
            let _ = forget(&world, &worker, mark).await;
            None
        });
    }

    /// Holds the lock of the variant that the answer is, too. As the module does: it claims nothing for that among machines.
    fn hold_variant(&self, id: VariantId) {
        if self.known.is_some() {
            return;
        }
        let lock = lock_of(self.key, id);
        {
            let held = self.locks.borrow();
            if held.is_empty() || held.iter().any(|permit| permit.key == lock) {
                return;
            }
        }
        let (world, worker) = (&self.world, &self.worker);
        let zone = &world.machines[worker.machine].zone;
        let terms = (world.config.lock_age, world.config.queue);
        match zone.acquire(lock, zone.sequence(), worker.pid, world.now(), terms) {
            Acquired::Mine { instance, .. } => {
                let permit = taken(world, worker, lock, instance, &self.truth);
                permit.sender.set(self.fields.sender);
                worker.publish(lock, instance, (&self.stream, &self.times));
                // Those who came while it was claimed.
                worker.wake(lock);
                permit.keep();
                zone.note_fence(lock, instance, self.fence_number());
                self.locks.borrow_mut().push(permit);
            }
            Acquired::Busy { instance, .. } => zone.leave(lock, instance),
            _ => {}
        }
    }

    /// The invalidation that it knows of, by its number.
    fn fence_number(&self) -> u64 {
        Token::parse(&self.fence.borrow()).map_or(0, Token::number)
    }

    /// The last purge of which its answer knows. `rule`: the one that says so.
    fn log_number(&self, rule: Broken) -> u64 {
        if self.world.breaks(rule) {
            self.worker.purges.last()
        } else {
            self.times.purged.get()
        }
    }

    /// Where an answer goes that varies.
    fn slot_for(&self, own: &Variant, stored: &mut Stored) -> store::VariantWrite {
        let known = self.variants.borrow();
        let most = self.world.config.rules.variants;
        let token = || Bytes::from(stored.fill.to_string());
        let target = choose_slot(b"key", known.family.as_ref(), &own.on, own.id, most, token);
        stored.tie = Some(Tie {
            family: target.family.token.clone(),
            id: own.id,
            slot: target.slot,
        });
        store::VariantWrite {
            slot: target.slot,
            seen: known.text.clone(),
            text: target.family.encode().into(),
        }
    }

    /// Whether this machine has invalidated the key since the backend was asked.
    fn is_invalidated(&self) -> bool {
        let zone = &self.world.machines[self.worker.machine].zone;
        let begun = self.times.invalidations.get();
        begun.is_some_and(|begun| zone.invalidations(self.key) != begun)
    }

    /// The lease under which it may write, if it has claimed one.
    fn needed_lease(&self) -> Option<(Key, Token)> {
        self.lease.as_ref().and_then(|lease| lease.for_writes())
    }

    fn answer(&self) -> Option<Asked> {
        self.world.backend.answer(self.truth.fill.get()?)
    }

    fn decided(&self, verdict: Verdict) {
        self.truth.verdict.set(Some(verdict));
    }

    fn fails(&self, what: &str) {
        let (key, request) = (self.key, self.request);
        let judge = self.world.judge();
        judge.fails(&format!("fill of key {key} for request {request}: {what}"));
    }

    fn check_outcome(&self) {
        let says = self.outcome.get();
        let right = match (self.truth.fill.get(), self.truth.verdict.get()) {
            (None, _) => says.is_none(),
            (_, None) => false,
            (_, Some(Verdict::Stored)) => {
                matches!(says, Some(Reason::Stored | Reason::Revalidated))
            }
            (_, Some(Verdict::Unavailable)) => {
                let reasons = [
                    Reason::StoreFailed,
                    Reason::RecordChanged,
                    Reason::Invalidated,
                    Reason::ClaimLost,
                ];
                says.is_some_and(|reason| reasons.contains(&reason))
            }
            (_, Some(_)) => {
                says.is_some_and(|reason| !matches!(reason, Reason::Stored | Reason::StoreFailed))
            }
        };
        if !right {
            self.fails(&format!("its outcome is {says:?}"));
        }
    }
}

impl Drop for SimFill {
    fn drop(&mut self) {
        if let (Some(answer), false) = (self.truth.fill.get(), std::thread::panicking()) {
            self.world.judge().fleet.ends(answer);
        }
        self.stream.release();
    }
}

impl Filling for SimFill {
    async fn is_fresh(&self) -> bool {
        let first = self.world.judge().first_valid(self.key);
        let found = store::lookup(&self.world, &self.worker, self.key, self.fields).await;
        if let Ok(found) = &found {
            let judge = self.world.judge();
            judge.finds_valid(self.key, first, found.record.as_ref());
            self.truth
                .trouble
                .set(self.truth.trouble.get() || found.is_unjudged);
        }
        let result = found.map(|found| {
            *self.variants.borrow_mut() = found.variants;
            found.record
        });
        let rules = &self.world.config.rules;
        self.seen.replace(seen(&result, &self.variants.borrow()));
        let fresh = matches!(&result,
            Ok(Some(record)) if usable::judge(record, rules) == Use::Fresh);
        self.truth.fresh.set(fresh);
        if result.is_err() {
            self.truth.trouble.set(true);
        }
        fresh
    }

    async fn claim(&self) -> Claim {
        let Some(lease) = self.lease.as_ref().filter(|_| !self.alone) else {
            return Claim::Granted { changed: false };
        };
        let seen = self.seen.borrow().clone();
        claimed(&self.world, lease, &self.truth, seen, self.fields).await
    }

    async fn read_fence(&self) {
        let zone = &self.world.machines[self.worker.machine].zone;
        let (heard, purged) = (zone.heard(self.key), self.worker.purges.last());
        let lease = self.lease.as_ref().filter(|lease| lease.is_ours());
        let fence = match lease {
            _ if !self.world.config.fences || self.known.is_some() => Bytes::new(),
            // The claim has read it.
            Some(lease) => lease.fence.borrow().clone(),
            None => {
                let read = store::read_fence(&self.world, &self.worker, self.key).await;
                read.unwrap_or_default()
            }
        };
        self.fence.replace(fence);
        let number = self.fence_number();
        self.times.fence.set(Some((heard, number)));
        self.times.purged.set(purged);
        for permit in self.locks.borrow().iter() {
            zone.note_fence(permit.key, permit.instance, number);
        }
    }

    fn start(&self) {
        let zone = &self.world.machines[self.worker.machine].zone;
        let count = zone.invalidations(self.key);
        self.times.invalidations.set(Some(count));
        if let Some((lock, instance)) = self.lock {
            let domain_key = (self.worker.machine, lock);
            let world = &self.world;
            let trouble = self.truth.trouble.get();
            let mut judge = world.judge();
            judge.fill_starts(world, domain_key, instance, self.request, trouble);
        }
        let asked = self.world.backend.fill(
            &self.world,
            &self.worker,
            self.key,
            (self.request, self.lock.map(|(lock, _)| lock)),
            self.held.clone(),
            &self.stream,
        );
        self.truth.fill.set(Some(asked));
        self.times.answer.set(Some(asked));
        // What is known not to be stored claims nothing, nor does a bypass; and a claim may have failed.
        let excused = self.bypass || self.known.is_some() || self.truth.without_claim.get();
        if let Some(lease) = self.lease.as_ref().filter(|_| !excused) {
            let (machine, mut judge) = (self.worker.machine, self.world.judge());
            judge.fleet_fill_starts(&self.world, machine, lease, asked);
        }
    }

    fn abandon(&self) {
        self.stream.end(Ending::Cut);
    }

    async fn head(&self) -> Option<Finding> {
        let head = self.stream.wait_head().await;
        let finding = head.map(|head| head.finding.clone());
        let answer = self.answer().unwrap();
        let told = self.stream.head().and_then(|head| head.content_length);
        let known_too_large = told.is_some() && answer.is_too_large();
        let shared = finding.as_ref().is_some_and(Finding::is_shared);
        let otherwise = matches!(&finding,
            Some(Finding::Confirmed(renewed)) if renewed.plan == Err(Reason::VariesOtherwise));
        if shared != (answer.shareable() && !known_too_large && !otherwise) {
            self.fails(&format!("{:?} became {finding:?}", answer.kind));
        }
        match &finding {
            None => self.decided(Verdict::Failed),
            Some(Finding::Storable(_)) => {}
            Some(Finding::Confirmed(_)) if self.held.is_some() => {}
            Some(Finding::Confirmed(_)) => self.fails("a 304 confirms what nobody holds"),
            Some(Finding::Failed(failure)) => {
                let held = self.held.as_ref();
                if !held.is_some_and(|held| held.on_failure.allows(*failure)) {
                    self.fails("a failure leaves no record in use");
                }
                self.decided(Verdict::Failing(*failure));
            }
            Some(Finding::NotStorable(reason)) if reason.is_of_response() => {
                self.decided(Verdict::Uncacheable);
            }
            Some(Finding::NotStorable(_)) => self.decided(Verdict::NotStorable),
        }
        let variant = self.stream.head().and_then(|head| head.variant.clone());
        if let (true, Some(own)) = (shared, variant) {
            self.hold_variant(own.id);
        }
        finding
    }

    async fn ending(&self) -> Ending {
        let (begun, timeout) = (self.world.now(), self.world.config.capture_timeout);
        let late = sleep(&self.world, timeout);
        let ending = match first(self.stream.wait_ending(), late).await {
            Some(ending) => ending,
            None => {
                self.stream.cease_capture(Ending::TooLong);
                self.stream.wait_ending().await
            }
        };
        let answer = self.answer().unwrap();
        let right = match ending {
            Ending::Whole => answer.kind.stores() && !answer.is_too_large(),
            Ending::Cut => answer.kind == Kind::Cut,
            Ending::TooLarge => answer.is_too_large(),
            Ending::TooLong => self.world.now() >= begun + timeout,
            Ending::NoRoom => false,
        };
        if !right {
            self.fails(&format!("{:?} ended {ending:?}", answer.kind));
        }
        match ending {
            Ending::Whole => {}
            Ending::Cut => self.decided(Verdict::Failed),
            Ending::TooLarge | Ending::TooLong => self.decided(Verdict::Uncacheable),
            Ending::NoRoom => self.decided(Verdict::NotStorable),
        }
        ending
    }

    async fn store(&self, plan: Plan) -> Result<(), Trouble> {
        let head = self.stream.head().unwrap();
        let number = self.truth.fill.get().unwrap();
        let answer = self.answer().unwrap();
        let body: Bytes = self.stream.body().concat().into();
        if !answer.kind.stores() || !answer.is_whole(number, &body) {
            self.fails("what it stores isn't storable or isn't whole");
        }
        let mut stored = Stored {
            status: head.status,
            headers: strip_for_storage(&head.headers, &head.connection),
            body,
            expires: 0,
            lasts: 0,
            kept: plan.kept,
            generation: 0,
            confirmed: false,
            fill: number,
            tie: None,
            log: self.log_number(Broken::LateNumber),
            labels: purging::labels(self.key, number),
        };
        if self.is_invalidated() {
            self.decided(Verdict::Unavailable);
            return Err(Trouble::Invalidated);
        }
        let result = loop {
            let variant = head
                .variant
                .as_ref()
                .map(|own| self.slot_for(own, &mut stored));
            let (key, expiry) = (self.key, plan.expiry);
            let write = (stored.clone(), variant);
            let terms = (expiry, self.fence.borrow().clone(), self.needed_lease());
            match store::write(&self.world, &self.worker, key, write, terms).await {
                Ok(None) => break Ok(()),
                Ok(Some(changed)) => *self.variants.borrow_mut() = changed,
                Err(trouble) => break Err(trouble),
            }
        };
        let result = if self.is_invalidated() {
            let _ = store::delete(&self.world, &self.worker, self.key, None).await;
            Err(Trouble::Invalidated)
        } else {
            result
        };
        if result.is_ok() && self.lock.is_none() {
            let machine = self.worker.machine;
            self.world.machines[machine].zone.unmark(self.mark);
            self.world.judge().bounds.unmarked((machine, self.mark));
            if self.world.config.claims == Claims::Made {
                self.forget_verdict();
            }
        }
        self.decided(match result {
            Ok(()) => Verdict::Stored,
            Err(_) => Verdict::Unavailable,
        });
        result
    }

    async fn renew(&self, renewed: &Renewed) -> Result<bool, Trouble> {
        let record = &renewed.record;
        let generation = record.meta.as_ref().unwrap().generation.clone();
        let tie = record.meta.as_ref().and_then(|meta| meta.tie.as_ref());
        let slot = tie.map_or(0, |tie| tie.slot);
        let expiry = renewed.plan.map(|plan| plan.expiry).ok();
        let place = (self.key, slot);
        let result = store::refresh(
            &self.world,
            &self.worker,
            place,
            generation,
            (expiry, self.needed_lease()),
            (
                self.truth.fill.get().unwrap(),
                self.log_number(Broken::LateConfirmation),
            ),
        )
        .await;
        self.decided(match (renewed.plan, &result) {
            (Err(Reason::VariesOtherwise), _) => Verdict::NotStorable,
            (Err(_), _) => Verdict::Uncacheable,
            (Ok(_), Ok(true)) => Verdict::Stored,
            (Ok(_), Ok(false) | Err(_)) => Verdict::Unavailable,
        });
        if let (Ok(false), Ok(_)) = (&result, &renewed.plan) {
            let domain_key = (self.worker.machine, self.key);
            self.world.judge().superseded.insert(domain_key);
        }
        result
    }

    fn outcome(&self, reason: Reason) {
        let number = self.truth.fill.get();
        self.world
            .note(|| format!("backend {number:?} ends: {reason}"));
        self.outcome.set(Some(reason));
    }
}
