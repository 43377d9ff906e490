//! The module's zone, read from a worker's memory: who holds a lock, who waits, who refills.
//!
//! Read without the zone's mutex, and so only a snapshot: of use once all is quiet.

use std::fs::{self, File};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::Path;

#[path = "../../../src/shm/locks/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the layout is of interest")]
mod locks;

use locks::{Entry, MAGIC, TableHeader, WORKERS};

/// Where the workers stand in the header.
const COUNTS: usize = offset_of!(TableHeader, workers);
const HEADER: usize = size_of::<TableHeader>();
const TAG: usize = 8;
const ENTRY: usize = size_of::<Entry>();
const HELD: u32 = 1;

/// What a zone holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zone {
    /// How many keys it has room for.
    pub room: usize,
    /// How many keys are in it, held or idle.
    pub keys: usize,
    /// Locks that are held.
    pub locks: usize,
    /// Requests that wait for a lock.
    pub waiting: u32,
    /// Refills behind clients' backs.
    pub refills: u32,
    /// Processes that can be woken, and live.
    pub workers: Vec<i32>,
}

impl Zone {
    /// The zone of process `worker`; `None` if it has gone, or has none.
    ///
    /// # Panics
    ///
    /// If its memory may not be read.
    #[must_use]
    pub fn of(worker: i32) -> Option<Zone> {
        let (_, _, bytes) = mapping(worker, false)?;
        let at = table_in(&bytes)?;
        Some(Zone::read(&bytes[at..]))
    }

    /// Lets process `worker` hold the zone's mutex, as if it had just locked it: its process id stands where nginx's
    /// `ngx_shmtx_lock` puts it. The worker knows nothing of it, so it must be stopped before and never go on. `false`
    /// if another process holds the mutex just now.
    ///
    /// # Panics
    ///
    /// If the worker has no zone, or if its memory may not be written.
    #[must_use]
    pub fn lock_in_the_name_of(worker: i32) -> bool {
        let (memory, from, bytes) = mapping(worker, true).expect("a worker with a zone");
        // The zone's memory begins with nginx's slab pool, and that with the word of its mutex.
        if number(&bytes, 0) != 0 {
            return false;
        }
        let pid = u64::try_from(worker).expect("a process id");
        let written = memory.write_all_at(&pid.to_ne_bytes(), from);
        written.expect("memory to write to");
        true
    }

    fn read(bytes: &[u8]) -> Zone {
        let room = usize::try_from(number(bytes, 8)).expect("a count");
        let places = (0..WORKERS).map(|index| {
            let (pid, refills) = (COUNTS + 4 * index, COUNTS + 4 * (WORKERS + index));
            (word(bytes, pid).cast_signed(), word(bytes, refills))
        });
        // What a process that has gone has left there counts for nothing.
        let alive = |pid: &i32| *pid != 0 && Path::new(&format!("/proc/{pid}")).exists();
        let places: Vec<_> = places.filter(|(pid, _)| alive(pid)).collect();
        let entries = (0..room).map(|index| HEADER + TAG * room + ENTRY * index);
        let used: Vec<_> = entries.filter(|at| word(bytes, at + 16) != 0).collect();
        let held = used.iter().filter(|at| word(bytes, **at + 16) == HELD);
        Zone {
            room,
            keys: used.len(),
            locks: held.clone().count(),
            // What a killed worker has left at a lock that is free counts for nothing, until the lock is taken again.
            waiting: held.map(|at| word(bytes, at + 28)).sum(),
            refills: places.iter().map(|(_, refills)| *refills).sum(),
            workers: places.iter().map(|(pid, _)| *pid).collect(),
        }
    }

    /// Whether nobody holds a lock, waits or refills.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        (self.locks, self.waiting, self.refills) == (0, 0, 0)
    }
}

/// The memory of process `worker`, where its zone begins there, and a copy of the zone. `None` if it has gone, or has none.
fn mapping(worker: i32, write: bool) -> Option<(File, u64, Vec<u8>)> {
    let maps = fs::read_to_string(format!("/proc/{worker}/maps")).ok()?;
    let mut options = File::options();
    let options = options.read(true).write(write);
    let memory = options.open(format!("/proc/{worker}/mem")).ok()?;
    // What nginx shares between its processes is anonymous.
    let shared = maps.lines().filter(|line| line.contains(" rw-s "));
    for line in shared.filter(|line| line.contains("/dev/zero")) {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let from = u64::from_str_radix(from, 16).ok()?;
        let to = u64::from_str_radix(to, 16).ok()?;
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            // It has just ended, or isn't ours to read.
            return None;
        }
        if table_in(&bytes).is_some() {
            return Some((memory, from, bytes));
        }
    }
    None
}

/// Where the lock table begins.
fn table_in(bytes: &[u8]) -> Option<usize> {
    let begins = |at: &usize| number(bytes, *at) == MAGIC;
    (0..bytes.len() - HEADER).step_by(8).find(begins)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
