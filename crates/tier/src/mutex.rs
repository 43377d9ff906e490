//! The mutex of the writers: a word with the pid of its holder.

use crate::layout::header;
use crate::memory::Memory;
use crate::repair::repair;
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

/// Does `work` with the mutex. `None` if it wasn't to be had.
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
    if inherited || memory.load(header::BROKEN) != 0 {
        repair(memory, env);
    }
    let result = work();
    if memory.load(header::BROKEN) != 0 {
        repair(memory, env);
    }
    memory.words.replace(header::MUTEX, pid, 0);
    Some(result)
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
        // One that had this worker's pid is dead, too: a worker doesn't take it twice.
        let dead = holder == pid || !u32::try_from(holder).is_ok_and(|holder| env.is_alive(holder));
        if dead && memory.words.replace(header::MUTEX, holder, pid) {
            return Some(true);
        }
        if wait == Wait::No || !env.pause(tries) {
            return None;
        }
    }
    None
}
