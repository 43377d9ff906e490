//! A fill of a simulated worker.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::{self, Ending, Filling, Trouble, Verdict};
use cache_core::policy::Plan;
use cache_core::record::{Record, strip_for_storage};
use cache_core::status::Reason;

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
    truth: Rc<Truth>,
    outcome: Cell<Option<Reason>>,
}

/// Starts a fill for a request, which may subscribe to it.
pub fn start(
    cache: &SimCache,
    permit: Option<SimPermit>,
    look_again: bool,
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
        truth: Rc::clone(&cache.truth),
        outcome: Cell::new(None),
    };
    let stale = cache.world.config.limits.stale;
    cache.worker.spawn(async move {
        flow::fill(&fill, permit, look_again, stale).await;
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
            (_, Some(Verdict::Stored)) => says == Some(Reason::Stored),
            (_, Some(Verdict::Unavailable)) => says == Some(Reason::StoreFailed),
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
    async fn lookup(&self) -> Result<Option<Record>, Trouble> {
        let result = store::lookup(&self.world, self.key).await;
        match &result {
            Ok(Some(record)) => {
                let stale = self.world.config.limits.stale;
                self.truth.fresh.set(record.is_fresh(stale));
            }
            Ok(None) => self.truth.fresh.set(false),
            Err(_) => self.truth.trouble.set(true),
        }
        result
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
            &self.stream,
        );
        self.truth.fill.set(Some(asked));
    }

    fn abandon(&self) {
        self.stream.end(Ending::Cut);
    }

    async fn head(&self) -> Result<Plan, Reason> {
        let plan = match self.stream.wait_head().await {
            Some(head) => head.plan,
            None => Err(Reason::BackendFailed),
        };
        let answer = self.answer().unwrap();
        let told = self.stream.head().and_then(|head| head.content_length);
        let known_too_large = told.is_some() && answer.is_too_large();
        if plan.is_ok() != (answer.kind.shareable() && !known_too_large) {
            self.fails(&format!("{:?} became {plan:?}", answer.kind));
        }
        match plan {
            Ok(_) => {}
            Err(_) if answer.kind == Kind::Silent => self.decided(Verdict::Failed),
            Err(reason) if reason.is_of_response() => self.decided(Verdict::Uncacheable),
            Err(_) => self.decided(Verdict::NotStorable),
        }
        plan
    }

    async fn ending(&self) -> Ending {
        let ending = self.stream.wait_ending().await;
        let answer = self.answer().unwrap();
        let right = match ending {
            Ending::Whole => answer.kind == Kind::Storable && !answer.is_too_large(),
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
        if answer.kind != Kind::Storable || !answer.is_whole(number, &body) {
            self.fails("what it stores isn't storable or isn't whole");
        }
        let stored = Stored {
            status: head.status,
            headers: strip_for_storage(&head.headers, &head.connection),
            body,
            expires: 0,
            fill: number,
        };
        let result = store::write(&self.world, self.key, stored, plan.expiry).await;
        self.decided(match result {
            Ok(()) => Verdict::Stored,
            Err(_) => Verdict::Unavailable,
        });
        result
    }

    fn outcome(&self, reason: Reason) {
        let number = self.truth.fill.get();
        self.world
            .note(|| format!("backend {number:?} ends: {reason}"));
        self.outcome.set(Some(reason));
    }
}
