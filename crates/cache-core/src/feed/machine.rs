//! The feed: events in, effects out. It has no clock and does nothing itself.

mod greeting;
mod live;
mod mark;
mod proof;

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use bytes::Bytes;

use self::mark::Mark;
use super::beat::Beat;
use super::canary::{self, Canary};
use super::cluster::{Owners, View};
use super::event::{Effect, Event, HEED, Settings, Source};
use super::heard::{self, Heard, heard};
use super::trouble::Trouble;
use crate::cluster::Slot;
use crate::resp::Reply;

/// How long a feed is believed without a canary because the server writes nothing for now, in milliseconds.
const UNPROVEN: u64 = 90_000;
/// Time until a server that has refused is asked again, in milliseconds.
const AGAIN: u64 = 30_000;
/// Shortest and longest time until a lost connection is opened again, in milliseconds.
const BACK_OFF: (u64, u64) = (100, 1000);
/// So much sooner than needed [`Effect::Tell`] is repeated, in milliseconds.
const HEED_AGAIN: u64 = 30_000;

/// Keys of one push that are handled one by one. Of more all is void.
const MANY: usize = 50_000;

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
    /// CLUSTER INFO
    View,
    /// CLUSTER SLOTS
    Owners,
    Track,
    /// With RESP3 it is a push that tells of success.
    Subscribe,
    Canary,
    /// EXISTS
    Mark,
    /// When it was sent.
    Ping(u64),
}

/// What is known of the server at the other end of the connection.
#[derive(Clone, Debug, Default)]
struct Peer {
    /// It doesn't speak RESP3: once subscribed, it takes no command but PING.
    is_old: bool,
    /// It has agreed to the subscription.
    subscribed: bool,
    /// Why it isn't relied on to push changes.
    untracked: Option<String>,
    /// That has a reason that passes.
    is_passing: bool,
    /// What it says of its Cluster. Both are known, or neither.
    view: Option<View>,
    owners: Option<Owners>,
    mark: Mark,
}

/// Hears from one master which keys have changed.
#[derive(Debug)]
pub struct Feed {
    settings: Settings,
    random: u64,
    stage: Stage,
    /// When the stage ends, or when a live feed begins anew to see whether there is a better source.
    until: u64,
    /// What the tier relies on, or will once it is proven. Workers may have noted the epoch unless it is nothing.
    source: Source,
    peer: Peer,
    owed: VecDeque<Owed>,
    canary: Option<Canary>,
    next_canary: u64,
    /// When the last canary came.
    proven: u64,
    beat: Beat,
    losses: u32,
    /// Until when this machine publishes its changes.
    telling: u64,
    trouble: Trouble,
}

impl Feed {
    /// A feed that connects at its first event. `seed` is for names of canaries, and for jitter: no two feeds have the same.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            // Seeds that are alike give numbers that aren't.
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            stage: Stage::Waiting,
            until: 0,
            source: Source::Nothing,
            peer: Peer::default(),
            owed: VecDeque::new(),
            canary: None,
            next_canary: 0,
            proven: 0,
            beat: Beat::default(),
            losses: 0,
            telling: 0,
            trouble: Trouble::default(),
        }
    }

    /// Tells which slots the server has by now. A canary must be one of its keys.
    pub fn set_slots(&mut self, slots: Vec<RangeInclusive<Slot>>) {
        self.settings.slots = Some(slots);
    }

    /// What the tier may rely on now, as long as a lease says.
    #[must_use]
    pub fn source(&self) -> Source {
        match self.stage {
            Stage::Live => self.source,
            _ => Source::Nothing,
        }
    }

    /// When the next [`Event::Tick`] is due, at the latest.
    #[must_use]
    pub fn wakes_at(&self) -> u64 {
        match self.stage {
            Stage::Live => {
                let canary = self.canary.iter().map(|canary| canary.until);
                let wakes = canary.fold(self.beat.wakes_at(), u64::min);
                wakes.min(self.until)
            }
            _ => self.until,
        }
    }

    /// Takes an event at `now`, in milliseconds, and appends what is to be done.
    pub fn handle(&mut self, now: u64, event: Event<'_>, effects: &mut Vec<Effect>) {
        let is_open = !matches!(self.stage, Stage::Waiting | Stage::Connecting);
        match event {
            Event::Connected if self.stage == Stage::Connecting => self.greet(now, effects),
            Event::Closed if self.stage == Stage::Connecting => {
                self.lost(now, "no connection", effects);
            }
            Event::Closed if is_open => self.lost(now, "the connection was closed", effects),
            Event::Reply(reply) if is_open => self.hear(now, reply, effects),
            Event::Push(push) if is_open => self.pushed(now, &push.0, effects),
            Event::Published(reply) if is_open => self.published(now, reply, effects),
            _ => {}
        }
        self.expire(now, effects);
        self.pulse(now, effects);
        if self.source() != Source::Tracking {
            // Another machine may have begun to live on messages while this one heard nothing.
            self.heed(now, effects);
        }
    }

    /// Ends it for good: another worker takes over, or the server isn't the master any more.
    pub fn leave(&mut self, effects: &mut Vec<Effect>) {
        self.end(u64::MAX, effects);
    }

    /// RESP2 knows no pushes: what a subscription brings are replies that nobody has asked for.
    fn hear(&mut self, now: u64, reply: &Reply, effects: &mut Vec<Effect>) {
        match reply {
            Reply::Array(Some(elements)) if self.peer.is_old && heard::is_push(reply) => {
                self.pushed(now, elements, effects);
            }
            _ => self.replied(now, reply, effects),
        }
    }

    fn pushed(&mut self, now: u64, elements: &[Reply], effects: &mut Vec<Effect>) {
        match heard(elements, &self.settings.channel) {
            // To handle them one by one would take longer than to look up again what is used.
            Heard::Changed(keys) if keys.len() > MANY => {
                let is_canary =
                    |canary: &Canary| keys.iter().any(|key| heard::key(key) == Some(&canary.key));
                if self.canary.take_if(|canary| is_canary(canary)).is_some() {
                    self.proved(now, effects);
                }
                effects.push(Effect::RaiseEpoch);
            }
            Heard::Changed(keys) => {
                for key in keys.iter().filter_map(heard::key) {
                    self.changed(now, key, effects);
                }
            }
            Heard::Told(key) if self.source == Source::Messages => {
                self.changed(now, key, effects);
            }
            Heard::Told(key) if canary::is_one(key, &self.settings.prefix) => {
                self.heed(now, effects);
            }
            Heard::All => {
                self.peer.mark.forget();
                effects.push(Effect::RaiseEpoch);
            }
            Heard::Subscribed if self.owed.front() == Some(&Owed::Subscribe) => {
                self.owed.pop_front();
                self.subscribed(now, effects);
            }
            Heard::Unsubscribed if self.source == Source::Messages => {
                self.lost(now, "the subscription was ended", effects);
            }
            Heard::Told(_) | Heard::Subscribed | Heard::Unsubscribed | Heard::Other => {}
        }
    }

    fn changed(&mut self, now: u64, key: &Bytes, effects: &mut Vec<Effect>) {
        if self.canary.take_if(|canary| canary.key == key).is_some() {
            self.proved(now, effects);
        } else if self.peer.mark.is(key) {
            self.mark_removed(effects);
        } else {
            effects.push(Effect::Invalidate(key.clone()));
        }
    }

    /// Somebody lives on messages, or may do so: this machine is to tell of its changes.
    fn heed(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let until = now.saturating_add(HEED);
        if until >= self.telling.saturating_add(HEED_AGAIN) {
            self.telling = until;
            effects.push(Effect::Tell { until });
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
            Stage::Proving if is_over && self.owed.is_empty() => self.unproved(now, effects),
            Stage::Asking | Stage::Proving if is_over => {
                self.lost(now, "no reply came in time", effects);
            }
            Stage::Live => self.expire_live(now, is_over, effects),
            _ => {}
        }
    }

    fn expire_live(&mut self, now: u64, is_over: bool, effects: &mut Vec<Effect>) {
        let is_late = self.canary.as_ref().is_some_and(|it| now >= it.until);
        let is_unproven = now >= self.proven.saturating_add(UNPROVEN);
        if self.beat.is_dead(now) {
            self.lost(now, "no reply to PING came in time", effects);
        } else if is_late {
            self.lost(now, "a change wasn't told in time", effects);
        } else if is_unproven {
            let reason = "the server takes no write that would show whether changes are told";
            self.lost(now, reason, effects);
        } else if is_over {
            self.end(now.saturating_add(BACK_OFF.0), effects);
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

    /// The server does nothing that the tier could rely on.
    fn off(&mut self, now: u64, reason: &str, effects: &mut Vec<Effect>) {
        self.end(now.saturating_add(AGAIN), effects);
        self.trouble.off(reason, effects);
    }

    /// Closes the connection. `again`: when the next is opened. The epoch is raised by the next one that relies on something:
    /// until then there is no lease, and if the server is down the tier may carry on alone with what it has.
    fn end(&mut self, again: u64, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.source, Source::Nothing) != Source::Nothing {
            effects.push(Effect::Revoke);
        }
        if self.stage != Stage::Waiting {
            effects.push(Effect::Close);
        }
        self.stage = Stage::Waiting;
        self.until = again;
        self.peer = Peer::default();
        self.owed.clear();
        self.canary = None;
    }

    /// The tier may rely on this once it is proven. What was asked for before may miss a change.
    fn rely_on(&mut self, source: Source, effects: &mut Vec<Effect>) {
        self.source = source;
        effects.push(Effect::RaiseEpoch);
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
        next(&mut self.random)
    }
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
