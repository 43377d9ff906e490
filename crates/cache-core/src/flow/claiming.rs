//! The claim of a fill in the whole fleet, and the wait for the machine that has it.

use super::cache::{Cache, Claim, Heard, Permit};
use super::patience::Patience;
use crate::claim::Pace;
use crate::verdict::Verdict;

/// What the wish to fill has come to.
pub(super) enum Claiming {
    /// The fill is ours. `changed`: look again before.
    Ours { changed: bool },
    /// Another machine's, but what the request saw is outdated: look again, and go on.
    Outdated,
    /// Nobody needs to fill: the responses aren't storable.
    Unneeded,
    /// Another machine's fill has ended in a way that leaves nothing to do here.
    Ended(Verdict),
    /// The deadline has passed, and the request was chosen to go.
    Chosen,
}

/// A request that has the lock of its zone and wants to fill.
pub(super) struct Claimer<O> {
    pace: Pace,
    /// Listens, once it has to wait.
    outcomes: Option<O>,
    /// It has looked since it claimed last. What has changed since is for the next time: it mustn't look and claim in turn
    /// without a pause.
    pub(super) has_looked: bool,
}

impl<O> Claimer<O> {
    pub(super) fn new() -> Self {
        Self {
            pace: Pace::default(),
            outcomes: None,
            has_looked: false,
        }
    }

    /// Claims the fill, or waits for the end of that of another machine. The lock of the zone is kept meanwhile.
    pub(super) async fn claim<C: Cache<Outcomes = O>>(
        &mut self,
        cache: &C,
        permit: &C::Permit,
        patience: &mut Patience,
    ) -> Claiming {
        loop {
            let has_looked = std::mem::take(&mut self.has_looked);
            let (by, left) = match cache.claim(permit).await {
                Claim::Granted { changed } => return Claiming::Ours { changed },
                Claim::Unneeded => return Claiming::Unneeded,
                Claim::Held { changed: true, .. } if !has_looked => return Claiming::Outdated,
                Claim::Held { by, left, .. } => (by, left),
            };
            permit.touch();
            let outcomes = self.outcomes.get_or_insert_with(|| cache.outcomes(permit));
            // What is told may be lost, and the dead tell nothing.
            let again = self.pace.pause(left, cache.random());
            let again = cache.now().saturating_add(again);
            loop {
                let until = again.min(patience.deadline());
                match cache.outcome(outcomes, by, until).await {
                    Heard::Ended(verdict) if leaves_nothing(verdict) => {
                        return Claiming::Ended(verdict);
                    }
                    Heard::Ended(_) | Heard::Again => break,
                    Heard::Late => {}
                }
                let now = cache.now();
                if now >= patience.deadline() && patience.chosen(cache) {
                    return Claiming::Chosen;
                }
                if now >= again {
                    break;
                }
            }
        }
    }
}

/// Whether nobody is to fill after a fill that has ended so. After others exactly one machine does: the one that claims
/// first.
fn leaves_nothing(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Stored
        | Verdict::NotStorable
        | Verdict::Uncacheable
        | Verdict::Failing(_)
        | Verdict::DoesNotFit => true,
        Verdict::Failed | Verdict::Unavailable => false,
    }
}
