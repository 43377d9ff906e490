//! Delays the exit of a worker that shuts down while it has work that no client waits for.
//!
//! A worker exits as soon as no timer is left that isn't cancelable. One timer stands for all guards. Guards only
//! change whether it is cancelable, so that a guard costs no operation on nginx's tree of timers.
//!
//! The delay ends with worker_shutdown_timeout. nginx then closes every connection, those of fills and those to stores
//! among them, and their owners call [`time_out`].

use std::cell::{Cell, OnceCell};
use std::mem::ManuallyDrop;

use ngx::ffi::ngx_exiting;

use super::event::Timer;

/// How often the timer is armed again while there are guards, in milliseconds.
const TICK: u64 = 1000;

#[derive(Default)]
struct Shutdown {
    guards: Cell<usize>,
    /// worker_shutdown_timeout has passed.
    timed_out: Cell<bool>,
    timer: OnceCell<Timer>,
}

thread_local! {
    /// Never dropped: at exit nginx frees its memory before thread locals are destroyed, and a timer
    /// would then be taken out of a tree that is gone.
    static SHUTDOWN: ManuallyDrop<Shutdown> = ManuallyDrop::new(Shutdown::default());
}

/// Work in progress. The worker exits when the last guard is dropped.
#[must_use]
pub struct ShutdownGuard(());

/// Delays the worker's exit until the guard is dropped.
pub fn delay() -> ShutdownGuard {
    SHUTDOWN.with(|shutdown| {
        if shutdown.guards.get() == 0 && !shutdown.timed_out.get() {
            let timer = shutdown.timer.get_or_init(|| Timer::new(false, tick));
            timer.set_cancelable(false);
            if !timer.is_armed() {
                timer.arm(TICK);
            }
        }
        shutdown.guards.set(shutdown.guards.get().saturating_add(1));
    });
    ShutdownGuard(())
}

/// Whether this worker shuts down: it takes no new clients, and serves those that it has.
pub fn has_begun() -> bool {
    // SAFETY: a word that a signal's handler or nginx's loop writes, whole.
    unsafe { (&raw const ngx_exiting).read_volatile() != 0 }
}

/// Says that nginx closes connections because worker_shutdown_timeout has passed. Guards delay the exit no longer.
pub fn time_out() {
    SHUTDOWN.with(|shutdown| {
        shutdown.timed_out.set(true);
        if let Some(timer) = shutdown.timer.get() {
            timer.set_cancelable(true);
        }
    });
}

/// Whether worker_shutdown_timeout has passed: then no work is begun that would need a guard.
pub fn has_timed_out() -> bool {
    SHUTDOWN.with(|shutdown| shutdown.timed_out.get())
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        SHUTDOWN.with(|shutdown| {
            shutdown.guards.set(shutdown.guards.get().saturating_sub(1));
            if shutdown.guards.get() == 0
                && let Some(timer) = shutdown.timer.get()
            {
                // It may still fire once, for nothing; a worker that shuts down doesn't wait for it.
                timer.set_cancelable(true);
            }
        });
    }
}

fn tick() {
    SHUTDOWN.with(|shutdown| {
        if shutdown.guards.get() > 0
            && !shutdown.timed_out.get()
            && let Some(timer) = shutdown.timer.get()
        {
            timer.arm(TICK);
        }
    });
}
