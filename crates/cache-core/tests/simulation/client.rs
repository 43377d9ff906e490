//! Clients: their requests, what they read, when they leave.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::flow::{self, Answer, Behind, Ending, Finding, Held, Occasion, Refill};
use cache_core::outcome::Reason;
use cache_core::record::Record;
use cache_core::use_stale::Failure;

use super::cache::SimCache;
use super::config::Key;
use super::filling;
use super::invariants::Decision;
use super::permits::{SimPermit, Truth};
use super::store;
use super::variants::FieldValues;
use super::wait::sleep;
use super::world::World;
use crate::stream::{Next, Subscription};

/// How a client behaves.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// The request bypasses the lookup.
    pub bypass: bool,
    /// The request is for a part of the answer.
    pub part: bool,
    /// It leaves so many milliseconds after it came.
    pub leaves: Option<u64>,
    /// Milliseconds that it takes for each piece.
    pub slowness: u64,
    /// What it says in the fields that answers may vary on.
    pub fields: FieldValues,
}

/// A request comes to a worker; returns its number.
pub fn arrive(world: &Rc<World>, machine: usize, index: usize, key: Key, manner: Manner) -> usize {
    let worker = world.worker(machine, index);
    let request = world
        .judge()
        .arrived(world, (machine, key), worker.pid, manner);
    world.note(|| {
        let pid = worker.pid;
        format!("request {request} for key {key} comes to worker {pid} of machine {machine}")
    });
    let cache = SimCache {
        world: Rc::clone(world),
        worker: Rc::clone(&worker),
        key,
        request,
        truth: Rc::new(Truth::default()),
        fields: manner.fields,
        part: manner.part,
        variants: RefCell::default(),
        own_lock: Cell::new(None),
        domain: Cell::new(flow::Domain::Zone),
        seen: RefCell::default(),
    };
    let task = worker.spawn(async move {
        serve(cache, manner).await;
        None
    });
    if let (Some(after), Some(task)) = (manner.leaves, task) {
        world.after(after, move |world| {
            if world.judge().leaves(request) {
                world.note(|| format!("request {request} leaves"));
                worker.cancel(task);
            }
        });
    }
    request
}

async fn serve(cache: SimCache, manner: Manner) {
    let (world, request) = (Rc::clone(&cache.world), cache.request);
    let answer = if manner.bypass {
        flow::bypass(&cache, store::is_available(&world))
    } else {
        flow::serve(&cache, world.config.limits).await
    };
    let decision = decision(&answer);
    world.note(|| format!("request {request}: {decision:?}"));
    world.judge().decided(&world, request, decision);
    if let Answer::Hit(record) | Answer::Ahead(record, _) | Answer::Stale(record, _) = &answer {
        let fresh = record.is_fresh(world.config.rules.stale);
        world.judge().is_served(request, decision, fresh);
        world
            .judge()
            .is_stale_for(&world, request, decision, record);
        if decision == Decision::Ahead {
            world.judge().is_due(&world, request, record);
        }
    }
    match answer {
        Answer::Hit(record) => world.judge().gets_record(&world, request, &record.body),
        Answer::Ahead(record, refill) => {
            world.judge().gets_record(&world, request, &record.body);
            start_refill(&cache, record, refill);
        }
        Answer::Stale(record, behind) => {
            world.judge().gets_record(&world, request, &record.body);
            if let Behind::Refill(refill) = behind {
                start_refill(&cache, record, refill);
            }
        }
        Answer::Fill(permit, known, held) => {
            let held = held.map(Rc::new);
            let subscription =
                filling::start(&cache, (permit, known), Occasion::Request, held.clone()).unwrap();
            read(&cache, subscription, manner.slowness, true, held).await;
        }
        Answer::Join(joined) => {
            if let Some(answer) = joined.times.answer.get() {
                world.judge().joins(request, answer);
            }
            drop(joined.queued);
            read(&cache, joined.subscription, manner.slowness, false, None).await;
        }
        Answer::Pass(_) => {
            let (worker, key) = (&cache.worker, cache.key);
            let answer = world.backend.pass(&world, worker, key, request).await;
            world.judge().gets_own(&world, request, answer);
        }
    }
}

/// Starts the refill of a record behind the client's back.
fn start_refill(cache: &SimCache, record: Rc<Record>, refill: Refill<SimPermit, ()>) {
    let held = Rc::new(Held {
        record,
        on_failure: refill.on_failure,
    });
    let occasion = Occasion::Refill {
        look_again: refill.look_again,
    };
    filling::start(cache, (Some(refill.permit), None), occasion, Some(held));
}

/// What was decided, without what it holds.
fn decision<P, F, S>(answer: &Answer<P, F, S>) -> Decision {
    match answer {
        Answer::Hit(_) => Decision::Hit,
        Answer::Ahead(..) => Decision::Ahead,
        Answer::Stale(_, Behind::Failing) => Decision::Failing,
        Answer::Stale(_, behind) => Decision::Stale {
            refill: matches!(behind, Behind::Refill(_)),
        },
        Answer::Fill(permit, reason, _) => Decision::Fill {
            locked: permit.is_some(),
            reason: *reason,
        },
        Answer::Join(_) => Decision::Join,
        Answer::Pass(reason) => Decision::Pass(*reason),
    }
}

/// Reads the answer of a fill, to its end.
async fn read(
    cache: &SimCache,
    subscription: Subscription,
    slowness: u64,
    own: bool,
    held: Option<Rc<Held>>,
) {
    let (world, request) = (&cache.world, cache.request);
    let Some(head) = subscription.wait_head(|_| {}).await else {
        match held.filter(|held| held.on_failure.allows(Failure::Error)) {
            Some(held) => world.judge().gets_record(world, request, &held.record.body),
            None => world.judge().gets_nothing(request, own),
        }
        return;
    };
    match (&head.finding, held) {
        (Finding::Confirmed(renewed), _) => {
            let body = &renewed.record.body;
            world.judge().gets_record(world, request, body);
            return;
        }
        (Finding::Failed(failure), Some(held)) if held.on_failure.allows(*failure) => {
            let body = &held.record.body;
            world.judge().gets_record(world, request, body);
            return;
        }
        (Finding::Failed(_), _) => world
            .judge()
            .fails(&format!("request {request} reads a failure as an answer")),
        _ => {}
    }
    if !own && !head.finding.is_shared() {
        world
            .judge()
            .fails(&format!("request {request} joined what isn't for others"));
    }
    let (mut answer, mut pieces) = (None, 0);
    loop {
        match subscription.next() {
            Next::Piece(piece) => {
                answer = take(world, request, answer, pieces, &piece);
                pieces += 1;
                if slowness > 0 {
                    sleep(world, slowness).await;
                }
            }
            Next::Wait => subscription.changed().await,
            Next::End(ending) => {
                let whole = ending == Ending::Whole;
                let mut judge = world.judge();
                judge.gets_end(world, request, (answer, pieces), whole, own);
                return;
            }
        }
    }
}

/// Reads one piece; it is in the order of things.
fn take(
    world: &World,
    request: usize,
    answer: Option<usize>,
    index: usize,
    piece: &[u8],
) -> Option<usize> {
    let judge = world.judge();
    judge.gets_piece(world, request, answer, index, piece)
}

impl Decision {
    /// Whether the backend is asked beside a lock because of this reason.
    pub fn is_pass(self, reason: Reason) -> bool {
        self == Decision::Pass(reason)
    }
}
