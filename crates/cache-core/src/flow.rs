//! How a request becomes HIT, STALE, STORE or SKIP.
//!
//! ```text
//! lookup ─┬─ fresh ──────────────────────────────► respond
//!         ├─ none, and rarely asked for ─► pass
//!         ├─ about to go stale ─► as stale, but a hit
//!         ├─ stale ─► respond ─► lock? ─► fill ─► store ─► unlock, wake
//!         └─ none ──► lock ─┬─ mine ──► claim ─┬─ ours ─► fill ─┬─► respond, streaming
//!            or to be       │                  │                └─► store ─► unlock, wake
//!            validated      │                  └─ another machine's ─► wait ─► lookup again
//!                           ├─ here ────► join the fill of this worker
//!                           └─ elsewhere ► wait (woken, with a deadline) ─► lookup again
//! ```
//!
//! The lock is one of the zone. Where all machines that share the store fill each key once, its holder alone claims the key
//! there (see [`crate::claim`]); where they don't, or the store is in trouble, the claim is granted at once.
//!
//! While the store is in trouble the lock is one of the worker: a response that another worker fetches can't come here.
//! Where the backend must be spared, the request fails instead ([`Cache::needs_store`]).
//!
//! A record that must be validated is held meanwhile: a 304 makes it the response, and so does a
//! failure of the backend for which it may be served stale.
//!
//! [`serve`] is that picture for a request, [`fill`] for the refill or the first fill. Both are
//! written against [`Cache`] and [`Filling`], so that the simulation runs the very code that
//! nginx runs.

mod cache;
mod claiming;
mod filling;
mod patience;
mod turn;

use std::rc::Rc;

use claiming::{Claimer, Claiming};
use patience::{Patience, Waited};

use crate::outcome::{CacheStatus, Outcome, Reason, Source};
use crate::record::Record;
use crate::usable::Use;
use crate::use_stale::UseStale;

pub use cache::{Cache, Claim, Domain, HeaderWait, Heard, Lock, Permit, Trouble, Woken};
pub use filling::{Ending, Filling, Finding, Occasion, fill};
pub use turn::{Head, Turn, turn};

pub use crate::verdict::Verdict;

/// What the operator allows a request to wait for others.
#[derive(Clone, Copy, Debug)]
pub struct WaitLimits {
    /// How long a request waits for somebody else's fill, in milliseconds.
    pub lock_timeout: u64,
}

/// The refill of a record that is stale, or about to be, to be started once the client has its response.
pub struct Refill<P, S> {
    /// The right to fill.
    pub permit: P,
    /// The right to do so behind the client's back, until it is dropped.
    pub slot: S,
    /// The store may hold a newer record already.
    pub look_again: bool,
    /// Failures of the backend that leave the record in use.
    pub on_failure: UseStale,
}

/// What happens behind a response from a stale record.
pub enum Behind<P, S> {
    /// Its refill, to be started.
    Refill(Refill<P, S>),
    /// A refill runs already, or none can.
    Updating,
    /// Nothing: the backend has failed a moment ago.
    Failing,
}

/// A record that is the response if the backend confirms it, or fails in one of these ways.
#[derive(Clone, Debug)]
pub struct Held {
    /// The record.
    pub record: Rc<Record>,
    /// Failures for which it may be served.
    pub on_failure: UseStale,
}

/// What a request gets.
pub enum Answer<P, F, S> {
    /// The record, fresh.
    Hit(Rc<Record>),
    /// The record, fresh, but not for long: its refill is to be started.
    Ahead(Rc<Record>, Refill<P, S>),
    /// The record, stale.
    Stale(Rc<Record>, Behind<P, S>),
    /// The backend's response through a fill that this request starts. The reason says why it is
    /// known already not to be stored.
    Fill(Option<P>, Option<Reason>, Option<Held>),
    /// The response of a fill that runs in this worker.
    Join(F),
    /// The backend's response in the client's own request.
    Pass(Reason),
}

impl<P, F, S> Answer<P, F, S> {
    /// What becomes of the request, as far as it is known before the backend has answered. `found`: where the record is from, if
    /// there is one. `bypass`: the request wasn't looked up. A fill that is joined counts as one that is stored.
    pub fn outcome(&self, found: Source, bypass: bool) -> Outcome {
        match self {
            Self::Hit(_) | Self::Ahead(..) => Outcome::fresh(found),
            Self::Stale(_, Behind::Refill(_)) => Outcome::stale(found),
            Self::Stale(_, Behind::Updating) => Outcome::updating(found),
            Self::Stale(_, Behind::Failing) => Outcome::in_place_of_failure(found),
            Self::Fill(_, known, held) => {
                let status = match held {
                    _ if bypass => CacheStatus::Bypass,
                    Some(_) => CacheStatus::Expired,
                    None => CacheStatus::Miss,
                };
                Outcome::filled(status, *known)
            }
            Self::Join(_) => Outcome::joined(true),
            Self::Pass(reason) => Outcome::passed(*reason),
        }
    }
}

/// So many fills of other variants a request looks at. A backend that changes what it varies on with
/// each response could send it from one to the next.
const OTHERS: usize = 4;

/// Serves one request that is looked up.
pub async fn serve<C: Cache>(
    cache: &C,
    limits: WaitLimits,
) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    let mut patience = Patience::new(cache, limits);
    let mut others = 0;
    let mut has_looked = false;
    'look: loop {
        let since = cache.sequence();
        let is_first = !std::mem::replace(&mut has_looked, true);
        let (mut held, trouble) = match cache.lookup().await {
            Ok(Some(record)) => match cache.judge(&record) {
                Use::Fresh => return Answer::Hit(record),
                Use::Ahead(on_failure) => return ahead(cache, record, on_failure, since),
                Use::Stale(on_failure) => return at_once(cache, record, on_failure, since),
                Use::Validate(on_failure) => (Some(Held { record, on_failure }), None),
            },
            // Nobody waits for what isn't stored: no lock is asked for.
            Ok(None) if is_first && !cache.is_used_enough() => {
                return Answer::Pass(Reason::FewUses);
            }
            Ok(None) => (None, None),
            Err(Trouble::Unavailable) if cache.needs_store() => {
                return Answer::Pass(Reason::StoreRequired);
            }
            Err(trouble) => (None, Some(trouble)),
        };
        let on_failure = held.as_ref().map_or(UseStale::NONE, |held| held.on_failure);
        loop {
            // Boxed to keep the future of a hit small: these are rarer than hits.
            let waited = if spares_backend(cache, on_failure) {
                Waited::Stale
            } else {
                match cache.lock(since, Domain::after(trouble)) {
                    Lock::Mine { permit, .. } if let Some(trouble) = trouble => {
                        return Answer::Fill(Some(permit), Some(trouble.reason()), held);
                    }
                    Lock::Mine { permit, changed } => {
                        let lead = first(cache, permit, changed, &mut held, &mut patience);
                        match Box::pin(lead).await {
                            Ok(answer) => return answer,
                            Err(waited) => waited,
                        }
                    }
                    Lock::Here(fill) => {
                        Box::pin(join(cache, fill, on_failure, &mut patience)).await
                    }
                    Lock::Elsewhere(ticket) => {
                        Box::pin(wait(cache, &ticket, on_failure, &mut patience)).await
                    }
                    Lock::Unneeded => {
                        return side_by_side(cache, trouble.map(Trouble::reason), held);
                    }
                    Lock::Crowded => Waited::Pass(Reason::TooManyWaiters),
                    Lock::Full => Waited::Pass(Reason::ZoneFull),
                }
            };
            match (waited, &held) {
                (Waited::Join(fill), _) => return Answer::Join(fill),
                // Side by side, too, but by the record that is held: a 304 is less than the whole response.
                (Waited::Pass(Reason::WaitersReleased), Some(held)) => {
                    return Answer::Fill(None, None, Some(held.clone()));
                }
                (Waited::Pass(reason), _) => return Answer::Pass(reason),
                (Waited::Stale, Some(held)) => {
                    return Answer::Stale(Rc::clone(&held.record), Behind::Failing);
                }
                (Waited::OtherLock, _) if others == OTHERS => {
                    return Answer::Pass(Reason::VariesOtherwise);
                }
                (Waited::OtherLock, _) => others += 1,
                (Waited::Joinable, _) => {}
                (Waited::Stale | Waited::Again, _) => continue 'look,
            }
        }
    }
}

/// Serves one request that wants a record or nothing (only-if-cached, RFC 9111 5.2.1.7): it neither waits nor
/// asks the backend. A stale record's refill is nobody's response.
pub async fn only_if_cached<C: Cache>(cache: &C) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    let since = cache.sequence();
    match cache.lookup().await {
        Ok(Some(record)) => match cache.judge(&record) {
            Use::Fresh => Answer::Hit(record),
            Use::Ahead(on_failure) => ahead(cache, record, on_failure, since),
            Use::Stale(on_failure) => at_once(cache, record, on_failure, since),
            Use::Validate(_) => Answer::Pass(Reason::OnlyIfCached),
        },
        Ok(None) | Err(_) => Answer::Pass(Reason::OnlyIfCached),
    }
}

/// Serves one request that is not looked up, but whose response is stored if the store is
/// `available`. It waits for nobody: what a fill that runs already brings may be older than what
/// the client asked for.
pub fn bypass<C: Cache>(cache: &C, available: bool) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    let trouble = (!available).then_some(Trouble::Unavailable);
    let reason = trouble.map(Trouble::reason);
    match cache.lock(cache.sequence(), Domain::after(trouble)) {
        Lock::Mine { permit, .. } => Answer::Fill(Some(permit), reason, None),
        _ => Answer::Fill(None, reason, None),
    }
}

/// Whether the backend has failed a moment ago in a way for which a record may be served.
fn spares_backend<C: Cache>(cache: &C, on_failure: UseStale) -> bool {
    on_failure != UseStale::NONE
        && cache
            .failing()
            .is_some_and(|failure| on_failure.allows(failure))
}

/// A fresh record that is about to go stale. It is refilled by the first request that sees it so, if nobody has found a
/// moment ago that it can't be.
fn ahead<C: Cache>(
    cache: &C,
    record: Rc<Record>,
    on_failure: UseStale,
    since: u64,
) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    if !cache.asks_ahead() || cache.failing().is_some() {
        return Answer::Hit(record);
    }
    let Lock::Mine { permit, changed } = cache.lock(since, Domain::Zone) else {
        return Answer::Hit(record);
    };
    match cache.refill_slot() {
        Some(slot) => {
            let refill = Refill {
                permit,
                slot,
                look_again: changed,
                on_failure,
            };
            Answer::Ahead(record, refill)
        }
        None => Answer::Hit(record),
    }
}

/// A stale record that may be served at once.
fn at_once<C: Cache>(
    cache: &C,
    record: Rc<Record>,
    on_failure: UseStale,
    since: u64,
) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    if cache.failing().is_some() {
        return Answer::Stale(record, Behind::Failing);
    }
    match cache.lock(since, Domain::Zone) {
        Lock::Mine { permit, changed } => stale(cache, record, permit, changed, on_failure),
        _ => Answer::Stale(record, Behind::Updating),
    }
}

/// A stale record and the lock for its refill. Where too many refills run it is left to a later
/// request.
fn stale<C: Cache>(
    cache: &C,
    record: Rc<Record>,
    permit: C::Permit,
    look_again: bool,
    on_failure: UseStale,
) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    let behind = match cache.refill_slot() {
        Some(slot) => Behind::Refill(Refill {
            permit,
            slot,
            look_again,
            on_failure,
        }),
        None => Behind::Updating,
    };
    Answer::Stale(record, behind)
}

/// Nobody needs a lock.
fn side_by_side<C: Cache>(
    cache: &C,
    reason: Option<Reason>,
    held: Option<Held>,
) -> Answer<C::Permit, C::Fill, C::RefillSlot> {
    if held.is_none() && cache.wants_part() {
        // The whole would be fetched for nothing.
        return Answer::Pass(Reason::Part);
    }
    // Each is ready to store a response that turns out to be storable.
    Answer::Fill(None, reason, held)
}

/// The lock is ours, and the fill is to be claimed. Between our lookup and now another fill may have ended, of this zone or of
/// another machine: lock and claim then were free, but the record is there. `held` is the record of the last look.
async fn first<C: Cache>(
    cache: &C,
    permit: C::Permit,
    changed: bool,
    held: &mut Option<Held>,
    patience: &mut Patience,
) -> Result<Answer<C::Permit, C::Fill, C::RefillSlot>, Waited<C::Fill>> {
    let (mut changed, mut claimed) = (changed, false);
    let mut claimer = Claimer::new();
    loop {
        if changed {
            claimer.has_looked = true;
            let since = cache.sequence();
            *held = match cache.lookup().await {
                Ok(Some(record)) => match cache.judge(&record) {
                    // It has come this moment: if it doesn't stay fresh for long, a later request sees to that.
                    Use::Fresh | Use::Ahead(_) => {
                        permit.release(Verdict::Stored);
                        return Ok(Answer::Hit(record));
                    }
                    Use::Stale(on_failure) if !cache.is_for_us(&permit) => {
                        drop(permit);
                        return Ok(at_once(cache, record, on_failure, since));
                    }
                    // We need another lock: that of our variant.
                    Use::Validate(_) if !cache.is_for_us(&permit) => return Err(Waited::Again),
                    Use::Stale(on_failure) => {
                        return Ok(stale(cache, record, permit, false, on_failure));
                    }
                    Use::Validate(on_failure) => Some(Held { record, on_failure }),
                },
                Ok(None) if !cache.is_for_us(&permit) => return Err(Waited::Again),
                Ok(None) => None,
                Err(Trouble::Unavailable) if cache.needs_store() => {
                    return Ok(Answer::Pass(Reason::StoreRequired));
                }
                Err(trouble) => {
                    let reason = Some(trouble.reason());
                    return Ok(Answer::Fill(Some(permit), reason, held.take()));
                }
            };
        }
        if claimed {
            return Ok(Answer::Fill(Some(permit), None, held.take()));
        }
        match claimer.claim(cache, &permit, patience).await {
            Claiming::Ours { changed: again } => (claimed, changed) = (true, again),
            Claiming::Outdated => changed = true,
            Claiming::Unneeded => {
                permit.release(Verdict::Uncacheable);
                return Ok(side_by_side(cache, None, held.take()));
            }
            Claiming::Ended(verdict) => {
                permit.pass_on(verdict);
                let on_failure = held.as_ref().map_or(UseStale::NONE, |held| held.on_failure);
                return Err(Waited::of(verdict, on_failure));
            }
            Claiming::Chosen => return Err(Waited::Pass(Reason::LockTimeout)),
        }
    }
}

async fn join<C: Cache>(
    cache: &C,
    fill: C::Fill,
    on_failure: UseStale,
    patience: &mut Patience,
) -> Waited<C::Fill> {
    loop {
        match cache.head(&fill, patience.deadline()).await {
            HeaderWait::Shared => return Waited::Join(fill),
            HeaderWait::OtherVariant => return Waited::OtherLock,
            HeaderWait::Failing(failure) if on_failure.allows(failure) => return Waited::Stale,
            HeaderWait::NotStorable | HeaderWait::Failing(_) => {
                return Waited::Pass(Reason::WaitersReleased);
            }
            HeaderWait::Failed => return Waited::Again,
            HeaderWait::Late if patience.chosen(cache) => return Waited::Pass(Reason::LockTimeout),
            HeaderWait::Late => {}
        }
    }
}

async fn wait<C: Cache>(
    cache: &C,
    ticket: &C::Ticket,
    on_failure: UseStale,
    patience: &mut Patience,
) -> Waited<C::Fill> {
    loop {
        match cache.released(ticket, patience.deadline()).await {
            Woken::Released(verdict) => return Waited::of(verdict, on_failure),
            Woken::Joinable => return Waited::Joinable,
            Woken::Late if patience.chosen(cache) => return Waited::Pass(Reason::LockTimeout),
            Woken::Late => {}
        }
    }
}
