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
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).ok()?;
        let memory = File::open(format!("/proc/{worker}/mem")).ok()?;
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
            let begins = |at: &usize| number(&bytes, *at) == MAGIC;
            if let Some(at) = (0..bytes.len() - HEADER).step_by(8).find(begins) {
                return Some(Zone::read(&bytes[at..]));
            }
        }
        None
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
            locks: held.count(),
            waiting: used.iter().map(|at| word(bytes, at + 28)).sum(),
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

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
