//! What must hold of locks: nobody has one that is another's, and nothing is filled twice at once.

use std::collections::BTreeSet;

use cache_core::flow::Verdict;

use super::config::Key;
use super::invariants::Judge;
use super::permits::DomainKey;
use super::variants::key_of;
use super::world::World;

impl Judge {
    /// A lock is taken; `held` are the keys that the lock table holds now.
    pub fn acquired(
        &mut self,
        domain_key: DomainKey,
        instance: u64,
        pid: i32,
        age: u64,
        held: &BTreeSet<Key>,
    ) {
        self.changed = true;
        let taken = self
            .holdings
            .acquired(domain_key, instance, pid, self.now, age);
        let reclaimed = self.holdings.reclaimed(domain_key.0, held, self.now, age);
        for what in [taken, reclaimed].into_iter().filter_map(Result::err) {
            self.fails(&what);
        }
    }

    pub fn touched(&mut self, domain_key: DomainKey, instance: u64) {
        self.holdings.touched(domain_key, instance, self.now);
    }

    pub fn released(
        &mut self,
        world: &World,
        domain_key: DomainKey,
        instance: u64,
        verdict: Verdict,
        fill: Option<usize>,
    ) {
        self.marks(world, domain_key, verdict, fill);
        let held = self.holdings.released(domain_key, instance);
        self.changed = true;
        self.running
            .retain(|(p, i, _)| (*p, *i) != (domain_key, instance));
        match (verdict, fill) {
            (Verdict::Stored, Some(fill)) if held => {
                self.stored.insert((domain_key, fill));
            }
            (Verdict::NotStorable | Verdict::Uncacheable, _) => {
                self.unstorable
                    .insert((domain_key.0, key_of(domain_key.1)), self.now);
            }
            (Verdict::Failing(_), _) => {
                let key = (domain_key.0, key_of(domain_key.1));
                self.told_failing.insert(key, self.now);
            }
            _ => {}
        }
    }

    /// A fill under a lock asks the backend.
    pub fn fill_starts(
        &mut self,
        world: &World,
        domain_key: DomainKey,
        instance: u64,
        request: usize,
        trouble: bool,
    ) {
        let (machine, key) = domain_key;
        let holdings = &self.holdings;
        if holdings.is_overtaken(domain_key, instance) {
            return;
        }
        self.check(holdings.is_held(domain_key, instance), || {
            format!("a fill of key {key} of machine {machine} has no lock")
        });
        let mut running = self.running.iter();
        let other = running.find(|(p, i, _)| *p == domain_key && !holdings.is_overtaken(*p, *i));
        self.check(other.is_none(), || {
            format!("key {key} of machine {machine} is filled twice at once")
        });
        // The second look: what a fill of this domain has stored needs no other.
        let stale = u64::from(world.config.rules.kept()) * 1000;
        let fields = self.requests[request].fields;
        let record = world.store.peek_for(key_of(key), fields, self.now);
        let needless = record.is_some_and(|record| {
            record.expires - self.now > stale
                && !record.is_due(world)
                && !record.confirmed
                && self.stored.contains(&(domain_key, record.fill))
                && !self.may_be_purged(key_of(key), record.fill, record.log)
        });
        let asked_for = self.requests[request].bypass || world.store.may_be_behind(world);
        self.check(trouble || asked_for || !needless, || {
            format!("key {key} of machine {machine} was filled a moment ago and is filled again")
        });
        self.running.push((domain_key, instance, request));
    }
}
