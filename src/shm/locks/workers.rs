//! The workers in a lock table: their places, from which they can be woken, and how many refills they run.

use super::header::Workers;
use super::table::Table;

impl Table<'_> {
    /// Gives a worker a place from which it can be woken. `None` if all are taken.
    pub fn enrol(&mut self, pid: i32) -> Option<usize> {
        let workers = &mut self.header.workers;
        let index = workers
            .iter()
            .position(|known| *known == pid)
            .or_else(|| workers.iter().position(|known| *known == 0))?;
        *workers.get_mut(index)? = pid;
        Some(index)
    }

    /// The processes that have a place.
    pub fn members(&self) -> Vec<i32> {
        let places = self.header.workers.iter();
        places.copied().filter(|pid| *pid != 0).collect()
    }

    /// The processes of a set of workers.
    pub fn pids(&self, set: Workers) -> Vec<i32> {
        let mut found = Vec::new();
        for (index, pid) in self.header.workers.iter().enumerate() {
            let word = set.get(index / 64).copied().unwrap_or(0);
            if word >> (index % 64) & 1 == 1 && *pid != 0 {
                found.push(*pid);
            }
        }
        found
    }

    /// Counts one more background refill of a worker, unless `limit` run in all.
    pub fn begin_refill(&mut self, pid: i32, limit: u32) -> bool {
        let Some(mine) = self.enrol(pid) else {
            return true;
        };
        let all: u32 = self.header.refills.iter().sum();
        if all >= limit {
            return false;
        }
        if let Some(count) = self.header.refills.get_mut(mine) {
            *count += 1;
        }
        true
    }

    /// Counts one background refill of a worker less.
    pub fn end_refill(&mut self, pid: i32) {
        let mine = self.header.workers.iter().position(|known| *known == pid);
        if let Some(count) = mine.and_then(|index| self.header.refills.get_mut(index)) {
            *count = count.saturating_sub(1);
        }
    }
}
