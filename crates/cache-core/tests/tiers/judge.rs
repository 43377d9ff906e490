//! What must hold, whatever happens: no answer is older than it may be.

use std::collections::HashMap;

use cache_core::cluster::slot_of;
use cache_core::feed::MESSAGES_VALID;

use crate::config::{Ability, Mode, Story};
use crate::server::Id;
use crate::tier::Entry;
use crate::world::{START, World};

/// A lease, and a turn of the loop of a server, in milliseconds.
const LEASE: u64 = 3000;

#[derive(Default)]
pub struct Judge {
    /// Answers of tiers whose server was taken for down.
    pub alone: u64,
    /// When a machine invalidated a key last.
    pub voided: HashMap<(usize, String), u64>,
    pub hits: u64,
    pub misses: u64,
    /// The age of the oldest answer, in milliseconds.
    pub oldest: u64,
    /// How often a worker has taken over without a gap.
    pub takeovers: u64,
    applied: u64,
}

impl Judge {
    /// Changes come to a replica in order.
    pub fn in_order(&mut self, time: u64) -> u64 {
        self.applied = self.applied.max(time);
        self.applied
    }
}

impl World {
    /// For how long an answer may be outdated, in milliseconds.
    pub fn allowance(&self) -> u64 {
        // Until all machines have heard that one lives on messages; it begins with that at once.
        let is_news = self.config.lost > 0 && self.now < self.config.lost + 2000;
        if self.config.story == Story::Swaps || is_news {
            return LEASE;
        }
        match (self.config.was_faulty, self.config.ability) {
            (false, Ability::Push) if self.config.mode == Mode::Sentinel => self.config.delay,
            (false, Ability::Publish | Ability::Old | Ability::Pretend)
                if self.config.own_changes =>
            {
                self.config.delay
            }
            _ => self.lease(),
        }
    }

    /// For how long an answer may be outdated whatever happens, as long as the server isn't taken for down.
    pub fn lease(&self) -> u64 {
        match self.config.ability {
            Ability::Push => LEASE,
            Ability::Publish | Ability::Old | Ability::Pretend => MESSAGES_VALID,
        }
    }

    /// The tier has answered.
    pub fn judge_hit(&mut self, machine: usize, key: &str, entry: &Entry) {
        let value = entry.value;
        self.judge.hits += 1;
        self.judge_local(machine, key, entry);
        let age = (0..)
            .step_by(10)
            .take_while(|age| *age < 2 * LEASE)
            .find(|age| self.was(machine, key, value, self.now - age));
        self.judge.oldest = self.judge.oldest.max(age.unwrap_or(2 * LEASE));
        self.judge_age(machine, key, value, self.allowance());
    }

    /// An answer is no older than it may be, in milliseconds.
    pub fn judge_age(&self, machine: usize, key: &str, value: u64, allowed: u64) {
        let now = self.now;
        self.note(|| format!("machine {machine} answers {value} for {key}"));
        assert!(
            self.was(machine, key, value, now - allowed),
            "seed {}: at {} machine {machine} answers {value} for {key}, which is older than {allowed} ms",
            self.config.seed,
            now - START
        );
    }

    /// Whether a server that this machine may ask has had this value since a time.
    fn was(&self, machine: usize, key: &str, value: u64, since: u64) -> bool {
        let had = |server: Id, from: u64, to: u64| {
            from <= to && self.servers[server].had(key, value, from, to)
        };
        match self.config.mode {
            Mode::Sentinel => {
                let masters = &self.machines[machine].masters;
                masters.iter().enumerate().any(|(index, (from, server))| {
                    let end = masters.get(index + 1).map_or(self.now, |(end, _)| *end);
                    had(*server, since.max(*from), end)
                })
            }
            Mode::Cluster => {
                let slot = slot_of(key.as_bytes()).number();
                let owned = self.owned.iter().filter(|(of, ..)| *of == slot);
                owned
                    .into_iter()
                    .any(|(_, server, from, to)| had(*server, since.max(*from), self.now.min(*to)))
            }
        }
    }
}
