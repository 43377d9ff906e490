//! The proof that changes are told: canaries.

use bytes::Bytes;

use super::{AGAIN, Effect, Feed, Owed, Source, Stage, next};
use crate::feed::beat::Beat;
use crate::feed::canary::{self, Canary};
use crate::feed::refusal::Refusal;
use crate::resp::Reply;

/// Time between two canaries of a feed that is live, in milliseconds.
const CANARY: u64 = 30_000;
/// Time until a server that doesn't track is asked again whether it does, in milliseconds.
const TRACK_AGAIN: u64 = 300_000;

impl Feed {
    pub(super) fn prove(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.stage = Stage::Proving;
        let time = match self.peer.is_old {
            // The other connection may have to be opened.
            true => self.settings.connect_timeout,
            false => 0,
        };
        let time = time.saturating_add(self.settings.read_timeout);
        self.until = now.saturating_add(time);
        self.send_canary(now, u64::MAX, effects);
    }

    /// Sends a canary that must have come by `until`.
    pub(super) fn send_canary(&mut self, now: u64, until: u64, effects: &mut Vec<Effect>) {
        let random = &mut self.random;
        // A message is heard at any node.
        let slots = self.settings.slots.as_deref();
        let slots = slots.filter(|_| self.source == Source::Tracking);
        let canary = Canary::new(&self.settings.prefix, slots, || next(random), until);
        let Some(canary) = canary else {
            // Nothing to say: it has no slot for keys of this prefix, so that none can be in the tier either.
            return self.end(now.saturating_add(AGAIN), effects);
        };
        let key = canary.key.clone();
        self.canary = Some(canary);
        let channel = Bytes::copy_from_slice(&self.settings.channel);
        match self.source {
            Source::Messages if self.peer.is_old => effects.push(Effect::Publish {
                channel,
                message: key,
            }),
            Source::Messages => self.send(Owed::Canary, &[b"PUBLISH", &channel, &key], effects),
            Source::Tracking | Source::Nothing => {
                self.peer.mark.write(&key);
                let words: [&[u8]; 5] = [b"SET", &key[..], b"", b"PX", canary::LIFE];
                self.send(Owed::Canary, &words, effects);
            }
        }
    }

    /// The server has done what a canary needs. What tells of it follows at once, if anything does.
    pub(super) fn canary_sent(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.marked(effects);
        if self.stage == Stage::Proving {
            self.until = now.saturating_add(self.settings.read_timeout);
        }
    }

    /// The canary has come.
    pub(super) fn proved(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.proven = now;
        self.next_canary = now.saturating_add(CANARY);
        if self.stage != Stage::Proving {
            return;
        }
        self.stage = Stage::Live;
        self.beat = Beat::new(now);
        match &self.peer.untracked {
            Some(reason) => {
                let pause = match self.peer.is_passing {
                    true => AGAIN,
                    false => TRACK_AGAIN,
                };
                self.until = now.saturating_add(pause);
                self.trouble.messages(reason, effects);
            }
            None => {
                self.until = u64::MAX;
                self.trouble.over(effects);
            }
        }
    }

    /// The canary hasn't come in time.
    pub(super) fn unproved(&mut self, now: u64, effects: &mut Vec<Effect>) {
        match self.source {
            Source::Tracking => {
                let reason = "the server agrees to CLIENT TRACKING, and pushes nothing; is a proxy before it?";
                self.untracked(now, reason, effects);
            }
            Source::Messages | Source::Nothing => {
                let reason = self.peer.untracked.take().unwrap_or_default();
                let reason = format!("{reason}; and what is published isn't told");
                self.off(now, &reason, effects);
            }
        }
    }

    pub(super) fn canary_refused(
        &mut self,
        now: u64,
        refusal: &Refusal,
        effects: &mut Vec<Effect>,
    ) {
        self.peer.mark.refused();
        let words = refusal.words();
        let is_live = self.stage == Stage::Live;
        match (self.source, refusal) {
            // It is alive, and there is time left.
            (_, Refusal::Later(_) | Refusal::NoWrites(_)) if is_live => {
                self.canary = None;
                self.next_canary = now;
            }
            _ if is_live => self.lost(now, words, effects),
            (_, Refusal::Later(_)) => self.lost(now, words, effects),
            (Source::Tracking, Refusal::NoWrites(_)) => {
                self.peer.is_passing = true;
                self.untracked(now, &format!("\"{words}\""), effects);
            }
            (Source::Tracking, _) => {
                let reason = format!(
                    "\"{words}\"; the user must be able to SET keys that begin with the prefix of \"memory\""
                );
                self.untracked(now, &reason, effects);
            }
            (_, Refusal::NoWrites(_)) => self.lost(now, words, effects),
            _ => self.unpublishable(now, words, effects),
        }
    }

    /// A canary was published on the other connection, or wasn't.
    pub(super) fn published(&mut self, now: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        if self.canary.is_none() || !self.peer.is_old {
            return;
        }
        match reply {
            Reply::Error(error) => self.canary_refused(now, &Refusal::of(error), effects),
            _ => self.canary_sent(now, effects),
        }
    }

    fn unpublishable(&mut self, now: u64, words: &str, effects: &mut Vec<Effect>) {
        let channel = String::from_utf8_lossy(&self.settings.channel).into_owned();
        let reason = self.peer.untracked.take().unwrap_or_default();
        let reason = format!(
            "{reason}, or else &{channel} and +publish: PUBLISH was refused, too (\"{words}\")"
        );
        self.off(now, &reason, effects);
    }

    /// Tracking is agreed to, and yet not to be relied on.
    fn untracked(&mut self, now: u64, reason: &str, effects: &mut Vec<Effect>) {
        if !self.peer.subscribed {
            return self.off(now, reason, effects);
        }
        self.peer.untracked = Some(reason.to_owned());
        self.hear_messages(now, effects);
    }
}
