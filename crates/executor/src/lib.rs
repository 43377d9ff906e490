//! A single-threaded executor: one in each worker of nginx, one in each worker of the simulation.
//!
//! Waking never polls: it queues the task and calls the notifier, so that it is safe anywhere.
//! Cancelling drops the future at once: what it holds (a permit, a subscription) is given back
//! before the request that it served is freed.
#![forbid(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What remains to be done when a task has ended and its future is gone: for example to finalize
/// the request that it served, which may free all that the future pointed to.
pub type Then = Option<Box<dyn FnOnce()>>;

/// Does what a task has left to be done.
pub fn finish(then: Then) {
    if let Some(then) = then {
        then();
    }
}

/// What a panic carries: mostly its message.
pub type Cause = Box<dyn Any + Send>;

type Work<T> = Pin<Box<dyn Future<Output = T>>>;

/// Names a task of one executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId {
    index: usize,
    generation: u64,
}

struct Slot<T> {
    generation: u64,
    /// Absent while the task is being polled, and in a free slot.
    work: Option<Work<T>>,
    /// In a free slot that of its last task.
    handle: Arc<Handle>,
    /// What the task ends with should it panic. Absent in a free slot.
    otherwise: Option<T>,
}

/// The tasks of one thread and the queue of those that are ready. They end with a `T`, by default what
/// remains to be done.
pub struct Executor<T = Then> {
    slots: RefCell<Vec<Slot<T>>>,
    free: RefCell<Vec<usize>>,
    ready: Arc<Ready>,
    finish: fn(T),
    panicked: fn(Cause),
}

struct Ready {
    queue: Mutex<VecDeque<Arc<Handle>>>,
    notify: fn(),
}

impl Ready {
    fn push(&self, handle: Arc<Handle>) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(handle);
        (self.notify)();
    }

    fn pop(&self) -> Option<Arc<Handle>> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

struct Handle {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(Arc::clone(self));
        }
    }
}

impl<T: 'static> Executor<T> {
    /// `notify` is called when a task has become ready; it arranges for [`Executor::run`] to be
    /// called soon, not at once. `finish` gets what a task ends with, once its future is gone;
    /// `panicked` is told before, if that is a panic.
    pub fn new(notify: fn(), finish: fn(T), panicked: fn(Cause)) -> Self {
        let ready = Ready {
            queue: Mutex::new(VecDeque::new()),
            notify,
        };
        Executor {
            slots: RefCell::new(Vec::new()),
            free: RefCell::new(Vec::new()),
            ready: Arc::new(ready),
            finish,
            panicked,
        }
    }

    /// Takes a task and queues its first poll. Should it panic, it alone ends, with `otherwise`.
    pub fn spawn(&self, work: impl Future<Output = T> + 'static, otherwise: T) -> TaskId {
        let work: Work<T> = Box::pin(work);
        let mut slots = self.slots.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or(slots.len());
        let id = TaskId {
            index,
            generation: slots.get(index).map_or(0, |slot| slot.generation),
        };
        let handle = match slots.get_mut(index) {
            Some(slot) => {
                // Nobody else has it, unless a waker of its last task is still about.
                match Arc::get_mut(&mut slot.handle) {
                    Some(handle) => {
                        handle.id = id;
                        *handle.queued.get_mut() = true;
                    }
                    None => slot.handle = self.handle(id),
                }
                slot.work = Some(work);
                slot.otherwise = Some(otherwise);
                Arc::clone(&slot.handle)
            }
            None => {
                let handle = self.handle(id);
                slots.push(Slot {
                    generation: id.generation,
                    work: Some(work),
                    handle: Arc::clone(&handle),
                    otherwise: Some(otherwise),
                });
                handle
            }
        };
        drop(slots);
        self.ready.push(handle);
        id
    }

    fn handle(&self, id: TaskId) -> Arc<Handle> {
        Arc::new(Handle {
            id,
            queued: AtomicBool::new(true),
            ready: Arc::clone(&self.ready),
        })
    }

    /// Drops a task with all it holds. A task that is being polled ends after that poll, and nothing is done with what
    /// it ends with; one that has ended already is left alone.
    pub fn cancel(&self, id: TaskId) {
        let released = self.release(id);
        drop(released);
    }

    /// Frees a slot. Gives what was in it, which may use the executor when it is dropped.
    fn release(&self, id: TaskId) -> Option<(Option<Work<T>>, Option<T>)> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots
            .get_mut(id.index)
            .filter(|slot| slot.generation == id.generation)?;
        slot.generation += 1;
        self.free.borrow_mut().push(id.index);
        Some((slot.work.take(), slot.otherwise.take()))
    }

    fn take(&self, id: TaskId) -> Option<Work<T>> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots
            .get_mut(id.index)
            .filter(|slot| slot.generation == id.generation)?;
        slot.work.take()
    }

    /// Puts a task back that isn't finished; gives it back if it was cancelled meanwhile.
    fn put_back(&self, id: TaskId, work: Work<T>) -> Option<Work<T>> {
        let mut slots = self.slots.borrow_mut();
        match slots
            .get_mut(id.index)
            .filter(|slot| slot.generation == id.generation)
        {
            Some(slot) => {
                slot.work = Some(work);
                None
            }
            None => Some(work),
        }
    }

    /// Polls every task that is ready, until none is.
    pub fn run(&self) {
        while let Some(handle) = self.ready.pop() {
            handle.queued.store(false, Ordering::Relaxed);
            let id = handle.id;
            let Some(mut work) = self.take(id) else {
                continue;
            };
            let waker = Waker::from(handle);
            let mut context = Context::from_waker(&waker);
            // What a panic leaves half-changed belongs to the task, which ends with it.
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
            let ending = match polled {
                Ok(Poll::Pending) => {
                    drop(self.put_back(id, work));
                    continue;
                }
                Ok(Poll::Ready(ending)) => Some(ending),
                Err(cause) => {
                    (self.panicked)(cause);
                    None
                }
            };
            drop(work);
            drop(waker);
            // A task that was cancelled while it was polled serves nobody any more: what it ends with may point to a
            // request that is gone.
            let Some((_, otherwise)) = self.release(id) else {
                continue;
            };
            if let Some(ending) = ending.or(otherwise) {
                (self.finish)(ending);
            }
        }
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        let slots = self.slots.borrow();
        slots.iter().filter(|slot| slot.otherwise.is_some()).count()
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
