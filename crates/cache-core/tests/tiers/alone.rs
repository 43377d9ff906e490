//! What a machine does while it takes a server for down: its tier carries on alone.

use crate::config::{Broken, Mode};
use crate::server::Id;
use crate::tier::Entry;
use crate::worker::{Draft, Input, Step};
use crate::world::{Happening, World};

/// How long a record is good that the backend gives, in milliseconds.
const GOOD: u64 = 60_000;

impl World {
    /// The server that a machine takes for the one of a key.
    fn known_owner(&self, machine: usize, key: &str) -> Id {
        match self.config.mode {
            Mode::Sentinel => self.machines[machine].master,
            Mode::Cluster => self.owner(key),
        }
    }

    /// Whether a machine takes the server of a key for down, rightly or not.
    pub fn is_alone(&self, machine: usize, key: &str) -> bool {
        let server = self.known_owner(machine, key);
        let until = self.machines[machine].down.get(&server);
        self.config.alone > 0 && until.is_some_and(|until| *until > self.now)
    }

    /// A client asks: the tier answers, or the backend.
    pub fn request_alone(&mut self, worker: usize, key: String) {
        let machine = self.workers[worker].machine;
        let alone = match self.config.is(Broken::HeldForEver) {
            true => u64::MAX,
            false => self.config.alone,
        };
        let tier = &self.machines[machine].tier;
        if let Some(entry) = tier.read_alone(&key, self.now, alone).cloned() {
            return self.judge_alone(machine, &key, &entry);
        }
        let takes = self.rng.range(1, 300);
        let filled = Input::Filled(key, self.now);
        self.after(takes, Happening::Told(worker, filled));
    }

    /// A response is kept if the server is still down.
    pub fn filled(&mut self, worker: usize, key: String, since: u64) {
        let machine = self.workers[worker].machine;
        if !self.is_alone(machine, &key) {
            return;
        }
        let server = self.known_owner(machine, &key);
        self.value += 1;
        let most = match self.config.is(Broken::LongAlone) {
            true => GOOD,
            false => GOOD.min(self.config.alone),
        };
        let draft = Draft {
            ticket: self.machines[machine].tier.ticket(&key, server),
            key,
            value: self.value,
            expires: self.now + most,
            since,
            alone: true,
        };
        self.workers[worker].todo.push_back(Step::Replace(draft));
    }

    /// A record takes the place of what there is, unless its key was invalidated since its making began.
    pub fn replace(&mut self, machine: usize, draft: Draft) {
        let tier = &mut self.machines[machine].tier;
        let voided = self.judge.voided.get(&(machine, draft.key.clone()));
        let is_late = voided.is_some_and(|voided| *voided >= draft.since);
        if is_late || !tier.holds(&draft.key, &draft.ticket) {
            return;
        }
        tier.raise_generation(&draft.key);
        let serial = tier.link(&draft, self.now);
        tier.enliven(&draft.key, serial);
    }

    /// This machine invalidates a key, whatever becomes of that at the server.
    pub fn post(&mut self, machine: usize, key: String) {
        if !self.config.is(Broken::NoLocal) {
            let tier = &mut self.machines[machine].tier;
            tier.raise_generation(&key);
            tier.kill(&key);
        }
        self.judge.voided.insert((machine, key), self.now);
    }

    /// The tier has answered while the server is down.
    fn judge_alone(&mut self, machine: usize, key: &str, entry: &Entry) {
        self.judge.alone += 1;
        self.judge_local(machine, key, entry);
        let (seed, alone, now) = (self.config.seed, self.config.alone, self.now);
        if entry.alone {
            let kept = now - entry.put;
            assert!(
                kept < alone,
                "seed {seed}: machine {machine} keeps {key} for longer than {alone} ms"
            );
        } else {
            self.judge_age(machine, key, entry.value, self.lease() + alone);
        }
    }

    /// What this machine has invalidated isn't given any more.
    pub fn judge_local(&self, machine: usize, key: &str, entry: &Entry) {
        let voided = self.judge.voided.get(&(machine, key.to_owned()));
        assert!(
            voided.is_none_or(|voided| entry.since >= *voided),
            "seed {}: machine {machine} answers what it has invalidated of {key}",
            self.config.seed
        );
    }
}
