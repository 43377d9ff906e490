//! Awaiting a condition: polled every few milliseconds, with a deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(5);

/// How long a test waits for what must happen: many times what a busy machine takes, since only a test that fails waits
/// for so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `probe` gives something; `None` once `within` has passed.
pub fn eventually<T>(within: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

/// Polls until `condition` is true; gives how long that took.
///
/// # Panics
///
/// If it isn't true after `within`: with `what` was awaited.
#[track_caller]
pub fn wait_for(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    match eventually(within, || condition().then_some(())) {
        Some(()) => start.elapsed(),
        None => panic!("waited {within:?} in vain for: {what}"),
    }
}

/// Polls for the whole of `period` and says whether `condition` was true each time: for what must *not* happen.
pub fn holds_for(period: Duration, mut condition: impl FnMut() -> bool) -> bool {
    eventually(period, || (!condition()).then_some(())).is_none()
}

/// Raises a flag when it is dropped, by a panic too: threads of a scope that go on until then let a test that fails end.
#[derive(Debug)]
pub struct Ending<'a>(&'a AtomicBool);

impl<'a> Ending<'a> {
    /// Raises `over`.
    #[must_use]
    pub fn raises(over: &'a AtomicBool) -> Ending<'a> {
        Ending(over)
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
