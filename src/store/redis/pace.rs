//! The deadline of a whole transfer, beside that of each part: a peer that sends a byte now and then never exceeds the
//! time between two reads.

use std::cell::Cell;

use crate::ngx::event::now_msec;

/// The whole may take so many times what may pass between two parts,
const TIMES: u64 = 5;

/// and a second more for so many bytes that have come or gone: slow links carry large records.
const BYTES: u64 = 64 << 10;

/// How long a lookup may wait for the beginning of its reply, and any reply for its end but for its length, if
/// `timeout` milliseconds may pass between two reads.
pub fn patience(timeout: u64) -> u64 {
    timeout.saturating_mul(TIMES)
}

/// Something under way.
#[derive(Default)]
pub struct Pace {
    since: Cell<u64>,
    bytes: Cell<u64>,
}

impl Pace {
    /// Something that begins now.
    pub fn new() -> Pace {
        let pace = Pace::default();
        pace.restart();
        pace
    }

    /// The next begins.
    pub fn restart(&self) {
        self.since.set(now_msec());
        self.bytes.set(0);
    }

    /// So many bytes more have come, or gone.
    pub fn moved(&self, bytes: usize) {
        self.bytes
            .set(self.bytes.get().saturating_add(bytes as u64));
    }

    /// When it is to be over, in milliseconds, if `timeout` may pass between two parts.
    pub fn end(&self, timeout: u64) -> u64 {
        let for_bytes = self.bytes.get().saturating_mul(1000) / BYTES;
        self.since
            .get()
            .saturating_add(patience(timeout))
            .saturating_add(for_bytes)
    }

    /// Whether it should be over.
    pub fn is_over(&self, timeout: u64) -> bool {
        now_msec() >= self.end(timeout)
    }
}
