//! The executor of this worker: tasks that run on nginx's event loop.

use std::cell::OnceCell;
use std::future::Future;
use std::mem::ManuallyDrop;

use executor::{Executor, TaskId};

use crate::ngx::event::Posted;
use crate::ngx::guard::report;
use crate::ngx::request::{Code, Request};

thread_local! {
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static EXECUTOR: ManuallyDrop<Executor<Ending>> =
        ManuallyDrop::new(Executor::new(notify, finish, |cause| report("task", cause.as_ref())));
    static TURN: OnceCell<ManuallyDrop<Posted>> = const { OnceCell::new() };
}

/// A task is ready: run it in this turn of the event loop, but not inside whoever woke it.
fn notify() {
    TURN.with(|turn| {
        turn.get_or_init(|| ManuallyDrop::new(Posted::new(|| EXECUTOR.with(|tasks| tasks.run()))))
            .post();
    });
}

/// What a task ends with.
pub type Ending = Option<Go>;

/// A request goes on, once the future of its task is gone: that may free the request.
pub struct Go {
    /// The request.
    pub request: Request,
    /// What it is to be finalized with, if that is known.
    pub code: Option<Code>,
    /// How it goes on.
    pub on: fn(Request, Option<Code>),
}

fn finish(ending: Ending) {
    if let Some(go) = ending {
        (go.on)(go.request, go.code);
    }
}

/// Takes a task that serves nobody.
pub fn spawn(work: impl Future<Output = Ending> + 'static) -> TaskId {
    EXECUTOR.with(|executor| executor.spawn(work, None))
}

/// Takes a task that serves a request, which goes on like this should it panic.
pub fn serve(work: impl Future<Output = Ending> + 'static, otherwise: Go) -> TaskId {
    EXECUTOR.with(|executor| executor.spawn(work, Some(otherwise)))
}

/// Drops a task with all it holds.
pub fn cancel(task: TaskId) {
    EXECUTOR.with(|executor| executor.cancel(task));
}
