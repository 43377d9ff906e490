//! The cache as the flow sees it: a store, locks, and other people's fills.

use std::future::Future;
use std::rc::Rc;

use crate::outcome::Reason;
use crate::record::Record;
use crate::token::Token;
use crate::usable::Use;
use crate::use_stale::Failure;
use crate::verdict::Verdict;

/// The right to fill a key. Dropped without a verdict it says [`Verdict::Failed`].
pub trait Permit {
    /// Frees the key and tells those who wait, those of other machines too if the fill was claimed.
    fn release(self, verdict: Verdict);
    /// Frees the key after a fill of another machine has ended so, and tells those who wait. How the backend has failed isn't held
    /// against anybody here: that machine may have asked with other fields.
    fn pass_on(self, verdict: Verdict);
    /// Says that the holder lives: it waits for another machine.
    fn touch(&self);
}

/// Among whom a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// All workers of the zone: a waiter finds the record in the store.
    Zone,
    /// This worker alone: the store doesn't carry the response from one worker to another, so that nobody of another
    /// worker waits for it.
    Worker,
}

impl Domain {
    /// The domain of a request whose look into the store has come to this.
    #[must_use]
    pub fn after(trouble: Option<Trouble>) -> Domain {
        match trouble {
            None => Domain::Zone,
            Some(_) => Domain::Worker,
        }
    }
}

/// What asking for the lock of a key gives.
pub enum Lock<P, F, T> {
    /// It is ours. `changed`: somebody has released it since the request looked into the store,
    /// so what it saw there may be outdated.
    Mine {
        /// The right to fill.
        permit: P,
        /// Look again before filling.
        changed: bool,
    },
    /// A fill of this worker holds it.
    Here(F),
    /// Another worker holds it, or a request of this worker that hasn't begun its fill.
    Elsewhere(T),
    /// The responses of this key were found not to be storable a moment ago: nobody needs a lock.
    Unneeded,
    /// As many requests as may wait for this key already.
    Crowded,
    /// The zone has no room for another key.
    Full,
}

/// What claiming a fill among all machines that share the store gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours; or machines don't share their fills; or the store is in trouble, and the fill does without them.
    /// `changed`: what the request saw in the store is outdated.
    Granted {
        /// Look again before filling.
        changed: bool,
    },
    /// Another machine has it.
    Held {
        /// Names its claim.
        by: Token,
        /// How long the claim lasts if it isn't extended, in milliseconds.
        left: u64,
        /// What the request saw in the store is outdated: another fill has ended before this one began.
        changed: bool,
    },
    /// A machine has found a moment ago that the responses of this key aren't storable: nobody needs to claim it.
    Unneeded,
}

/// What is heard of a fill of another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has come to this.
    Ended(Verdict),
    /// Only now is anything heard, or something was heard of another fill of the key: claim again.
    Again,
    /// Nothing, until now.
    Late,
}

/// How the wait for the header of a fill of one's own worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderWait {
    /// The header is here and the response is for everybody.
    Shared,
    /// It is for everybody who asks for the same variant, but this request asks for another
    /// (RFC 9111 4.1). Its lock is known now.
    OtherVariant,
    /// The response is not for others.
    NotStorable,
    /// The backend has failed in this way.
    Failing(Failure),
    /// No response will come of it.
    Failed,
    /// The deadline has passed first.
    Late,
}

/// What a waiter learns of a lock of another worker, or of one whose holder still claims its fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The lock was released with this verdict.
    Released(Verdict),
    /// Its holder, a request of this worker, has begun its fill: asking for the lock gives [`Lock::Here`] now.
    Joinable,
    /// The deadline has passed first.
    Late,
}

/// The store's response where it has none: the request goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Down, slow or talking nonsense.
    Unavailable,
    /// The key holds something that is no record and belongs to somebody else.
    WrongType,
    /// What was to be written has been invalidated meanwhile.
    Invalidated,
    /// What was to be written has expired on its way.
    Expired,
    /// The store keeps no record so large.
    TooLarge,
    /// The claim under which it was to be written has ended: another machine may fill the key.
    ClaimLost,
}

impl Trouble {
    /// The reason that log and variables give.
    pub fn reason(self) -> Reason {
        match self {
            Trouble::Unavailable => Reason::StoreUnavailable,
            Trouble::WrongType => Reason::WrongType,
            Trouble::Invalidated => Reason::Invalidated,
            Trouble::Expired => Reason::Expired,
            Trouble::TooLarge => Reason::TooLarge,
            Trouble::ClaimLost => Reason::ClaimLost,
        }
    }
}

/// The cache as one request for one key sees it.
pub trait Cache {
    /// The right to fill this key.
    type Permit: Permit;
    /// A fill of this worker that can be joined.
    type Fill;
    /// A lock that can be waited for.
    type Ticket;
    /// The right to run one more background refill.
    type RefillSlot;
    /// Hears what becomes of fills of other machines, as long as it lives.
    type Outcomes;

    /// Milliseconds of a monotonic clock that all workers share.
    fn now(&self) -> u64;
    /// A number by chance.
    fn random(&self) -> u64;
    /// The lock domain's count of releases: taken before a lookup, compared by [`Cache::lock`].
    fn sequence(&self) -> u64;
    /// Reads the record. A broken record is none.
    fn lookup(&self) -> impl Future<Output = Result<Option<Rc<Record>>, Trouble>>;
    /// Whether the request fails while the store can't be used, for a backend that must be spared.
    fn needs_store(&self) -> bool;
    /// Whether the request wants a part of the response only (Range).
    fn wants_part(&self) -> bool;
    /// What a record may be used for, for this request.
    fn judge(&self, record: &Record) -> Use;
    /// How the backend failed, if that is so short a time ago that it is left alone.
    fn failing(&self) -> Option<Failure>;
    /// Whether a refill of a record that is still fresh may be asked for now: not with each hit.
    fn asks_ahead(&self) -> bool;
    /// Counts the request, for which there is no record, among those for its key. Whether there were enough of them for a
    /// response to be stored. Asked after the first look of a request alone: one that has waited gets what it has waited for.
    fn is_used_enough(&self) -> bool;
    /// Asks for the lock; never waits. It is that of the key, or once a look or a [`HeaderWait`] has shown
    /// what the key's responses vary on, that of the request's own variant.
    fn lock(&self, since: u64, domain: Domain) -> Lock<Self::Permit, Self::Fill, Self::Ticket>;
    /// Whether a permit is that of the lock that [`Cache::lock`] would ask for now.
    fn is_for_us(&self, permit: &Self::Permit) -> bool;
    /// Asks for the right to one more background refill.
    fn refill_slot(&self) -> Option<Self::RefillSlot>;
    /// Waits for the header of a fill, until `deadline` (in [`Cache::now`]'s terms).
    fn head(&self, fill: &Self::Fill, deadline: u64) -> impl Future<Output = HeaderWait>;
    /// Waits for a lock's release, until `deadline`.
    fn released(&self, ticket: &Self::Ticket, deadline: u64) -> impl Future<Output = Woken>;
    /// Of those who have waited too long one goes to the backend: `Ok` for that one, the time at
    /// which to ask again for the others.
    fn elect(&self, timeout: u64) -> Result<(), u64>;
    /// Claims the fill that the permit is for among all machines that share the store. A claim that is granted lasts as
    /// long as the permit, unless the store loses it. Where machines don't share their fills, and where the lock is one of
    /// this worker, it is granted at once.
    fn claim(&self, permit: &Self::Permit) -> impl Future<Output = Claim>;
    /// Begins to hear what becomes of fills of other machines for which the permit is.
    fn outcomes(&self, permit: &Self::Permit) -> Self::Outcomes;
    /// Waits until something is heard of the fill that was claimed as `by`, until `until` at most (in [`Cache::now`]'s
    /// terms). Each message is heard once.
    fn outcome(
        &self,
        outcomes: &Self::Outcomes,
        by: Token,
        until: u64,
    ) -> impl Future<Output = Heard>;
}
