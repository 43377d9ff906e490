//! A fill, from the backend's response to the release of its key.

use std::future::Future;
use std::rc::Rc;

use super::cache::{Claim, HeaderWait, Permit, Trouble};
use crate::outcome::Reason;
use crate::policy::Plan;
use crate::record::Record;
use crate::renewal::Renewed;
use crate::use_stale::Failure;
use crate::verdict::Verdict;

/// How a fill's response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of it is here.
    Whole,
    /// The backend cut it off.
    Cut,
    /// It outgrew what may be captured.
    TooLarge,
    /// The worker has no memory left for captures.
    NoRoom,
    /// It took longer than anything may be captured.
    TooLong,
}

/// What the header of a fill's response makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is stored, in this way.
    Storable(Plan),
    /// It isn't.
    NotStorable(Reason),
    /// It confirms the record that the backend was asked about.
    Confirmed(Rc<Renewed>),
    /// The backend has failed, and the record that it was asked about stays in use.
    Failed(Failure),
}

impl Finding {
    /// Whether the response is stored, or shared.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Storable(_)) || self.is_shared()
    }

    /// Whether what comes of it is for others, too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.head() == HeaderWait::Shared
    }

    /// The record as the backend has confirmed it.
    #[must_use]
    pub fn renewed(&self) -> Option<Rc<Record>> {
        match self {
            Self::Confirmed(renewed) => Some(Rc::new(renewed.record.clone())),
            Self::Storable(_) | Self::NotStorable(_) | Self::Failed(_) => None,
        }
    }

    /// How the wait for the header ends, for those who want to join.
    #[must_use]
    pub fn head(&self) -> HeaderWait {
        match self {
            Self::Storable(plan) => shared(plan),
            Self::Confirmed(renewed) => renewed
                .plan
                .as_ref()
                .map_or(HeaderWait::NotStorable, shared),
            Self::NotStorable(_) => HeaderWait::NotStorable,
            Self::Failed(failure) => HeaderWait::Failing(*failure),
        }
    }
}

/// A response that is always validated is for nobody but the client that had it validated (RFC 9111 5.2.2.4).
fn shared(plan: &Plan) -> HeaderWait {
    if plan.always_validate {
        HeaderWait::NotStorable
    } else {
        HeaderWait::Shared
    }
}

/// On which occasion a fill begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A request waits for the response. It has looked, and claimed the fill or does without.
    Request,
    /// A record was served that is stale, or about to be.
    Refill {
        /// The store may hold a newer record already.
        look_again: bool,
    },
}

/// A fill as its own task sees it: the backend's response on one side, the store on the other.
pub trait Filling {
    /// Reads the record again, before the backend is asked. Whether it is fresh now, and not about to go stale.
    fn is_fresh(&self) -> impl Future<Output = bool>;
    /// Claims the fill among all machines that share the store: see [`super::Cache::claim`]. It is granted at once if the
    /// permit was claimed before.
    fn claim(&self) -> impl Future<Output = Claim>;
    /// Learns which invalidations of the key the backend's response will know of: those of before. So it comes before the
    /// backend is asked.
    fn read_fence(&self) -> impl Future<Output = ()>;
    /// Asks the backend.
    fn start(&self);
    /// Gives the fill up before it was started.
    fn abandon(&self);
    /// Waits for the header and for what it makes of the response. `None` if there is no response.
    fn head(&self) -> impl Future<Output = Option<Finding>>;
    /// Waits for the end of the body, or of the time for which it may be captured.
    fn ending(&self) -> impl Future<Output = Ending>;
    /// Stores the whole response.
    fn store(&self, plan: Plan) -> impl Future<Output = Result<(), Trouble>>;
    /// Stores what a 304 has changed of a record, or takes away one that it makes unfit to be kept. False if
    /// the record isn't there any more: one that was written since is left alone.
    fn renew(&self, renewed: &Renewed) -> impl Future<Output = Result<bool, Trouble>>;
    /// Says what became of it, for the log and `$redis_cache_reason`.
    fn outcome(&self, reason: Reason);
}

/// Runs one fill to its end and frees its key with the truth.
pub async fn fill<F: Filling, P: Permit>(filling: &F, permit: Option<P>, occasion: Occasion) {
    if let Occasion::Refill { look_again } = occasion
        && let Err(needless) = refill(filling, permit.is_some(), look_again).await
    {
        filling.abandon();
        match needless {
            Some(verdict) => release(permit, verdict),
            // What has come of the other machine's fill, or will, is for others to find out.
            None => drop(permit),
        }
        return;
    }
    filling.read_fence().await;
    filling.start();
    let (verdict, reason) = match filling.head().await {
        None => (Verdict::Failed, Reason::BackendFailed),
        Some(Finding::Failed(failure)) => (Verdict::Failing(failure), Reason::BackendFailed),
        Some(Finding::NotStorable(reason)) => (not_storable(reason), reason),
        Some(Finding::Confirmed(renewed)) => confirmed(filling, &renewed).await,
        Some(Finding::Storable(plan)) => match filling.ending().await {
            Ending::Cut => (Verdict::Failed, Reason::Truncated),
            Ending::TooLarge => (not_storable(Reason::TooLarge), Reason::TooLarge),
            Ending::NoRoom => (Verdict::NotStorable, Reason::CaptureMemory),
            Ending::TooLong => (not_storable(Reason::CaptureTimeout), Reason::CaptureTimeout),
            Ending::Whole => match filling.store(plan).await {
                Ok(()) => (stored(&plan), Reason::Stored),
                Err(Trouble::Invalidated) => (Verdict::Unavailable, Reason::Invalidated),
                Err(Trouble::Expired) => (not_storable(Reason::Expired), Reason::Expired),
                Err(Trouble::TooLarge) => (Verdict::DoesNotFit, Reason::TooLarge),
                Err(Trouble::ClaimLost) => (Verdict::Unavailable, Reason::ClaimLost),
                Err(_) => (Verdict::Unavailable, Reason::StoreFailed),
            },
        },
    };
    filling.outcome(reason);
    release(permit, verdict);
}

/// Whether a refill goes on. The error says what is known of its key: nothing where another machine refills it, or has a moment
/// ago.
async fn refill<F: Filling>(
    filling: &F,
    locked: bool,
    look_again: bool,
) -> Result<(), Option<Verdict>> {
    if look_again && filling.is_fresh().await {
        return Err(Some(Verdict::Stored));
    }
    if !locked {
        return Ok(());
    }
    match filling.claim().await {
        Claim::Granted { changed: true } if filling.is_fresh().await => Err(Some(Verdict::Stored)),
        Claim::Granted { .. } => Ok(()),
        Claim::Unneeded | Claim::Held { .. } => Err(None),
    }
}

async fn confirmed<F: Filling>(filling: &F, renewed: &Renewed) -> (Verdict, Reason) {
    match (filling.renew(renewed).await, &renewed.plan) {
        (_, Err(reason)) => (not_storable(*reason), *reason),
        (Ok(true), Ok(plan)) => (stored(plan), Reason::Revalidated),
        (Ok(false), Ok(_)) => (Verdict::Unavailable, Reason::RecordChanged),
        (Err(Trouble::ClaimLost), Ok(_)) => (Verdict::Unavailable, Reason::ClaimLost),
        (Err(_), Ok(_)) => (Verdict::Unavailable, Reason::StoreFailed),
    }
}

/// Nobody needs to wait for a record that the backend must be asked about anyway.
fn stored(plan: &Plan) -> Verdict {
    if plan.always_validate {
        Verdict::Uncacheable
    } else {
        Verdict::Stored
    }
}

fn not_storable(reason: Reason) -> Verdict {
    if reason.is_of_response() {
        Verdict::Uncacheable
    } else {
        Verdict::NotStorable
    }
}

fn release<P: Permit>(permit: Option<P>, verdict: Verdict) {
    if let Some(permit) = permit {
        permit.release(verdict);
    }
}
