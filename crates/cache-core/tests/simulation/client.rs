//! Clients: their requests, what they read, when they leave.

use std::rc::Rc;

use cache_core::flow::{self, Answer, Ending};
use cache_core::status::Reason;

use super::cache::SimCache;
use super::config::Key;
use super::filling;
use super::invariants::Decision;
use super::permits::Truth;
use super::store;
use super::wait::sleep;
use super::world::World;
use crate::stream::{Next, Subscription};

/// How a client behaves.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// The request bypasses the lookup.
    pub bypass: bool,
    /// It leaves so many milliseconds after it came.
    pub leaves: Option<u64>,
    /// Milliseconds that it takes for each piece.
    pub slowness: u64,
}

/// A request comes to a worker; returns its number.
pub fn arrive(world: &Rc<World>, machine: usize, index: usize, key: Key, manner: Manner) -> usize {
    let worker = world.worker(machine, index);
    let request = world
        .judge()
        .arrived(machine, worker.pid, key, manner.bypass);
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
    if let Answer::Hit(record) | Answer::Stale(record, _) = &answer {
        let fresh = record.ttl_ms > i64::from(world.config.limits.stale) * 1000;
        world.judge().is_served(request, decision, fresh);
    }
    match answer {
        Answer::Hit(record) => world.judge().gets_record(&world, request, &record.body),
        Answer::Stale(record, refill) => {
            world.judge().gets_record(&world, request, &record.body);
            if let Some(refill) = refill {
                filling::start(&cache, Some(refill.permit), refill.look_again, false);
            }
        }
        Answer::Fill(permit, _) => {
            let subscription = filling::start(&cache, permit, false, true);
            read(&cache, subscription.unwrap(), manner.slowness, true).await;
        }
        Answer::Join(subscription) => read(&cache, subscription, manner.slowness, false).await,
        Answer::Pass(_) => {
            let (worker, key) = (&cache.worker, cache.key);
            let answer = world.backend.pass(&world, worker, key, request).await;
            world.judge().gets_own(&world, request, answer);
        }
    }
}

/// What was decided, without what it holds.
fn decision<P, F, S>(answer: &Answer<P, F, S>) -> Decision {
    match answer {
        Answer::Hit(_) => Decision::Hit,
        Answer::Stale(_, refill) => Decision::Stale {
            refill: refill.is_some(),
        },
        Answer::Fill(permit, reason) => Decision::Fill {
            locked: permit.is_some(),
            reason: *reason,
        },
        Answer::Join(_) => Decision::Join,
        Answer::Pass(reason) => Decision::Pass(*reason),
    }
}

/// Reads the answer of a fill, to its end.
async fn read(cache: &SimCache, subscription: Subscription, slowness: u64, own: bool) {
    let (world, request) = (&cache.world, cache.request);
    let Some(head) = subscription.wait_head().await else {
        world.judge().gets_nothing(request, own);
        return;
    };
    if !own && head.plan.is_err() {
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
