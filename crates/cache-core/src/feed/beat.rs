//! The pulse of a feed that is live: when PING is due, and when it is dead. Times are in milliseconds.

use super::event::MESSAGES_VALID;

/// Time between two PINGs. Where messages must do, it is the time between two epochs as well.
const PING: u64 = MESSAGES_VALID;
/// How long a PING that was answered is a proof, from when it was sent; and how long a feed without a PONG is believed to
/// live.
pub const LEASE: u64 = 3000;

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
    pub const fn is_due(&mut self, now: u64) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now.saturating_add(PING);
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
