//! A feed that is to take over from that of another worker without a gap: then nothing that the tier has is void.
//!
//! The server pushes each change to this feed from when it has agreed to track. Each change before that it has pushed to the
//! other feed, which has carried it out once it has given a lease for a PING that it sent later. What a lease says tells when
//! its PING was sent, so the tier's own words are enough to see that. The same holds for the mark of the database: each feed
//! notices by its own that another database has come since it was written.

use super::beat::LEASE;
use super::event::Effect;

/// What is done with the effects of a feed while another worker's is the one that counts.
#[derive(Debug, Default)]
pub struct Shadow {
    /// When the server had agreed to track, and the database was marked, in milliseconds, and the epoch of its node then.
    tracked: Option<(u64, u64)>,
    /// It does track.
    is_proven: bool,
}

/// What the tier says of the server's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its epoch.
    pub epoch: u64,
    /// Until when its records may be served, in milliseconds. 0: it has no lease.
    pub leased_until: u64,
}

impl Shadow {
    /// Whether this feed has heard, or the other one has carried out, each change of what the tier has.
    #[must_use]
    pub fn is_covered(&self, known: Known) -> bool {
        self.is_proven
            && self.tracked.is_some_and(|(since, epoch)| {
                known.epoch == epoch && known.leased_until > since.saturating_add(LEASE)
            })
    }

    /// Takes an effect of the feed, and the epoch of the server's node. Whether it is to be carried out now.
    pub fn take(&mut self, now: u64, effect: &Effect, epoch: u64) -> bool {
        match effect {
            // Nothing was heard for a while, or isn't from now on.
            Effect::Connect | Effect::Close | Effect::Revoke => {
                *self = Shadow::default();
                *effect != Effect::Revoke
            }
            // The server tracks, or the database is marked. Had it another reason, the other feed has that, too, and carries it out
            // before it gives the lease that is waited for.
            Effect::RaiseEpoch if !self.is_proven => {
                self.tracked = Some((now, epoch));
                false
            }
            Effect::Lease { .. } => {
                self.is_proven = true;
                false
            }
            _ => true,
        }
    }
}
