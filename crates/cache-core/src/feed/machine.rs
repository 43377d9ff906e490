//! The feed: events in, effects out. It has no clock and does nothing itself.

use std::collections::VecDeque;

use bytes::Bytes;

use super::beat::{Beat, LEASE};
use super::canary::Canary;
use super::event::{Effect, Event, Settings, Source};
use super::heard::{Heard, heard, key};
use super::refusal::Refusal;
use super::trouble::Trouble;
use crate::resp::{Push, Reply};

/// Time between two canaries of a feed that is live, in milliseconds.
const CANARY: u64 = 30_000;
/// How long a feed is believed without a canary because the server writes nothing for now, in milliseconds.
const UNPROVEN: u64 = 90_000;
/// Time until a server that has refused is asked again, in milliseconds.
const AGAIN: u64 = 30_000;
/// Shortest and longest time until a lost connection is opened again, in milliseconds.
const BACK_OFF: (u64, u64) = (100, 1000);
/// Commands that may be owed a reply at once. A live feed owes three PINGs and two canaries at most.
const OWED: usize = 16;

/// How far the feed has come. All but the last end at a time of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It connects when its time has come.
    Waiting,
    /// It is being connected.
    Connecting,
    /// It sends one command after the other, and each has its time.
    Asking,
    /// The first canary is under way.
    Proving,
    /// The tier may rely on it.
    Live,
}

/// A command that is owed a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Hello,
    Track,
    /// It is a push that tells of success.
    Subscribe,
    Canary,
    /// When it was sent.
    Ping(u64),
}

/// Hears from one master which keys have changed.
#[derive(Debug)]
pub struct Feed {
    settings: Settings,
    random: u64,
    stage: Stage,
    /// When the stage ends, but for a live feed.
    until: u64,
    /// Whether the server has agreed to track, so that workers may have noted the epoch.
    tracks: bool,
    owed: VecDeque<Owed>,
    canary: Option<Canary>,
    next_canary: u64,
    /// When the last canary came.
    proven: u64,
    beat: Beat,
    losses: u32,
    trouble: Trouble,
}

impl Feed {
    /// A feed that connects at its first event. `seed` is for names of canaries, and for jitter: no two feeds have the same.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            random: seed | 1,
            stage: Stage::Waiting,
            until: 0,
            tracks: false,
            owed: VecDeque::new(),
            canary: None,
            next_canary: 0,
            proven: 0,
            beat: Beat::default(),
            losses: 0,
            trouble: Trouble::default(),
        }
    }

    /// Whether the tier may rely on it. It may be read as long as a lease says.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// When the next [`Event::Tick`] is due, at the latest.
    #[must_use]
    pub fn wakes_at(&self) -> u64 {
        match self.stage {
            Stage::Live => {
                let canary = self.canary.iter().map(|canary| canary.until);
                canary.fold(self.beat.wakes_at(), u64::min)
            }
            _ => self.until,
        }
    }

    /// Takes an event at `now`, in milliseconds, and appends what is to be done.
    pub fn handle(&mut self, now: u64, event: Event<'_>, effects: &mut Vec<Effect>) {
        let is_open = !matches!(self.stage, Stage::Waiting | Stage::Connecting);
        match event {
            Event::Connected if self.stage == Stage::Connecting => {
                self.stage = Stage::Asking;
                self.ask(now, Owed::Hello, &[b"HELLO", b"3"], effects);
            }
            Event::Closed if self.stage == Stage::Connecting => {
                self.lost(now, "no connection", effects);
            }
            Event::Closed if is_open => self.lost(now, "the connection was closed", effects),
            Event::Reply(reply) if is_open => self.replied(now, reply, effects),
            Event::Push(push) if is_open => self.pushed(now, push, effects),
            Event::Tick | Event::Connected | Event::Closed | Event::Reply(_) | Event::Push(_) => {}
        }
        self.expire(now, effects);
        self.pulse(now, effects);
    }

    /// Ends it for good: another worker takes over, or the server isn't the master any more.
    pub fn leave(&mut self, effects: &mut Vec<Effect>) {
        if self.stage != Stage::Waiting {
            effects.push(Effect::Close);
        }
        if std::mem::take(&mut self.tracks) {
            effects.extend([Effect::Revoke, Effect::RaiseEpoch]);
        }
        self.stage = Stage::Waiting;
        self.until = u64::MAX;
    }

    fn replied(&mut self, now: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        let Some(owed) = self.owed.pop_front() else {
            return self.lost(now, "a reply came that nothing had asked for", effects);
        };
        let refusal = match reply {
            Reply::Error(error) => Some(Refusal::of(error)),
            _ => None,
        };
        match (owed, refusal) {
            (Owed::Ping(sent), None) => self.pong(now, sent, reply, effects),
            // It is alive, but that is no proof. Without a PONG it is given up soon.
            (Owed::Ping(_), Some(_)) => {}
            // The push follows at once, if the server pushes at all.
            (Owed::Canary, None) if self.stage == Stage::Proving => {
                self.until = now.saturating_add(self.settings.read_timeout);
            }
            (Owed::Canary, None) => {}
            (Owed::Canary, Some(Refusal::Later(_))) if self.stage == Stage::Live => {
                self.canary = None;
                self.next_canary = now;
            }
            (Owed::Subscribe, Some(Refusal::Never(words))) => {
                let name = String::from_utf8_lossy(&self.settings.channel).into_owned();
                self.trouble.unsubscribed(&name, &words, effects);
                self.prove(now, effects);
            }
            (_, Some(refusal)) => self.refused(now, owed, &refusal, effects),
            (Owed::Hello, None) => self.greeted(now, reply, effects),
            (Owed::Track, None) => self.tracked(now, effects),
            (Owed::Subscribe, None) => {
                self.lost(now, "an unexpected reply to SUBSCRIBE", effects);
            }
        }
    }

    fn greeted(&mut self, now: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        if !matches!(reply, Reply::Map(_)) {
            return self.off(now, "the server doesn't speak RESP3", effects);
        }
        let prefix = self.settings.prefix.clone();
        let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON", b"BCAST"];
        if !prefix.is_empty() {
            words.extend([&b"PREFIX"[..], &prefix]);
        }
        self.ask(now, Owed::Track, &words, effects);
    }

    /// Changes are pushed from now on. What was asked for before may miss one.
    fn tracked(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.tracks = true;
        effects.extend([Effect::Source(Source::Tracking), Effect::RaiseEpoch]);
        let channel = self.settings.channel.clone();
        self.ask(now, Owed::Subscribe, &[b"SUBSCRIBE", &channel], effects);
    }

    fn prove(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.stage = Stage::Proving;
        self.until = now.saturating_add(self.settings.read_timeout);
        self.send_canary(self.until, effects);
    }

    fn send_canary(&mut self, until: u64, effects: &mut Vec<Effect>) {
        let number = self.random();
        let canary = Canary::new(&self.settings.prefix, number, until);
        let words: [&[u8]; 5] = [b"SET", &canary.key, b"", b"PX", b"10000"];
        self.send(Owed::Canary, &words, effects);
        self.canary = Some(canary);
    }

    fn pushed(&mut self, now: u64, push: &Push, effects: &mut Vec<Effect>) {
        match heard(push, &self.settings.channel) {
            Heard::Changed(keys) => {
                for key in keys.iter().filter_map(key) {
                    self.changed(now, key, effects);
                }
            }
            Heard::All => effects.push(Effect::RaiseEpoch),
            Heard::Subscribed if self.owed.front() == Some(&Owed::Subscribe) => {
                self.owed.pop_front();
                self.prove(now, effects);
            }
            Heard::Subscribed | Heard::Unsubscribed | Heard::Other => {}
        }
    }

    fn changed(&mut self, now: u64, key: &Bytes, effects: &mut Vec<Effect>) {
        if self.canary.take_if(|canary| canary.key == key).is_none() {
            effects.push(Effect::Invalidate(key.clone()));
            return;
        }
        self.proven = now;
        self.next_canary = now.saturating_add(CANARY);
        if self.stage == Stage::Proving {
            self.stage = Stage::Live;
            self.beat = Beat::new(now);
            self.trouble.over(effects);
        }
    }

    fn pong(&mut self, now: u64, sent: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        if reply.text().is_none_or(|text| text != "PONG") {
            return self.lost(now, "an unexpected reply to PING", effects);
        }
        self.losses = 0;
        self.beat.hear(now);
        let until = sent.saturating_add(LEASE);
        if until > now {
            effects.push(Effect::Lease { until });
        }
    }

    /// Looks whether the time of something is over.
    fn expire(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let is_over = now >= self.until;
        match self.stage {
            Stage::Waiting if is_over => {
                self.stage = Stage::Connecting;
                let time = self.settings.connect_timeout.max(1);
                self.until = now.saturating_add(time);
                effects.push(Effect::Connect);
            }
            Stage::Connecting if is_over => self.lost(now, "connecting took too long", effects),
            Stage::Asking if is_over => self.lost(now, "no reply came in time", effects),
            Stage::Proving if is_over && self.owed.is_empty() => {
                let reason = "the server agrees to CLIENT TRACKING, and pushes nothing; is there a proxy before it?";
                self.off(now, reason, effects);
            }
            Stage::Proving if is_over => self.lost(now, "no reply came in time", effects),
            Stage::Live if self.beat.is_dead(now) => {
                self.lost(now, "no reply to PING came in time", effects);
            }
            Stage::Live if self.canary.as_ref().is_some_and(|it| now >= it.until) => {
                self.lost(now, "a change wasn't pushed", effects);
            }
            Stage::Live if now >= self.proven.saturating_add(UNPROVEN) => {
                let reason = "the server takes no write to see whether it pushes changes";
                self.lost(now, reason, effects);
            }
            _ => {}
        }
    }

    /// Sends what is due on a live feed.
    fn pulse(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.stage != Stage::Live || !self.beat.is_due(now) {
            return;
        }
        if self.owed.len() >= OWED {
            return self.lost(now, "the server replies to nothing", effects);
        }
        if self.canary.is_none() && now >= self.next_canary {
            self.send_canary(now.saturating_add(LEASE), effects);
        }
        self.send(Owed::Ping(now), &[b"PING"], effects);
    }

    fn refused(&mut self, now: u64, owed: Owed, refusal: &Refusal, effects: &mut Vec<Effect>) {
        let words = refusal.words();
        match refusal {
            Refusal::Elsewhere(_) => {
                effects.push(Effect::Refresh);
                self.lost(now, words, effects);
            }
            Refusal::Later(_) => self.lost(now, words, effects),
            Refusal::Never(_) => {
                let remedy = match owed {
                    Owed::Hello => "Redis 6 and later speak RESP3",
                    Owed::Track => "the user needs +client|tracking",
                    _ => {
                        "the user must be able to SET keys that begin with the prefix of \"memory\""
                    }
                };
                self.off(now, &format!("\"{words}\"; {remedy}"), effects);
            }
        }
    }

    /// Nothing is trusted until a canary has come again.
    fn lost(&mut self, now: u64, reason: &str, effects: &mut Vec<Effect>) {
        let (least, most) = BACK_OFF;
        let pause = (least << self.losses.min(8)).min(most);
        self.losses = self.losses.saturating_add(1);
        let pause = pause - self.random() % (pause / 4);
        self.end(now.saturating_add(pause), effects);
        self.trouble.lost(reason, effects);
    }

    /// The server doesn't do what is needed.
    fn off(&mut self, now: u64, reason: &str, effects: &mut Vec<Effect>) {
        self.end(now.saturating_add(AGAIN), effects);
        self.trouble.off(reason, effects);
    }

    fn end(&mut self, again: u64, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.tracks) {
            let nothing = Effect::Source(Source::Nothing);
            effects.extend([Effect::Revoke, nothing, Effect::RaiseEpoch]);
        }
        effects.push(Effect::Close);
        self.stage = Stage::Waiting;
        self.until = again;
        self.owed.clear();
        self.canary = None;
    }

    /// Sends a command whose reply must come before anything else is done.
    fn ask(&mut self, now: u64, owed: Owed, words: &[&[u8]], effects: &mut Vec<Effect>) {
        self.until = now.saturating_add(self.settings.read_timeout);
        self.send(owed, words, effects);
    }

    fn send(&mut self, owed: Owed, words: &[&[u8]], effects: &mut Vec<Effect>) {
        self.owed.push_back(owed);
        let words = words.iter().map(|word| Bytes::copy_from_slice(word));
        effects.push(Effect::Send(words.collect()));
    }

    /// A number of xorshift64.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
