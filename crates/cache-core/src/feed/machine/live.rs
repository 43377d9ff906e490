//! A feed that is live: its pulse, and what a Redis Cluster says of itself.

use super::{Effect, Feed, Owed, Source, Stage};
use crate::feed::beat::{LEASE, leased_until};
use crate::feed::cluster::{Owners, View};
use crate::feed::heard::is_pong;
use crate::resp::Reply;

/// Commands that may be owed a reply at once. A live feed owes three of a kind at most.
const OWED: usize = 16;

/// How many nodes of a Cluster an nginx asks for the slot map each second, at most, or on average.
const ASKERS: usize = 8;

impl Feed {
    /// Sends what is due.
    pub(super) fn pulse(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.stage != Stage::Live || !self.beat.is_due(now, self.source) {
            return;
        }
        if self.owed.len() >= OWED {
            return self.lost(now, "the server replies to nothing", effects);
        }
        if self.canary.is_none() && (now >= self.next_canary || self.is_unmarked()) {
            self.send_canary(now, now.saturating_add(LEASE), effects);
        }
        if self.stage != Stage::Live {
            return;
        }
        self.ask_for_mark(effects);
        // Before the PING: no lease is given before what they say is known.
        if self.peer.view.is_some() {
            self.send(Owed::View, &[b"CLUSTER", b"INFO"], effects);
        }
        if self.is_map_due() {
            self.send(Owed::Owners, &[b"CLUSTER", b"SLOTS"], effects);
        }
        self.send(Owed::Ping(now), &[b"PING"], effects);
    }

    /// Whether CLUSTER SLOTS is asked for with this PING. In a large cluster the feeds share that: what one of them sees
    /// counts for all.
    fn is_map_due(&mut self) -> bool {
        let Some(owners) = self.peer.owners else {
            return false;
        };
        let share = (owners.masters / ASKERS).max(1) as u64;
        share == 1 || self.random().is_multiple_of(share)
    }

    pub(super) fn pong(&mut self, now: u64, sent: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        if !is_pong(reply) {
            return self.lost(now, "an unexpected reply to PING", effects);
        }
        self.losses = 0;
        self.beat.hear(now);
        let until = leased_until(sent, self.source);
        if until <= now || !self.peer.view.is_none_or(|view| view.is_ok) {
            return;
        }
        if self.source == Source::Messages {
            // Each lease is of an epoch of its own. So a record is used for no longer than a lease from when it was looked up,
            // whatever the listener does meanwhile; and what a server has given that says nothing more stays for when it is down.
            effects.push(Effect::RaiseEpoch);
        }
        effects.push(Effect::Lease { until });
    }

    /// Slots may have moved, and another may be the master of ours.
    pub(super) fn view_again(&mut self, view: View, effects: &mut Vec<Effect>) {
        let before = self.peer.view.replace(view);
        if before.is_some_and(|before| view.is_fall_of(before)) {
            // Nothing has moved: the tier may carry on alone with what there is. Before the next lease all of it is void.
            effects.push(Effect::Refresh);
        } else if before != Some(view) {
            effects.extend([Effect::RaiseAll, Effect::Refresh]);
        }
        if !view.is_ok {
            effects.push(Effect::Revoke);
        }
    }

    /// The same, where no epoch tells of it.
    pub(super) fn mapped_again(&mut self, owners: Owners, effects: &mut Vec<Effect>) {
        if self.peer.owners.replace(owners) != Some(owners) {
            effects.extend([Effect::RaiseAll, Effect::Refresh]);
        }
    }

    /// The server doesn't say for now whether slots have moved.
    pub(super) fn unseen(&mut self, effects: &mut Vec<Effect>) {
        if let Some(view) = &mut self.peer.view {
            view.is_ok = false;
            effects.push(Effect::Revoke);
        }
    }
}
