//! Requests that make a record worthless, and how other machines hear of it.

use std::collections::HashMap;
use std::rc::Rc;

use cache_core::fence::Token;
use cache_core::record::Record;

use super::backend;
use super::config::Key;
use super::invariants::Judge;
use super::permits::DomainKey;
use super::store;
use super::world::World;

/// What was invalidated, as far as that was acknowledged: of each key the number of the first answer of the backend that
/// knows of it.
#[derive(Default)]
pub struct Acknowledged {
    all: HashMap<Key, usize>,
    /// The same of what a machine has begun to invalidate itself.
    own: HashMap<DomainKey, usize>,
}

impl Acknowledged {
    /// The number of the first answer that knows of what a machine has invalidated itself.
    pub fn by_machine(&self, domain_key: DomainKey) -> usize {
        self.own.get(&domain_key).copied().unwrap_or(0)
    }
}

impl Judge {
    /// The number of the first answer for a key that a lookup may find which begins now.
    pub fn first_valid(&self, key: Key) -> usize {
        self.invalidated.all.get(&key).copied().unwrap_or(0)
    }

    /// A lookup that began when answers from `first` on were valid has found this.
    pub fn finds_valid(&self, key: Key, first: usize, found: Option<&Rc<Record>>) {
        let answer = found.and_then(|record| backend::answer_of(&record.body));
        self.check(answer.is_none_or(|answer| answer >= first), || {
            format!(
                "answer {answer:?} for key {key} is found after an invalidation that answer {first} was the first to \
                 know of"
            )
        });
    }

    /// A lock was freed by an invalidation, whoever holds it.
    pub fn freed(&mut self, domain_key: DomainKey) {
        self.holdings.freed(domain_key);
        self.changed = true;
    }
}

/// Has all invalidations happen that are planned.
pub fn plan(world: &Rc<World>) {
    for (when, machine, key) in world.config.invalidations.clone() {
        world.at(when, move |world| invalidates(world, machine, key));
    }
}

/// The backend has answered a request that changes what is behind a key: a worker invalidates it.
pub fn invalidates(world: &Rc<World>, machine: usize, key: Key) {
    let workers = world.machines[machine].workers.borrow().clone();
    let Some(worker) = workers.iter().find(|worker| worker.is_alive()).cloned() else {
        return;
    };
    let first = world.backend.count();
    let token = Token::new(world.token());
    world.note(|| format!("key {key} is invalidated at machine {machine}: {token}"));
    frees(world, machine, key, None);
    world.judge().invalidated.own.insert((machine, key), first);
    let (world, own) = (Rc::clone(world), Rc::clone(&worker));
    worker.spawn(async move {
        let deleted = store::delete(&world, &own, key, Some(token)).await;
        if deleted.is_ok() {
            let mut judge = world.judge();
            let known = judge.invalidated.all.entry(key).or_default();
            *known = first.max(*known);
        }
        None
    });
}

/// The store tells all machines of an invalidation. Some hear late, and some not at all.
pub fn told(world: &Rc<World>, key: Key, token: Token) {
    for machine in 0..world.machines.len() {
        if world.fault(world.config.faults.wake_lost) {
            continue;
        }
        let late = world.fault(world.config.faults.wake_late);
        let delay = if late {
            world.between((1, 3000))
        } else {
            world.between(world.config.wake_delay)
        };
        world.after(delay, move |world| {
            world.note(|| format!("machine {machine} hears of {token}"));
            frees(world, machine, key, Some(token));
        });
    }
}

/// Nobody waits any more for a fill of a key that doesn't know of an invalidation: by another machine, or without a token
/// by this one.
fn frees(world: &Rc<World>, machine: usize, key: Key, by: Option<Token>) {
    let zone = &world.machines[machine].zone;
    let was_held = zone.held().contains(&key);
    let _ = match by {
        Some(token) => zone.void(key, token.number(), world.now()),
        None => zone.invalidate(key, world.now()),
    };
    if was_held && !zone.held().contains(&key) {
        world.judge().freed((machine, key));
    }
}
