//! One guard around every entry point that C calls.
//!
//! A panic that reaches C aborts the worker with all its clients. Behind the guard it costs one
//! request.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ngx::ffi::{NGX_LOG_ALERT, ngx_cycle};
use ngx::ngx_log_error;

/// Runs `f`; if it panics, logs an alert that names `place` and returns `fallback`.
pub fn guard<T>(place: &'static str, fallback: T, f: impl FnOnce() -> T) -> T {
    // State that a panic leaves half-changed belongs to the request that ends with it.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => value,
        Err(cause) => {
            report(place, cause.as_ref());
            fallback
        }
    }
}

/// The variable of the environment that names a place for [`trip`].
#[cfg(debug_assertions)]
const TRIPPED: &str = "REDIS_CACHE_PANIC";

/// Panics where the environment says so, in builds with assertions alone: what a panic costs is tested by this.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "that is what it is for")]
pub fn trip(place: &str) {
    if std::env::var_os(TRIPPED).is_some_and(|wanted| wanted == place) {
        panic!("the environment says so");
    }
}

/// Nothing: a release can't be told to panic.
#[cfg(not(debug_assertions))]
pub fn trip(_: &str) {}

/// The variable of the environment that names a place for [`starves`].
#[cfg(debug_assertions)]
const STARVED: &str = "REDIS_CACHE_NO_MEMORY";

/// Whether the environment says that there is no memory at a place, in builds with assertions alone: what is done
/// without memory is tested by this.
#[cfg(debug_assertions)]
pub fn starves(place: &str) -> bool {
    std::env::var_os(STARVED).is_some_and(|wanted| wanted == place)
}

/// Never: a release can't be told so.
#[cfg(not(debug_assertions))]
pub fn starves(_: &str) -> bool {
    false
}

/// Logs a panic.
pub fn report(place: &str, cause: &(dyn Any + Send)) {
    let text = cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    // SAFETY: ngx_cycle points to a cycle with a log from the first configuration on.
    let log = unsafe { (*ngx_cycle).log };
    ngx_log_error!(
        NGX_LOG_ALERT,
        log,
        "redis_cache: panic in {place}: {text}; please report it"
    );
}
