//! Many workers at one word, with compare-and-swap: each reads, computes, and swaps if nobody was quicker. Workers die.

use cache_core::breaker::{Change, Pass, Settings, Verdict, Word};
use proptest::prelude::*;

/// A command of a worker.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Nothing,
    /// Has read this word, to ask whether it may send.
    Asking(Word),
    /// Waits for the reply.
    Sent(Pass, u64),
    /// Has read this word, to say how it went.
    Telling(Pass, bool, Word),
}

struct World {
    word: Word,
    now: u64,
    settings: Settings,
    workers: Vec<Doing>,
    failures: Vec<u64>,
    /// End of the lease of the probe that is under way.
    probe: Option<(usize, u64)>,
    open: bool,
    /// Since when somebody could have probed and hasn't.
    idle_since: u64,
}

impl World {
    fn step(&mut self, worker: usize, well: bool) {
        match self.workers[worker] {
            Doing::Nothing => self.workers[worker] = Doing::Asking(self.word),
            Doing::Asking(seen) => self.ask(worker, seen),
            // A probe ends before its lease does.
            Doing::Sent(pass, _) => self.workers[worker] = Doing::Telling(pass, well, self.word),
            Doing::Telling(pass, well, seen) => self.tell(worker, pass, well, seen),
        }
    }

    fn swap(&mut self, seen: Word, next: Word) -> bool {
        let swapped = self.word == seen;
        if swapped {
            self.word = next;
        }
        swapped
    }

    fn ask(&mut self, worker: usize, seen: Word) {
        let (next, verdict) = seen.may(self.now, &self.settings);
        if next != seen && !self.swap(seen, next) {
            self.workers[worker] = Doing::Asking(self.word);
            return;
        }
        self.workers[worker] = match verdict {
            Verdict::No => Doing::Nothing,
            Verdict::Go => Doing::Sent(Pass::Go, self.now),
            Verdict::Probe(pass) => {
                assert!(
                    self.probe.is_none_or(|(_, end)| self.now >= end),
                    "two probes at once"
                );
                self.probe = Some((worker, self.now + self.settings.lease));
                Doing::Sent(pass, self.now)
            }
        };
    }

    fn tell(&mut self, worker: usize, pass: Pass, well: bool, seen: Word) {
        let (next, change) = if well {
            seen.succeeded(pass, self.now, &self.settings)
        } else {
            seen.failed(pass, self.now, &self.settings)
        };
        if next != seen && !self.swap(seen, next) {
            self.workers[worker] = Doing::Telling(pass, well, self.word);
            return;
        }
        if self.probe.is_some_and(|(prober, _)| prober == worker) && pass != Pass::Go {
            self.probe = None;
            self.idle_since = self.now;
        }
        if !well {
            self.failures.push(self.now);
        }
        match change {
            Some(Change::Opened) => {
                assert!(!self.open, "opened twice");
                let recent = self
                    .failures
                    .iter()
                    .filter(|at| self.now - **at < self.settings.window);
                assert!(
                    recent.count() >= self.settings.max_fails as usize,
                    "opened early"
                );
                self.open = true;
                self.idle_since = self.now;
            }
            Some(Change::Closed) => {
                assert!(self.open, "closed twice");
                self.open = false;
            }
            None => {}
        }
        self.workers[worker] = Doing::Nothing;
    }

    /// Somebody who asks now becomes the prober, if nobody has been one for so long.
    fn check_probes(&mut self) {
        let alone = match self.probe {
            Some((_, end)) => self.now >= end,
            None => self.open && self.now >= self.idle_since + self.settings.fail_timeout.max(1000),
        };
        if self.open && alone {
            let verdict = self.word.may(self.now, &self.settings).1;
            assert!(
                matches!(verdict, Verdict::Probe(_)),
                "nobody may probe at {}",
                self.now
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn workers(
        steps in prop::collection::vec((0_usize..6, any::<u8>(), 0_u64..200), 0..600),
        sickness in prop::collection::vec(any::<bool>(), 8),
        max_fails in 1_u32..6,
        fail_timeout in prop::sample::select(vec![1_u64, 100, 500, 1000]),
    ) {
        let settings = Settings { max_fails, window: 1000, fail_timeout, lease: 3000 };
        let mut world = World {
            word: Word::default(), now: 1_000_000, settings, workers: vec![Doing::Nothing; 6],
            failures: Vec::new(), probe: None, open: false, idle_since: 0,
        };
        for (nth, (worker, chance, wait)) in steps.into_iter().enumerate() {
            // The node is well or sick for a while; a few commands go the other way.
            let sick = sickness[(nth / 80) % sickness.len()];
            world.now += if chance % 4 == 0 { wait } else { wait / 50 };
            // All timeouts of a probe together are less than its lease.
            let overdue = world.workers.iter().position(|doing| {
                matches!(doing, Doing::Sent(Pass::Probe(_), since) | Doing::Sent(Pass::Go, since) if world.now >= since + 2500)
            });
            if let Some(overdue) = overdue {
                world.step(overdue, false);
            }
            if chance < 4 {
                // It is killed. If it was the prober, its lease runs out.
                world.workers[worker] = Doing::Nothing;
            } else {
                world.step(worker, sick == (chance > 230));
            }
            world.check_probes();
        }
    }
}
