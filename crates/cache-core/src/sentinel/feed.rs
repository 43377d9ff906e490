//! The subscription at one of the Sentinels, and whether it is alive.

/// A feed that has no PONG to show for this time, in milliseconds, is given up.
const SILENCE: u64 = 2500;
/// Time between two PINGs, in milliseconds.
const PING: u64 = 1000;

/// A subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// At which Sentinel.
    pub sentinel: usize,
    /// Whether the Sentinel has agreed.
    pub live: bool,
    heard: u64,
    next_ping: u64,
}

impl Feed {
    /// One that is asked for now.
    pub const fn new(sentinel: usize, now: u64) -> Self {
        Self {
            sentinel,
            live: false,
            heard: now,
            next_ping: now.saturating_add(PING),
        }
    }

    /// The Sentinel has agreed.
    pub const fn begin(&mut self, now: u64) {
        self.live = true;
        self.hear(now);
    }

    /// A PONG has come.
    pub const fn hear(&mut self, now: u64) {
        self.heard = now;
    }

    /// Whether nothing has been heard for too long.
    pub const fn is_dead(&self, now: u64) -> bool {
        now >= self.heard.saturating_add(SILENCE)
    }

    /// Whether it is time for a PING.
    pub const fn ping(&mut self, now: u64) -> bool {
        let due = self.live && now >= self.next_ping;
        if due {
            self.next_ping = now.saturating_add(PING);
        }
        due
    }

    /// When it needs attention again.
    pub fn wakes_at(&self) -> u64 {
        let silent = self.heard.saturating_add(SILENCE);
        if self.live {
            silent.min(self.next_ping)
        } else {
            silent
        }
    }
}
