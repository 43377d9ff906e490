//! Keeps a worker that shuts down alive while it has work that no client waits for.
//!
//! A worker exits as soon as no timer is left that isn't cancelable. One timer stands for all the
//! work; what changes with the work is only whether it is cancelable, so that a guard costs no
//! operation on nginx's tree of timers.
//!
//! All that ends with worker_shutdown_timeout: nginx then closes every connection, those of fills
//! and those to stores among them, which say so here.

use std::cell::{Cell, OnceCell};
use std::mem::ManuallyDrop;

use super::event::Timer;

/// How often the timer is armed again while there is work.
const TICK: u64 = 1000;

#[derive(Default)]
struct Work {
    count: Cell<usize>,
    /// worker_shutdown_timeout has passed.
    given_up: Cell<bool>,
    timer: OnceCell<Timer>,
}

thread_local! {
    /// Never dropped: at exit nginx frees its memory before thread locals are destroyed, and a timer
    /// would then be taken out of a tree that is gone.
    static WORK: ManuallyDrop<Work> = ManuallyDrop::new(Work::default());
}

/// Work in progress. The worker stays until all of these are dropped.
#[must_use]
pub struct ShutdownGuard(());

/// Keeps the worker alive until the guard is dropped.
pub fn delay() -> ShutdownGuard {
    WORK.with(|work| {
        if work.count.get() == 0 && !work.given_up.get() {
            let timer = work.timer.get_or_init(|| Timer::new(false, tick));
            timer.set_cancelable(false);
            if !timer.is_armed() {
                timer.arm(TICK);
            }
        }
        work.count.set(work.count.get().saturating_add(1));
    });
    ShutdownGuard(())
}

/// nginx closes connections because worker_shutdown_timeout has passed: from now on nothing keeps
/// the worker, and nothing is begun that would.
pub fn give_up() {
    WORK.with(|work| {
        work.given_up.set(true);
        if let Some(timer) = work.timer.get() {
            timer.set_cancelable(true);
        }
    });
}

/// Whether [`give_up`] was called.
pub fn has_given_up() -> bool {
    WORK.with(|work| work.given_up.get())
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        WORK.with(|work| {
            work.count.set(work.count.get().saturating_sub(1));
            if work.count.get() == 0
                && let Some(timer) = work.timer.get()
            {
                // It may still fire once, for nothing; a worker that shuts down doesn't wait for it.
                timer.set_cancelable(true);
            }
        });
    }
}

fn tick() {
    WORK.with(|work| {
        if work.count.get() > 0
            && !work.given_up.get()
            && let Some(timer) = work.timer.get()
        {
            timer.arm(TICK);
        }
    });
}
