//! The pulse of a feed that is live: when PING is due, and when it is dead. Times are in milliseconds.

use super::event::{MESSAGES_VALID, Source};

/// Time between two PINGs.
const PING: u64 = 1000;
/// The same where messages must do. A PONG that takes no longer than the rest of the lease leaves no gap.
const PING_MESSAGES: u64 = MESSAGES_VALID - 200;
/// How long a PING that was answered is a proof where the server pushes changes, from when it was sent; and how long any feed
/// without a PONG is believed to live.
pub const LEASE: u64 = 3000;

/// Until when a PING that was sent then is a proof once it is answered.
pub const fn leased_until(sent: u64, source: Source) -> u64 {
    sent.saturating_add(match source {
        Source::Messages => MESSAGES_VALID,
        Source::Tracking | Source::Nothing => LEASE,
    })
}

/// The pulse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    next: u64,
    heard: u64,
}

impl Beat {
    /// One that begins now.
    pub const fn new(now: u64) -> Self {
        Self {
            next: now,
            heard: now,
        }
    }

    /// Whether it is time for a PING, which is sent then.
    pub const fn is_due(&mut self, now: u64, source: Source) -> bool {
        let due = now >= self.next;
        if due {
            let pause = match source {
                Source::Messages => PING_MESSAGES,
                Source::Tracking | Source::Nothing => PING,
            };
            self.next = now.saturating_add(pause);
        }
        due
    }

    /// A PONG has come.
    pub const fn hear(&mut self, now: u64) {
        self.heard = now;
    }

    /// Whether no PONG has come for too long.
    pub const fn is_dead(&self, now: u64) -> bool {
        now >= self.heard.saturating_add(LEASE)
    }

    /// When it needs attention again.
    pub fn wakes_at(&self) -> u64 {
        self.next.min(self.heard.saturating_add(LEASE))
    }
}
