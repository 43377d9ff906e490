//! Says once per worker and backend that the backend's clock is wrong: its responses are taken for older than they are.

use std::cell::RefCell;
use std::collections::HashSet;

use cache_core::freshness::clock_behind;
use cache_core::shown::shown;
use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;

use crate::ngx::request::Request;
use crate::ngx::upstream::captured::{self, Captured};

/// So many backends are remembered. Beyond it nothing is said any more.
const BACKENDS: usize = 1024;

thread_local! {
    static SAID: RefCell<HashSet<Box<[u8]>>> = RefCell::default();
}

/// Looks at the Date of a response to a fill.
pub fn check(r: Request, captured: &Captured, now: u64) {
    let behind = clock_behind(&captured.headers, &captured.dates, captured.delay, now);
    let (Some(behind), Some(peer)) = (behind, captured::peer(r)) else {
        return;
    };
    let is_new = SAID.with_borrow_mut(|said| said.len() < BACKENDS && said.insert(peer.into()));
    if is_new {
        let (peer, seconds) = (shown(peer), behind.unsigned_abs());
        let what = if behind > 0 {
            "is behind: its answers are taken for that much older"
        } else {
            "is ahead"
        };
        ngx_log_error!(
            NGX_LOG_WARN,
            r.log(),
            "redis_cache: by its Date the clock of backend \"{peer}\" {what} ({seconds} s); set it, \
             or use \"redis_cache_ignore_headers Date\""
        );
    }
}
