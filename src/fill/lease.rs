//! The lease of one fill among all machines that share the store (see [`cache_core::claim`]): it is claimed before the backend
//! is asked, kept while the fill lives, and given back with the truth.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use cache_core::claim::{self, Claimed};
use cache_core::flow::{Claim, Verdict};
use cache_core::key::LockKey;
use cache_core::token::Token;
use cache_core::vary::VariantId;

use super::terms::Terms;
use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::ngx::shutdown;
use crate::store::lookup::Lookup;
use crate::store::redis::{self, Change, ChangeReply, LastLook, Release, StoreError};
use crate::store::{Sent, Store};
use crate::worker;

/// For how long a worker doesn't claim the refill of a key again that another machine refills, in milliseconds, at most.
const HELD: u64 = 250;

/// How many such keys a worker remembers.
const MOST_HELD: usize = 4096;

thread_local! {
    /// Keys that other machines fill, and until when it isn't asked again.
    static HELD_ELSEWHERE: RefCell<HashMap<LockKey, u64>> = RefCell::default();
}

/// Whether another machine was found, a moment ago, to fill a key.
pub fn is_held_elsewhere(lock: &LockKey) -> bool {
    HELD_ELSEWHERE.with_borrow_mut(|held| {
        let is_held = held.get(lock).is_some_and(|until| now_msec() < *until);
        if !is_held {
            held.remove(lock);
        }
        is_held
    })
}

fn note_held_elsewhere(lock: LockKey, left: u64) {
    let now = now_msec();
    HELD_ELSEWHERE.with_borrow_mut(|held| {
        if held.len() >= MOST_HELD {
            held.retain(|_, until| now < *until);
        }
        if held.len() < MOST_HELD {
            held.insert(lock, now.saturating_add(left.min(HELD)));
        }
    });
}

/// How far a claim has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is to be given back.
    Unclaimed,
    /// The store hasn't replied, or in a way that leaves it open.
    Open,
    /// It is ours.
    Ours,
    /// It was ours, until the store lost it.
    Lost,
    /// It was given back.
    Over,
}

/// The lease that belongs to a lock of the zone.
pub struct Lease {
    lease: redis::Lease,
    lock: LockKey,
    /// For how long it is taken, in milliseconds.
    length: u64,
    stage: Cell<Stage>,
    /// The fence of the key, as the claim has found it.
    fence: RefCell<Bytes>,
    /// What the claimer had seen in the store.
    seen: RefCell<Option<LastLook>>,
    /// By what it is extended and given back. `None`: only a client's request leads to the store, which may end any time.
    store: RefCell<Option<Store>>,
    /// The claim that is on its way.
    claim: RefCell<Option<Sent<ChangeReply>>>,
    timer: OnceCell<Timer>,
    /// For how long the store still remembers that responses aren't storable, in milliseconds, if the claim has found that.
    known: Cell<Option<u64>>,
    /// The extension that is on its way.
    is_extending: Cell<bool>,
}

impl Lease {
    /// The lease of a key, or of a variant of it, that nobody has claimed yet. `lock`: the lock to which it belongs.
    pub fn new(
        lookup: &Lookup,
        variant: Option<VariantId>,
        lock: LockKey,
        terms: &Terms,
    ) -> Rc<Lease> {
        let token = Token::new(random::number());
        Rc::new(Lease {
            lease: redis::Lease::new(&lookup.key.redis, variant, token),
            lock,
            length: claim::lease(terms.lock_age),
            stage: Cell::new(Stage::Unclaimed),
            fence: RefCell::default(),
            seen: RefCell::default(),
            store: RefCell::new(match &lookup.store {
                Store::Redis(client) => Some(Store::Redis(client.clone())),
                Store::Location(_) | Store::Memory(_) => None,
            }),
            claim: RefCell::default(),
            timer: OnceCell::new(),
            known: Cell::new(None),
            is_extending: Cell::new(false),
        })
    }

    /// The fill has begun: from now on this is the way to the store.
    pub fn adopt(&self, store: &Store) {
        self.store.replace(Some(store.clone()));
    }

    /// Its name in the store.
    pub fn name(&self) -> &[u8] {
        &self.lease.name
    }

    /// For how long it is to be remembered that responses aren't storable, where this is how long such responses are remembered:
    /// for no longer than the store does. In milliseconds.
    pub fn uncacheable(&self, own: u64) -> u64 {
        self.known.get().map_or(own, |left| own.min(left))
    }

    /// What writes of the fill have to compare, if it has the lease.
    pub fn for_writes(&self) -> Option<redis::Lease> {
        matches!(self.stage.get(), Stage::Ours | Stage::Lost).then(|| self.lease.clone())
    }

    /// The fence of the key as the claim has found it, if it was granted.
    pub fn fence(&self) -> Option<Bytes> {
        let is_granted = matches!(self.stage.get(), Stage::Ours | Stage::Lost);
        is_granted.then(|| self.fence.borrow().clone())
    }

    /// Claims it. Where the store is in trouble the fill does without. `seen`: what the claimer has seen in the store.
    pub async fn claim(self: &Rc<Self>, store: &Store, seen: LastLook) -> Claim {
        const ALONE: Claim = Claim::Granted { changed: false };
        if self.stage.get() == Stage::Ours || !store.takes_claims(&self.lease.key) {
            return ALONE;
        }
        self.stage.set(Stage::Open);
        self.seen.replace(Some(seen.clone()));
        let sent = store.change(self.change(seen, None));
        self.claim.replace(Some(sent));
        let (stage, claim) = match self.reply().await {
            Ok(ChangeReply::Claimed(Claimed::Mine { fence, changed })) => {
                HELD_ELSEWHERE.with_borrow_mut(|held| held.remove(&self.lock));
                self.fence.replace(fence);
                (Stage::Ours, Claim::Granted { changed })
            }
            Ok(ChangeReply::Claimed(Claimed::Held { by, left, changed })) => {
                note_held_elsewhere(self.lock, left);
                (Stage::Unclaimed, Claim::Held { by, left, changed })
            }
            Ok(ChangeReply::Claimed(Claimed::Unneeded { left })) => {
                // A refill isn't claimed again with each hit.
                note_held_elsewhere(self.lock, left);
                self.known.set(Some(left));
                (Stage::Unclaimed, Claim::Unneeded)
            }
            Err(error) if is_unsure(&error) => (Stage::Open, ALONE),
            Ok(_) | Err(_) => (Stage::Unclaimed, ALONE),
        };
        self.stage.set(stage);
        if stage == Stage::Ours {
            self.keep();
        }
        claim
    }

    fn change(&self, seen: LastLook, again: Option<Bytes>) -> Change {
        Change::Claim(Box::new(redis::Claim {
            lease: self.lease.clone(),
            seen,
            length: self.length,
            again,
        }))
    }

    /// Waits for the reply to the claim. If the claimer is gone before it comes, [`Lease::end`] waits for it.
    async fn reply(&self) -> Result<ChangeReply, StoreError> {
        poll_fn(|cx| {
            let Some(mut claim) = self.claim.take() else {
                return Poll::Ready(Err(StoreError::Closed));
            };
            let reply = claim.as_mut().poll(cx);
            if reply.is_pending() {
                self.claim.replace(Some(claim));
            }
            reply
        })
        .await
    }

    /// Extends it again and again, until it ends.
    fn keep(self: &Rc<Self>) {
        let timer = self.timer.get_or_init(|| {
            let timer = Timer::of(Rc::downgrade(self), Lease::extend);
            timer.set_cancelable(true);
            timer
        });
        timer.arm(claim::extension(self.length));
    }

    fn extend(self: &Rc<Self>) {
        if self.stage.get() != Stage::Ours {
            return;
        }
        self.keep();
        let store = self.store.borrow().clone();
        let Some(store) = store.filter(|_| !self.is_extending.replace(true)) else {
            return;
        };
        let own = Rc::clone(self);
        worker::spawn(async move {
            let extend = Change::Extend(own.lease.clone(), own.length);
            let is_gone = matches!(store.change(extend).await, Ok(ChangeReply::Nothing))
                && own.stage.get() == Stage::Ours
                && !own.take_again(&store).await;
            own.is_extending.set(false);
            if is_gone && own.stage.get() == Stage::Ours {
                own.stage.set(Stage::Lost);
            }
            None
        });
    }

    /// The store has lost it: it has ended, because this machine was too slow to extend it, or the server has failed over. Takes it
    /// again, unless another machine has it or has stored something meanwhile. Whether it may be ours still.
    async fn take_again(&self, store: &Store) -> bool {
        let Some(seen) = self.seen.borrow().clone() else {
            return false;
        };
        let fence = self.fence.borrow().clone();
        let claimed = store.change(self.change(seen, Some(fence))).await;
        match claimed {
            Ok(ChangeReply::Claimed(Claimed::Mine { .. })) => {
                if self.stage.get() == Stage::Over {
                    // It may have been given back before it was taken.
                    let _ = store.change(self.release(Verdict::Failed, 0)).await;
                }
                true
            }
            Ok(_) => false,
            // What can't be said now may be said the next time.
            Err(_) => true,
        }
    }

    /// What gives it back. `remembered`: for how long the verdict is remembered, in milliseconds.
    fn release(&self, verdict: Verdict, remembered: u64) -> Change {
        Change::Release(Release {
            lease: self.lease.clone(),
            verdict,
            remembered,
        })
    }

    /// Its lock is released: it is given back, if it may be ours, and the machines that wait for it are told. `uncacheable`: for how
    /// long it is remembered that responses aren't storable, in milliseconds.
    pub fn end(&self, verdict: Verdict, uncacheable: u64) {
        let stage = self.stage.replace(Stage::Over);
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
        let (claim, store) = (self.claim.take(), self.store.take());
        let Some(store) = store.filter(|_| matches!(stage, Stage::Ours | Stage::Open)) else {
            return;
        };
        let remembered = claim::remembered(verdict, uncacheable).unwrap_or(0);
        let release = self.release(verdict, remembered);
        // Before whatever a later holder of the lock asks for. A location is asked in a request of its own, not inside of this one.
        let sent = match (&store, &claim) {
            (Store::Redis(_), None) => Some(store.change(release.clone())),
            _ => None,
        };
        let guard = shutdown::delay();
        worker::spawn(async move {
            let _guard = guard;
            if let Some(claim) = claim {
                // The release would be carried out before the claim.
                let _ = claim.await;
            }
            let sent = sent.unwrap_or_else(|| store.change(release));
            // One that fails leaves a lease that ends by itself.
            let _ = sent.await;
            None
        });
    }
}

/// Whether a claim that has failed so may have been carried out.
fn is_unsure(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Timeout | StoreError::Closed | StoreError::Protocol | StoreError::Leaving
    )
}
