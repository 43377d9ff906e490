//! Leases in the store: how a worker claims a fill among all machines, keeps the claim, and gives it back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::attempts::Access;
use cache_core::claim::{self, Claimed};
use cache_core::flow::{Claim, Trouble, Verdict};
use cache_core::resp::Reply;
use cache_core::token::Token;

use super::config::{Claims, Key};
use super::data::Data;
use super::fleet::Outcome;
use super::outcomes;
use super::store::{command, trouble, wrong_type};
use super::topology::Broken;
use super::variants::{FieldValues, key_of};
use super::worker::Worker;
use super::world::World;

/// What the store keeps in the place of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The token of the machine that has it.
    Held(Token),
    /// What is remembered of the last fill.
    Known(Verdict),
}

/// A lease as the store has it.
#[derive(Clone, Debug)]
pub struct StoredLease {
    pub kept: Kept,
    /// The fence of the key as it was then.
    pub fence: Bytes,
    pub until: u64,
}

/// What a claimer has seen of a record: its generation, and what its key says of variants.
pub type Seen = (Option<u64>, Bytes);

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Unclaimed,
    /// The store hasn't replied, or in a way that leaves it open.
    Open,
    /// Another machine has it.
    Elsewhere,
    Ours,
}

/// The lease of a permit.
pub struct Lease {
    world: Rc<World>,
    worker: Rc<Worker>,
    pub lock: Key,
    pub token: Token,
    pub stage: Cell<Stage>,
    pub fence: RefCell<Bytes>,
    /// Its permit is gone.
    pub ended: Cell<bool>,
    /// An extension was refused.
    lost: Cell<bool>,
    /// For how long the store still remembers that the answers aren't storable, if it does.
    pub known: Cell<Option<u64>>,
    /// What the claimer had seen.
    seen: RefCell<Option<(Seen, FieldValues)>>,
}

impl Lease {
    pub fn new(world: &Rc<World>, worker: &Rc<Worker>, lock: Key) -> Rc<Lease> {
        Rc::new(Lease {
            world: Rc::clone(world),
            worker: Rc::clone(worker),
            lock,
            token: Token::new(world.token()),
            stage: Cell::new(Stage::Unclaimed),
            fence: RefCell::default(),
            ended: Cell::new(false),
            lost: Cell::new(false),
            known: Cell::new(None),
            seen: RefCell::default(),
        })
    }

    /// The process that has claimed it.
    pub fn pid(&self) -> i32 {
        self.worker.pid
    }

    pub fn is_ours(&self) -> bool {
        self.stage.get() == Stage::Ours
    }

    /// Whether it is kept by a process that lives.
    pub fn is_kept(&self) -> bool {
        self.is_ours() && !self.ended.get() && !self.lost.get() && self.worker.is_alive()
    }

    /// What a write has to compare.
    pub fn for_writes(&self) -> Option<(Key, Token)> {
        self.is_ours().then_some((self.lock, self.token))
    }

    /// The permit is gone: the lease is given back, if it may be ours, and the others are told.
    pub fn end(&self, verdict: Verdict, fill: Option<usize>) {
        self.ended.set(true);
        if matches!(self.stage.get(), Stage::Ours | Stage::Open) {
            give_back(
                &self.world,
                &self.worker,
                (self.lock, self.token),
                verdict,
                fill,
            );
        }
    }
}

fn bulk(text: impl Into<Vec<u8>>) -> Reply {
    Reply::Bulk(Some(Bytes::from(text.into())))
}

fn length(world: &World) -> u64 {
    claim::lease(world.config.lock_age)
}

/// Has the store lose its leases as planned.
pub fn plan(world: &Rc<World>) {
    for when in world.config.failovers.clone() {
        world.at(when, |world| {
            world.note(|| "the store loses its leases".to_owned());
            world.store.fail_over(world.now());
        });
    }
}

/// Claims the fill of a key.
pub async fn claim_fill(
    lease: &Rc<Lease>,
    seen: Seen,
    fields: FieldValues,
) -> Result<Claim, Trouble> {
    let (world, worker) = (&lease.world, &lease.worker);
    if world.config.claims != Claims::Made || lease.is_ours() {
        return Ok(Claim::Granted { changed: false });
    }
    lease.stage.set(Stage::Open);
    lease.seen.replace(Some((seen.clone(), fields)));
    let reply = send(lease, seen, fields, None).await?;
    world.note(|| format!("worker {} claims {}: {reply:?}", worker.pid, lease.lock));
    let Some(claimed) = claim::parse(&reply) else {
        world.judge().fails(&format!("{reply:?} to a claim"));
        return Err(Trouble::Unavailable);
    };
    Ok(match claimed {
        Claimed::Mine { fence, changed } => {
            lease.stage.set(Stage::Ours);
            lease.fence.replace(fence);
            if lease.ended.get() {
                lease.end(Verdict::Failed, None);
            } else {
                world.judge().fleet.keeps(lease);
                keep(lease, claim::extension(length(world)));
            }
            Claim::Granted { changed }
        }
        Claimed::Held { by, left, changed } => {
            lease.stage.set(Stage::Elsewhere);
            if world.breaks(Broken::FillsHeld) {
                return Ok(Claim::Granted { changed });
            }
            Claim::Held { by, left, changed }
        }
        Claimed::Unneeded { left } => {
            lease.stage.set(Stage::Elsewhere);
            lease.known.set(Some(left));
            Claim::Unneeded
        }
    })
}

/// Claims. `again`: the fence of a lease that was granted before.
async fn send(
    lease: &Rc<Lease>,
    seen: Seen,
    fields: FieldValues,
    again: Option<Bytes>,
) -> Result<Reply, Trouble> {
    let world = &lease.world;
    let (lock, token) = (lease.lock, lease.token);
    let key = key_of(lock);
    let fault = trouble(world).await?;
    let fails = world.fault(world.config.faults.lookup_fails);
    let unsure = world.fault(world.config.faults.write_unsure);
    let act = move |world: &Rc<World>, data: &mut Data| {
        wrong_type(world, key)?;
        if fails {
            return Err(Trouble::Unavailable);
        }
        let now = world.now();
        let found = data.peek_for(key, fields, now);
        let is = (found.map(|f| f.generation), data.variants(key, now).text);
        let changed = Reply::Integer(i64::from(is != seen));
        let reply = match data.lease(lock, now).map(|lease| (lease.kept, lease.until)) {
            Some((Kept::Held(by), until)) if by != token && !world.breaks(Broken::GrantsHeld) => {
                vec![
                    bulk("held"),
                    bulk(by.to_string()),
                    Reply::Integer(i64::try_from(until - now).unwrap()),
                    changed,
                ]
            }
            Some((Kept::Known(verdict), until)) => {
                let left = until - now;
                let judge = world.judge();
                judge.is_remembered(world, lock, &data.fence(key), left);
                drop(judge);
                vec![
                    bulk("known"),
                    bulk(claim::verdict_text(verdict)),
                    Reply::Integer(i64::try_from(left).unwrap()),
                ]
            }
            _ => {
                let fence = data.fence(key);
                if again
                    .as_ref()
                    .is_some_and(|was| *was != fence || is != seen)
                {
                    return Ok(Reply::Integer(0));
                }
                data.put_lease(
                    lock,
                    Some(StoredLease {
                        kept: Kept::Held(token),
                        fence: fence.clone(),
                        until: now + length(world),
                    }),
                );
                world.judge().lease_is_granted(world, lock, token, &fence);
                let fence = Some(fence).filter(|fence| !fence.is_empty());
                vec![bulk("mine"), Reply::Bulk(fence), changed]
            }
        };
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(Reply::Array(Some(reply)))
    };
    let access = (&[(key, 0)][..], Access::Write);
    command(world, &lease.worker, fault, access, Rc::new(act)).await
}

/// Extends a lease as long as its permit lives.
fn keep(lease: &Rc<Lease>, delay: u64) {
    let lease = Rc::clone(lease);
    let world = Rc::clone(&lease.world);
    let late = world.breaks(Broken::ExtendsLate);
    let delay = if late { delay * 6 } else { delay };
    world.after(delay, move |world| {
        if !lease.is_kept() {
            return;
        }
        if let Some(until) = lease.worker.frozen_until(world.now()) {
            keep(&lease, until - world.now());
            return;
        }
        let worker = Rc::clone(&lease.worker);
        worker.spawn(async move {
            match extend(&lease).await {
                Ok(false) if !take_again(&lease).await => {
                    let (world, lock) = (&lease.world, lease.lock);
                    world.note(|| format!("lease {lock} of {} is lost", lease.token));
                    lease.lost.set(true);
                }
                // What can't be said now may be said the next time.
                _ if lease.is_kept() => {
                    keep(&lease, claim::extension(length(&lease.world)));
                }
                _ => {}
            }
            None
        });
    });
}

/// Takes a lease again that the store has lost, unless another machine has it or has stored something meanwhile. Whether it may be
/// ours still.
async fn take_again(lease: &Rc<Lease>) -> bool {
    let Some((seen, fields)) = lease.seen.borrow().clone() else {
        return false;
    };
    let fence = lease.fence.borrow().clone();
    let Ok(reply) = send(lease, seen, fields, Some(fence)).await else {
        return true;
    };
    let is_ours = matches!(claim::parse(&reply), Some(Claimed::Mine { .. }));
    if is_ours && lease.ended.get() {
        // It may have been given back before it was taken.
        let own = (lease.lock, lease.token);
        give_back(&lease.world, &lease.worker, own, Verdict::Failed, None);
    }
    is_ours
}

async fn extend(lease: &Rc<Lease>) -> Result<bool, Trouble> {
    let world = &lease.world;
    let (lock, token) = (lease.lock, lease.token);
    let fault = trouble(world).await?;
    let act = move |world: &Rc<World>, data: &mut Data| {
        let now = world.now();
        let Some(mut lease) = data.holds(lock, token, now) else {
            return Ok(false);
        };
        lease.until = now + length(world);
        data.put_lease(lock, Some(lease));
        world.judge().fleet.lasts(token, now);
        Ok(true)
    };
    let access = (&[(key_of(lock), 0)][..], Access::Write);
    command(world, &lease.worker, fault, access, Rc::new(act)).await
}

/// Has the store forget that the answers of a lock aren't storable: one was.
pub async fn forget(world: &Rc<World>, worker: &Rc<Worker>, lock: Key) -> Result<(), Trouble> {
    let fault = trouble(world).await?;
    let act = move |world: &Rc<World>, data: &mut Data| {
        let lease = data.lease(lock, world.now());
        if lease.is_some_and(|lease| matches!(lease.kept, Kept::Known(_))) {
            data.put_lease(lock, None);
            world.judge().fleet.is_forgotten(lock);
        }
        Ok(())
    };
    let access = (&[(key_of(lock), 0)][..], Access::Write);
    command(world, worker, fault, access, Rc::new(act)).await
}

/// Gives a lease back if it still has the token, and tells what came of the fill.
fn give_back(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    (lock, token): (Key, Token),
    verdict: Verdict,
    fill: Option<usize>,
) {
    let own = Rc::clone(worker);
    let release = async move |world: Rc<World>| {
        let fault = trouble(&world).await?;
        let unsure = world.fault(world.config.faults.write_unsure);
        let act = move |world: &Rc<World>, data: &mut Data| {
            let now = world.now();
            let Some(lease) = data.holds(lock, token, now) else {
                return Ok(());
            };
            let fence = lease.fence.clone();
            let long = world.breaks(Broken::RemembersLong);
            let time = world.config.uncacheable_ttl * if long { 3 } else { 1 };
            let known = claim::remembered(verdict, time);
            data.put_lease(
                lock,
                known.map(|time| StoredLease {
                    kept: Kept::Known(verdict),
                    until: now + time,
                    ..lease
                }),
            );
            let outcome = Outcome {
                lock,
                verdict,
                answer: fill,
            };
            let mut judge = world.judge();
            judge.lease_is_released(world, token, outcome, fence);
            drop(judge);
            outcomes::tell(world, lock, token, verdict);
            if unsure {
                return Err(Trouble::Unavailable);
            }
            Ok(())
        };
        let access = (&[(key_of(lock), 0)][..], Access::Write);
        command(&world, &own, fault, access, Rc::new(act)).await
    };
    let (worker, all) = (Rc::clone(worker), Rc::clone(world));
    // Not in the midst of the task that gives it back.
    world.after(0, move |_| {
        worker.spawn(async move {
            let _ = release(all).await;
            None
        });
    });
}
