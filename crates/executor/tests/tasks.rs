//! Tasks: when they are polled, what cancels them, what a panic in one does.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use executor::{Executor, TaskId, Then, finish};

fn quiet() {}

#[test]
fn a_task_runs_when_woken_and_its_last_act_runs_after_it_is_gone() {
    let executor = Executor::new(quiet, finish, |_| {});
    let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
    let log: Rc<RefCell<Vec<&str>>> = Rc::default();
    let (slot, first) = (Rc::clone(&waker), Rc::clone(&log));
    executor.spawn(
        async move {
            let mut polled = false;
            poll_fn(|cx| {
                if polled {
                    return Poll::Ready(());
                }
                polled = true;
                *slot.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            first.borrow_mut().push("done");
            let after = Rc::clone(&first);
            let then: Then = Some(Box::new(move || after.borrow_mut().push("after")));
            then
        },
        None,
    );
    executor.run();
    assert!(log.borrow().is_empty());
    if let Some(waker) = waker.borrow_mut().take() {
        waker.wake();
    }
    executor.run();
    assert_eq!(*log.borrow(), ["done", "after"]);
    assert!(executor.is_empty());
}

struct Held(Rc<Cell<bool>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn cancelling_gives_back_at_once_what_the_task_holds() {
    let executor = Executor::new(quiet, finish, |_| {});
    let dropped = Rc::new(Cell::new(false));
    let held = Held(Rc::clone(&dropped));
    let id = executor.spawn(
        async move {
            let _held = held;
            std::future::pending::<()>().await;
            None
        },
        None,
    );
    executor.run();
    assert!(!dropped.get());
    executor.cancel(id);
    assert!(dropped.get());
    executor.cancel(id);
    executor.run();
    assert!(executor.is_empty());
}

#[test]
fn a_stale_wake_does_not_reach_the_next_task_in_the_same_slot() {
    let executor = Executor::new(quiet, finish, |_| {});
    let polls = Rc::new(Cell::new(0));
    let old: Rc<RefCell<Option<Waker>>> = Rc::default();
    let slot = Rc::clone(&old);
    let id = executor.spawn(
        async move {
            poll_fn(|cx| {
                *slot.borrow_mut() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .await;
            None
        },
        None,
    );
    executor.run();
    executor.cancel(id);
    let counter = Rc::clone(&polls);
    executor.spawn(
        async move {
            poll_fn(|_| {
                counter.set(counter.get() + 1);
                Poll::<()>::Pending
            })
            .await;
            None
        },
        None,
    );
    executor.run();
    if let Some(waker) = old.borrow_mut().take() {
        waker.wake();
    }
    executor.run();
    assert_eq!(polls.get(), 1);
}

#[test]
fn nothing_is_done_for_a_task_that_is_cancelled_while_it_is_polled() {
    for panics in [false, true] {
        let executor = Rc::new(Executor::new(quiet, finish, |_| {}));
        let done: Rc<Cell<u32>> = Rc::default();
        let then = |done: &Rc<Cell<u32>>| -> Then {
            let done = Rc::clone(done);
            Some(Box::new(move || done.set(done.get() + 1)))
        };
        let (ending, otherwise) = (then(&done), then(&done));
        let id: Rc<Cell<Option<TaskId>>> = Rc::default();
        let (own, cancels) = (Rc::clone(&id), Rc::downgrade(&executor));
        let work = async move {
            if let (Some(executor), Some(id)) = (cancels.upgrade(), own.get()) {
                executor.cancel(id);
            }
            assert!(!panics, "this panic is the test");
            ending
        };
        id.set(Some(executor.spawn(work, otherwise)));
        executor.run();
        assert_eq!(done.get(), 0, "panics: {panics}");
        assert!(executor.is_empty());
    }
}

#[test]
fn a_panic_ends_its_own_task_alone() {
    thread_local! {
        static TOLD: Cell<u32> = const { Cell::new(0) };
    }
    let executor = Executor::new(quiet, finish, |_| TOLD.set(TOLD.get() + 1));
    let log: Rc<RefCell<Vec<&str>>> = Rc::default();
    let dropped = Rc::new(Cell::new(false));
    let (first, second, held) = (Rc::clone(&log), Rc::clone(&log), Held(Rc::clone(&dropped)));
    let after: Then = Some(Box::new(move || first.borrow_mut().push("panicked")));
    executor.spawn(
        async move {
            let _held = held;
            assert_ne!(TOLD.get(), 0, "this panic is the test");
            None
        },
        after,
    );
    executor.spawn(
        async move {
            second.borrow_mut().push("the other");
            None
        },
        None,
    );
    executor.run();
    assert_eq!(*log.borrow(), ["panicked", "the other"]);
    assert!(dropped.get() && TOLD.get() == 1 && executor.is_empty());
}
