//! A fill of a simulated worker.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::{self, Ending, Filling, Finding, Held, Trouble, Verdict};
use cache_core::policy::Plan;
use cache_core::record::strip_for_storage;
use cache_core::renewal::Renewed;
use cache_core::status::Reason;
use cache_core::usable::{self, Use};

use super::backend::{Asked, Purpose};
use super::cache::SimCache;
use super::config::{Key, Kind, MAX_SIZE};
use super::permits::{SimPermit, Truth};
use super::store::{self, Stored};
use super::worker::Worker;
use super::world::World;
use crate::stream::{Stream, Subscription};

/// One fill.
struct SimFill {
    world: Rc<World>,
    worker: Rc<Worker>,
    key: Key,
    request: usize,
    instance: Option<u64>,
    stream: Rc<Stream>,
    held: Option<Rc<Held>>,
    truth: Rc<Truth>,
    outcome: Cell<Option<Reason>>,
}

/// Starts a fill for a request, which may subscribe to it.
pub fn start(
    cache: &SimCache,
    permit: Option<SimPermit>,
    look_again: bool,
    held: Option<Rc<Held>>,
    subscribe: bool,
) -> Option<Subscription> {
    let stream = Stream::new(MAX_SIZE, u64::MAX);
    if let Some(permit) = &permit {
        cache.worker.publish(cache.key, permit.instance, &stream);
        permit.keep();
    }
    let subscription = subscribe.then(|| stream.subscribe());
    let fill = SimFill {
        world: Rc::clone(&cache.world),
        worker: Rc::clone(&cache.worker),
        key: cache.key,
        request: cache.request,
        instance: permit.as_ref().map(|permit| permit.instance),
        stream,
        held,
        truth: Rc::clone(&cache.truth),
        outcome: Cell::new(None),
    };
    cache.worker.spawn(async move {
        flow::fill(&fill, permit, look_again).await;
        fill.check_outcome();
        None
    });
    subscription
}

impl SimFill {
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
                matches!(says, Some(Reason::StoreFailed | Reason::RecordChanged))
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

impl Filling for SimFill {
    async fn is_fresh(&self) -> bool {
        let result = store::lookup(&self.world, self.key).await;
        let rules = &self.world.config.rules;
        let fresh = matches!(&result,
            Ok(Some(record)) if usable::judge(record, rules) == Use::Fresh);
        self.truth.fresh.set(fresh);
        if result.is_err() {
            self.truth.trouble.set(true);
        }
        fresh
    }

    fn start(&self) {
        let place = (self.worker.machine, self.key);
        let purpose = match self.instance {
            Some(_) => Purpose::Fill,
            None => Purpose::Beside,
        };
        if let Some(instance) = self.instance {
            let world = &self.world;
            let trouble = self.truth.trouble.get();
            let mut judge = world.judge();
            judge.fill_starts(world, place, instance, self.request, trouble);
        }
        let asked = self.world.backend.fill(
            &self.world,
            &self.worker,
            self.key,
            (self.request, purpose),
            self.held.clone(),
            &self.stream,
        );
        self.truth.fill.set(Some(asked));
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
        if shared != (answer.kind.shareable() && !known_too_large) {
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
        finding
    }

    async fn ending(&self) -> Ending {
        let ending = self.stream.wait_ending().await;
        let answer = self.answer().unwrap();
        let right = match ending {
            Ending::Whole => answer.kind.stores() && !answer.is_too_large(),
            Ending::Cut => answer.kind == Kind::Cut,
            Ending::TooLarge => answer.is_too_large(),
            Ending::NoRoom => false,
        };
        if !right {
            self.fails(&format!("{:?} ended {ending:?}", answer.kind));
        }
        match ending {
            Ending::Whole => {}
            Ending::Cut => self.decided(Verdict::Failed),
            Ending::TooLarge => self.decided(Verdict::Uncacheable),
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
        let stored = Stored {
            status: head.status,
            headers: strip_for_storage(&head.headers, &head.connection),
            body,
            expires: 0,
            generation: 0,
            confirmed: false,
            fill: number,
        };
        let result = store::write(&self.world, self.key, stored, plan.expiry).await;
        if result.is_ok() && self.instance.is_none() {
            let machine = self.worker.machine;
            self.world.machines[machine].zone.unmark(self.key);
            self.world.judge().bounds.unmarked((machine, self.key));
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
        let plan = renewed.plan.unwrap();
        let result = store::refresh(&self.world, self.key, generation, plan.expiry).await;
        self.decided(match result {
            Ok(true) => Verdict::Stored,
            Ok(false) | Err(_) => Verdict::Unavailable,
        });
        if let Ok(false) = result {
            let place = (self.worker.machine, self.key);
            self.world.judge().superseded.insert(place);
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
