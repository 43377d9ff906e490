//! This worker's process, and whether another one lives.

use std::cell::RefCell;
use std::collections::HashMap;

use ngx::ffi::{NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_errno, ngx_pid, ngx_process};

use crate::ngx::event::now_msec;

/// More processes than this have no place in a zone.
const MOST: usize = 512;

/// How long it stays known whether a process lives, in milliseconds: as often a lock that is waited for is looked at.
const FRESH: u64 = 50;

thread_local! {
    /// When a process was last looked for, in milliseconds, and whether it lived.
    static KNOWN: RefCell<HashMap<i32, (u64, bool)>> = RefCell::default();
}

/// This worker's process.
pub fn pid() -> i32 {
    // SAFETY: set by nginx at start and after each fork.
    unsafe { ngx_pid }
}

/// Whether this process serves requests. The cache manager and the cache loader of nginx begin as workers do, and don't.
pub fn serves() -> bool {
    // SAFETY: set by nginx at start and after each fork.
    let kind = unsafe { ngx_process };
    [NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER].contains(&(kind as u32))
}

/// Whether a process lives, as of [`FRESH`] milliseconds ago at most; no lock is taken. One that may not be signalled
/// lives.
pub fn is_alive(process: i32) -> bool {
    if process == pid() {
        return true;
    }
    let now = now_msec();
    KNOWN.with_borrow_mut(|known| {
        if let Some((when, alive)) = known.get(&process)
            && now.saturating_sub(*when) < FRESH
        {
            return *alive;
        }
        if known.len() >= MOST {
            known.clear();
        }
        // SAFETY: signal 0 only asks.
        let found = unsafe { libc::kill(process, 0) } == 0 || ngx_errno() != libc::ESRCH;
        let alive = process > 0 && found;
        known.insert(process, (now, alive));
        alive
    })
}

/// Gives the processor to others that are ready to run.
pub fn yield_now() {
    // SAFETY: it does nothing else.
    unsafe { libc::sched_yield() };
}
