//! A worker: an executor, the fills that can be joined here, who waits for other workers' locks.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::task::Waker;

use executor::{Executor, TaskId, Then, finish};

use super::config::Key;
use super::purges::Purges;
use super::purging::Reading;
use super::world::World;
use crate::purge_words::PurgeWords;
use crate::stream::{Stream, Subscription};

thread_local! {
    static DEAD: RefCell<HashSet<i32>> = RefCell::default();
}

/// What kill(pid, 0) says.
pub fn is_alive(pid: i32) -> bool {
    pid > 0 && DEAD.with_borrow(|dead| !dead.contains(&pid))
}

/// A new world begins.
pub fn nobody_is_dead() {
    DEAD.with_borrow_mut(HashSet::clear);
}

/// A fill that can be joined, as the registry of fills keeps it.
struct Joinable {
    instance: u64,
    stream: Rc<Stream>,
    times: Rc<Times>,
}

/// When the answer of a fill was asked for, in counts of invalidations and numbers of purges, as the module has it.
#[derive(Default)]
pub struct Times {
    /// How often the key had been invalidated.
    pub invalidations: Cell<Option<u64>>,
    /// The invalidation that was heard last, and that of the fence.
    pub fence: Cell<Option<(u64, u64)>>,
    /// The last purge that was known.
    pub purged: Cell<u64>,
    /// The number of the answer, for the judge.
    pub answer: Cell<Option<usize>>,
}

/// What comes of the wish to join a fill.
pub enum Joining {
    Joined(Subscription, Rc<Times>),
    /// So many read it already.
    Crowded(usize),
    Elsewhere,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    keys: HashMap<Key, Vec<(u64, Waker)>>,
}

/// A process of nginx.
pub struct Worker {
    pub machine: usize,
    pub pid: i32,
    executor: RefCell<Option<Rc<Executor>>>,
    fills: RefCell<HashMap<Key, Joinable>>,
    waiting: RefCell<Waiting>,
    /// It does nothing before this time.
    frozen: Cell<u64>,
    /// What it knows of the log of purges.
    pub purges: Purges,
    /// The reading of the log that is under way.
    pub reading: RefCell<Option<Rc<Reading>>>,
    /// There has been a message since it began.
    pub is_told: Cell<bool>,
}

/// A waiter's wish to be woken; it ends when dropped.
pub struct Registration {
    worker: Rc<Worker>,
    key: Key,
    id: u64,
}

impl Worker {
    pub fn new(machine: usize, pid: i32, words: Rc<PurgeWords>) -> Rc<Worker> {
        Rc::new(Worker {
            machine,
            pid,
            executor: RefCell::new(Some(Rc::new(Executor::new(
                || {},
                finish,
                |cause| resume_unwind(cause),
            )))),
            fills: RefCell::default(),
            waiting: RefCell::default(),
            frozen: Cell::new(0),
            purges: Purges::new(words),
            reading: RefCell::default(),
            is_told: Cell::new(false),
        })
    }

    pub fn is_alive(&self) -> bool {
        is_alive(self.pid)
    }

    fn executor(&self) -> Option<Rc<Executor>> {
        self.executor.borrow().clone()
    }

    pub fn spawn(&self, work: impl Future<Output = Then> + 'static) -> Option<TaskId> {
        self.executor().map(|executor| executor.spawn(work, None))
    }

    pub fn cancel(&self, task: TaskId) {
        if let Some(executor) = self.executor() {
            executor.cancel(task);
        }
    }

    /// How many tasks it has.
    pub fn tasks(&self) -> usize {
        self.executor().map_or(0, |executor| executor.len())
    }

    /// A turn of its event loop.
    pub fn turn(&self, now: u64) {
        if now >= self.frozen.get()
            && let Some(executor) = self.executor()
        {
            executor.run();
        }
    }

    /// It does nothing for a while.
    pub fn freeze(&self, world: &Rc<World>, millis: u64) {
        let until = world.now() + millis;
        self.frozen.set(until);
        world.judge().frozen(self.pid);
        world.misses_purges(self.machine);
        world.at(until, |_| {});
    }

    /// When it does something again, if it doesn't now.
    pub fn frozen_until(&self, now: u64) -> Option<u64> {
        Some(self.frozen.get()).filter(|until| now < *until)
    }

    /// Its process vanishes (kill -9), and the master starts another.
    pub fn kill(self: &Rc<Self>, world: &Rc<World>, successor: i32) {
        DEAD.with_borrow_mut(|dead| dead.insert(self.pid));
        world.judge().killed(self.pid);
        world.misses_purges(self.machine);
        let words = Rc::clone(&self.purges.words);
        let new = Worker::new(self.machine, successor, words);
        for place in world.machines[self.machine].workers.borrow_mut().iter_mut() {
            if place.pid == self.pid {
                *place = Rc::clone(&new);
            }
        }
        self.end();
    }

    /// Gives back its memory.
    pub fn end(&self) {
        let executor = self.executor.borrow_mut().take();
        drop(executor);
        let fills = std::mem::take(&mut *self.fills.borrow_mut());
        drop(fills);
        self.waiting.borrow_mut().keys.clear();
    }

    /// Lets others of this worker join a fill.
    pub fn publish(&self, key: Key, instance: u64, (stream, times): (&Rc<Stream>, &Rc<Times>)) {
        let fill = Joinable {
            instance,
            stream: Rc::clone(stream),
            times: Rc::clone(times),
        };
        let old = self.fills.borrow_mut().insert(key, fill);
        drop(old);
    }

    /// Joins the fill of a key, if this worker runs the lock's holder and what comes of it will be
    /// whole. Else its release is waited for: a task that joined a failed fill again and again would
    /// keep that fill's own task from releasing the lock.
    pub fn join(&self, key: Key, instance: u64, most: u32) -> Joining {
        let fills = self.fills.borrow();
        let fill = fills
            .get(&key)
            .filter(|fill| fill.instance == instance && fill.stream.is_joinable());
        match fill {
            Some(fill) if fill.stream.joined() >= most as usize => {
                Joining::Crowded(fill.stream.joined())
            }
            Some(fill) => Joining::Joined(fill.stream.join(), Rc::clone(&fill.times)),
            None => Joining::Elsewhere,
        }
    }

    /// When the fill of a lock was begun, if it is here and can be joined.
    pub fn joinable(&self, key: Key, instance: u64) -> Option<Rc<Times>> {
        let fills = self.fills.borrow();
        let fill = fills.get(&key)?;
        let is_joinable = fill.instance == instance && fill.stream.is_joinable();
        is_joinable.then(|| Rc::clone(&fill.times))
    }

    /// A fill can't be joined any more.
    pub fn withdraw(&self, key: Key, instance: u64) {
        let mut fills = self.fills.borrow_mut();
        let ours = fills
            .get(&key)
            .is_some_and(|fill| fill.instance == instance);
        let gone = if ours { fills.remove(&key) } else { None };
        drop(fills);
        drop(gone);
    }

    /// What is left behind: fills to join, waiters.
    pub fn leftovers(&self) -> usize {
        self.fills.borrow().len() + self.waiting.borrow().keys.len()
    }

    pub fn register(self: &Rc<Self>, key: Key, waker: Waker) -> Registration {
        let mut waiting = self.waiting.borrow_mut();
        waiting.next += 1;
        let id = waiting.next;
        waiting.keys.entry(key).or_default().push((id, waker));
        Registration {
            worker: Rc::clone(self),
            key,
            id,
        }
    }

    /// Wakes all who wait for a key.
    pub fn wake(&self, key: Key) {
        let wakers = self.waiting.borrow_mut().keys.remove(&key);
        for (_, waker) in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiting = self.worker.waiting.borrow_mut();
        if let Some(wakers) = waiting.keys.get_mut(&self.key) {
            wakers.retain(|(id, _)| *id != self.id);
            if wakers.is_empty() {
                waiting.keys.remove(&self.key);
            }
        }
    }
}
