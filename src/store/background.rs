//! Work that no request waits for: who has which keys, and the like. It runs on nginx's loop, in tasks of its own.

use std::cell::OnceCell;
use std::future::Future;
use std::mem::ManuallyDrop;

use executor::Executor;

use crate::ngx::event::Posted;
use crate::ngx::guard::report;

thread_local! {
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static EXECUTOR: ManuallyDrop<Executor<()>> = ManuallyDrop::new(Executor::new(
        notify,
        |()| {},
        |cause| report("background task", cause.as_ref()),
    ));
    static TURN: OnceCell<ManuallyDrop<Posted>> = const { OnceCell::new() };
}

/// A task is ready: run it in this turn of the event loop, but not inside whoever woke it.
fn notify() {
    TURN.with(|turn| {
        turn.get_or_init(|| ManuallyDrop::new(Posted::new(|| EXECUTOR.with(|tasks| tasks.run()))))
            .post();
    });
}

/// Takes a task.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    EXECUTOR.with(|executor| executor.spawn(work, ()));
}
