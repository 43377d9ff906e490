//! The way to a subscription: who the server is, and what it agrees to.

use super::{Effect, Feed, Owed, Source, Stage};
use crate::feed::cluster::{Owners, View};
use crate::feed::refusal::Refusal;
use crate::resp::Reply;
use crate::vary::slot_prefix;

impl Feed {
    pub(super) fn greet(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.stage = Stage::Asking;
        self.ask(now, Owed::Hello, &[b"HELLO", b"3"], effects);
    }

    /// Takes the reply to the oldest command.
    pub(super) fn replied(&mut self, now: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        let Some(owed) = self.owed.pop_front() else {
            return self.lost(now, "a reply came that nothing had asked for", effects);
        };
        match reply {
            Reply::Error(error) => self.refused(now, owed, &Refusal::of(error), effects),
            _ => self.agreed(now, owed, reply, effects),
        }
    }

    fn agreed(&mut self, now: u64, owed: Owed, reply: &Reply, effects: &mut Vec<Effect>) {
        match owed {
            Owed::Hello if !matches!(reply, Reply::Map(_)) => {
                self.is_old(now, "the server doesn't speak RESP3", effects);
            }
            Owed::Hello if self.settings.slots.is_some() => {
                self.ask(now, Owed::View, &[b"CLUSTER", b"INFO"], effects);
            }
            Owed::Hello => self.track(now, effects),
            Owed::View => self.viewed(now, View::read(reply), effects),
            Owed::Owners => self.mapped(now, Owners::read(reply), effects),
            Owed::Track => {
                self.rely_on(Source::Tracking, effects);
                self.subscribe(now, effects);
            }
            Owed::Subscribe => self.lost(now, "an unexpected reply to SUBSCRIBE", effects),
            Owed::Canary => self.canary_sent(now, effects),
            Owed::Mark => self.mark_seen(reply, effects),
            Owed::Ping(sent) => self.pong(now, sent, reply, effects),
        }
    }

    fn refused(&mut self, now: u64, owed: Owed, refusal: &Refusal, effects: &mut Vec<Effect>) {
        let words = refusal.words();
        match (owed, refusal) {
            // It is alive, but that is no proof. Without a PONG it is given up soon.
            (Owed::Ping(_), _) => {}
            (_, Refusal::Elsewhere(_)) => {
                effects.push(Effect::Refresh);
                self.lost(now, words, effects);
            }
            (Owed::Mark, _) => self.mark_refused(refusal, effects),
            (Owed::Canary, _) => self.canary_refused(now, refusal, effects),
            (Owed::View | Owed::Owners, Refusal::Later(_)) if self.stage == Stage::Live => {
                self.unseen(effects);
            }
            (_, Refusal::Later(_) | Refusal::NoWrites(_)) => self.lost(now, words, effects),
            (Owed::Hello, _) => {
                let reason = format!("\"{words}\"; Redis 6 and later speak RESP3");
                self.is_old(now, &reason, effects);
            }
            (Owed::View | Owed::Owners, _) => {
                let reason =
                    format!("\"{words}\"; the user needs +cluster|info and +cluster|slots");
                self.without_view(now, &reason, effects);
            }
            (Owed::Track, _) => {
                let reason = format!("\"{words}\"; the user needs +client|tracking");
                self.peer.untracked = Some(reason);
                self.subscribe(now, effects);
            }
            (Owed::Subscribe, _) => self.unsubscribed(now, words, effects),
        }
    }

    /// The server speaks RESP2 alone: it can't track, as it can't push.
    fn is_old(&mut self, now: u64, reason: &str, effects: &mut Vec<Effect>) {
        self.peer.is_old = true;
        self.peer.untracked = Some(reason.to_owned());
        self.subscribe(now, effects);
    }

    fn viewed(&mut self, now: u64, view: Option<View>, effects: &mut Vec<Effect>) {
        match view {
            Some(view) if self.stage == Stage::Live => self.view_again(view, effects),
            Some(view) if !view.is_ok => self.lost(now, "the cluster is down", effects),
            Some(view) => {
                self.peer.view = Some(view);
                self.ask(now, Owed::Owners, &[b"CLUSTER", b"SLOTS"], effects);
            }
            None => self.without_view(now, "CLUSTER INFO tells no epochs", effects),
        }
    }

    fn mapped(&mut self, now: u64, owners: Option<Owners>, effects: &mut Vec<Effect>) {
        match owners {
            Some(owners) if self.stage == Stage::Live => self.mapped_again(owners, effects),
            Some(owners) => {
                self.peer.owners = Some(owners);
                self.track(now, effects);
            }
            None => self.without_view(now, "CLUSTER SLOTS tells no slots", effects),
        }
    }

    /// Slots could move away unnoticed.
    fn without_view(&mut self, now: u64, reason: &str, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Live {
            return self.lost(now, reason, effects);
        }
        self.peer.untracked = Some(reason.to_owned());
        self.peer.view = None;
        self.subscribe(now, effects);
    }

    fn track(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let prefix = self.settings.prefix.clone();
        let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON", b"BCAST"];
        if !prefix.is_empty() {
            words.extend([&b"PREFIX"[..], &prefix]);
        }
        // Redis takes no prefix that begins with another.
        let slots = slot_prefix(&prefix);
        if let Some(slots) = &slots {
            words.extend([&b"PREFIX"[..], slots]);
        }
        self.ask(now, Owed::Track, &words, effects);
    }

    fn subscribe(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let channel = self.settings.channel.clone();
        self.ask(now, Owed::Subscribe, &[b"SUBSCRIBE", &channel], effects);
    }

    pub(super) fn subscribed(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.peer.subscribed = true;
        match self.source {
            Source::Tracking => self.prove(now, effects),
            Source::Nothing | Source::Messages => self.hear_messages(now, effects),
        }
    }

    fn unsubscribed(&mut self, now: u64, words: &str, effects: &mut Vec<Effect>) {
        let channel = String::from_utf8_lossy(&self.settings.channel).into_owned();
        if let Some(reason) = &self.peer.untracked {
            let reason = format!(
                "{reason}, or else &{channel} and +subscribe: SUBSCRIBE was refused, too (\"{words}\")"
            );
            return self.off(now, &reason, effects);
        }
        self.trouble.unsubscribed(&channel, words, effects);
        self.prove(now, effects);
    }

    /// The server doesn't push changes: the module's own messages must do.
    pub(super) fn hear_messages(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.rely_on(Source::Messages, effects);
        self.prove(now, effects);
    }
}
