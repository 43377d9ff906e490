//! The mutex of the writers: a word with the pid of its holder.

use crate::layout::header;
use crate::memory::Memory;
use crate::repair;
use crate::words::{Env, Words};

/// The most waits, whatever [`Env::pause`] says.
const MOST_TRIES: u32 = 100_000;

/// Whether to wait for the mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as [`Env::pause`] says.
    Bounded,
    /// Not at all.
    No,
}

/// Does `work` with the mutex. `None` if it wasn't to be had, or the index isn't whole: then a part of what makes it whole
/// is done instead.
pub(crate) fn with_mutex<W: Words + ?Sized, R>(
    memory: Memory<'_, W>,
    env: &impl Env,
    wait: Wait,
    work: impl FnOnce() -> R,
) -> Option<R> {
    let pid = u64::from(env.pid());
    if pid == 0 {
        return None;
    }
    let inherited = lock(memory, env, pid, wait)?;
    if inherited || is_broken(memory) {
        repair::begin(memory, env);
    }
    let result = repair::go_on(memory, env).then(work);
    if is_broken(memory) {
        repair::begin(memory, env);
        repair::go_on(memory, env);
    }
    memory.words.replace(header::MUTEX, pid, 0);
    result
}

/// Whether the index contradicts itself, and isn't being made anew already.
fn is_broken<W: Words + ?Sized>(memory: Memory<'_, W>) -> bool {
    memory.load(header::BROKEN) != 0 && !repair::is_under_way(memory)
}

/// Whether a writer has something to do before the index may be used.
pub(crate) fn is_ailing<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) -> bool {
    let holder = memory.load(header::MUTEX);
    memory.load(header::BROKEN) != 0
        || repair::is_under_way(memory)
        || (holder != 0 && is_dead(holder, env))
}

/// One that had this worker's pid is dead, too: a worker doesn't take the mutex twice.
fn is_dead(holder: u64, env: &impl Env) -> bool {
    let alive = |holder| holder != env.pid() && env.is_alive(holder);
    !u32::try_from(holder).is_ok_and(alive)
}

/// Takes the mutex. Whether a dead worker had it: then the index may be in any state.
fn lock<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    env: &impl Env,
    pid: u64,
    wait: Wait,
) -> Option<bool> {
    for tries in 0..MOST_TRIES {
        let holder = memory.load(header::MUTEX);
        if holder == 0 {
            if memory.words.replace(header::MUTEX, 0, pid) {
                return Some(false);
            }
            continue;
        }
        if is_dead(holder, env) && memory.words.replace(header::MUTEX, holder, pid) {
            return Some(true);
        }
        if wait == Wait::No || !env.pause(tries) {
            return None;
        }
    }
    None
}
