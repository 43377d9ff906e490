//! What goes wrong, and when.

use std::rc::Rc;

use super::config::{Behaviour, Key, Kind};
use super::rng::Rng;
use super::variants::On;
use super::world::{START, World};

/// How the store is for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// Known to be down: its client says so at once.
    Refusing,
    /// Down: the client finds out after a while.
    Down,
    /// So slow that some commands time out.
    Slow,
}

/// Percentages, unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// From, to, and how the store is then.
    pub store: Vec<(u64, u64, StoreFault)>,
    /// Writes that are done, but not acknowledged.
    pub write_unsure: u64,
    /// Writes that are acknowledged, but lost.
    pub write_lost: u64,
    /// Lookups that fail.
    pub lookup_fails: u64,
    /// Commands for the log of purges that fail.
    pub log_fails: u64,
    /// From, to, and the key that holds something else then.
    pub wrong_type: Vec<(u64, u64, Key)>,
    /// Backend's answers that aren't for everybody and whole.
    pub backend_bad: u64,
    /// Backend's answers that take longer than a lock timeout.
    pub backend_slow: u64,
    /// Clients that leave before they have an answer.
    pub leave: u64,
    /// Requests that bypass the lookup.
    pub bypass: u64,
    /// Wake-ups between workers that are lost.
    pub wake_lost: u64,
    /// Wake-ups between workers that are late.
    pub wake_late: u64,
    /// From, to: a zone says that it is full, at times.
    pub zone_full: Vec<(u64, u64)>,
    /// When, and which worker is killed.
    pub kills: Vec<(u64, usize)>,
    /// When, how long, and which worker does nothing.
    pub freezes: Vec<(u64, u64, usize)>,
}

impl Faults {
    /// Faults within `span` milliseconds. Each kind is absent from about half of the worlds.
    pub fn random(rng: &mut Rng, span: u64, keys: usize, workers: usize) -> Faults {
        fn some(rng: &mut Rng, most: u64) -> u64 {
            if rng.chance(50) {
                rng.range(1, most)
            } else {
                0
            }
        }
        fn periods<T>(
            rng: &mut Rng,
            span: u64,
            what: impl Fn(&mut Rng) -> T,
        ) -> Vec<(u64, u64, T)> {
            let count = some(rng, 3);
            (0..count)
                .map(|_| {
                    let from = START + rng.range(0, span);
                    (from, from + rng.range(1, span / 4), what(rng))
                })
                .collect()
        }
        let store =
            |rng: &mut Rng| rng.pick(&[StoreFault::Refusing, StoreFault::Down, StoreFault::Slow]);
        let key = |rng: &mut Rng| rng.range(0, keys as u64 - 1) as usize;
        let worker = |rng: &mut Rng| rng.range(0, workers as u64 - 1) as usize;
        let kills = some(rng, 3);
        let freezes = if rng.chance(20) { 1 } else { 0 };
        Faults {
            store: periods(rng, span, store),
            write_unsure: some(rng, 10),
            write_lost: some(rng, 10),
            lookup_fails: some(rng, 5),
            log_fails: some(rng, 20),
            wrong_type: if rng.chance(30) {
                periods(rng, span, key)
            } else {
                Vec::new()
            },
            backend_bad: some(rng, 60),
            backend_slow: some(rng, 20),
            leave: some(rng, 40),
            bypass: some(rng, 10),
            wake_lost: some(rng, 30),
            wake_late: some(rng, 30),
            zone_full: if rng.chance(20) {
                let periods = periods(rng, span, |_| ());
                periods.into_iter().map(|(a, b, ())| (a, b)).collect()
            } else {
                Vec::new()
            },
            kills: (0..kills)
                .map(|_| (START + rng.range(0, span), worker(rng)))
                .collect(),
            freezes: (0..freezes)
                .map(|_| {
                    let when = START + rng.range(0, span);
                    (when, rng.range(100, 40_000), worker(rng))
                })
                .collect(),
        }
    }

    /// How the store is at a time.
    pub fn store_at(&self, now: u64) -> Option<StoreFault> {
        let mut periods = self.store.iter();
        periods
            .find(|(from, to, _)| (*from..*to).contains(&now))
            .map(|(_, _, fault)| *fault)
    }

    /// Whether a key holds something else at a time.
    pub fn is_wrong_type(&self, key: Key, now: u64) -> bool {
        let mut periods = self.wrong_type.iter();
        periods.any(|(from, to, which)| *which == key && (*from..*to).contains(&now))
    }

    /// Whether a zone says that it is full, sometimes, at a time.
    pub fn is_zone_full(&self, now: u64) -> bool {
        let mut periods = self.zone_full.iter();
        periods.any(|(from, to)| (*from..*to).contains(&now))
    }
}

/// Has workers die and freeze as planned.
pub fn plan(world: &Rc<World>) {
    let nth = |world: &World, index: usize| Rc::clone(&world.workers()[index]);
    for (count, (when, index)) in world.config.faults.kills.iter().copied().enumerate() {
        world.at(when, move |world| {
            let worker = nth(world, index);
            world.note(|| format!("worker {} is killed", worker.pid));
            worker.kill(world, 1000 + count as i32);
        });
    }
    for (when, millis, index) in world.config.faults.freezes.iter().copied() {
        world.at(when, move |world| {
            let worker = nth(world, index);
            world.note(|| format!("worker {} does nothing for {millis} ms", worker.pid));
            worker.freeze(world, millis);
        });
    }
}

/// What answers for a key vary on: while nothing goes wrong always the same.
fn on(world: &World, key: Key, rng: &mut Rng) -> On {
    if !world.config.varies {
        return On::Nothing;
    }
    let usual = [On::A, On::Both, On::B, On::Nothing];
    if world.faulty.get() && rng.chance(15) {
        return rng.pick(&[On::A, On::B, On::Both, On::Nothing, On::Any]);
    }
    usual[key % usual.len()]
}

/// What the backend does where nothing else is said.
pub fn behaviour(world: &World, key: Key) -> Behaviour {
    let timeout = world.config.limits.lock_timeout;
    let slow = world.fault(world.config.faults.backend_slow);
    let bad = world.fault(world.config.faults.backend_bad);
    let faulty = world.faulty.get();
    if !world.config.shuffled {
        return Behaviour::good(300, 10);
    }
    let mut rng = world.rng();
    let most = if slow { timeout * 5 } else { timeout / 4 };
    let count = rng.range(1, 4);
    let mut pieces: Vec<(u64, usize)> = Vec::new();
    for _ in 0..count {
        pieces.push((rng.range(0, most / 10), rng.range(1, 200) as usize));
    }
    let mut behaviour = Behaviour {
        kind: Kind::Storable,
        header: rng.range(0, most / 2),
        pieces,
        fresh: 600,
        length: rng.chance(50),
        on: on(world, key, &mut rng),
        strict: faulty && rng.chance(20),
    };
    if rng.chance(30) {
        behaviour.kind = Kind::Confirms;
    }
    if faulty {
        behaviour.fresh = rng.range(0, 5) as u32;
    }
    if bad {
        let kinds = [
            Kind::Private,
            Kind::Cookie,
            Kind::NoStore,
            Kind::Error,
            Kind::Cut,
            Kind::Silent,
            Kind::Storable,
            Kind::Storable,
        ];
        behaviour.kind = rng.pick(&kinds);
        if behaviour.kind == Kind::Storable && rng.chance(30) {
            // It hardly ends.
            behaviour.pieces = vec![(timeout / 4, 10); 60];
            behaviour.length = false;
        } else if behaviour.kind == Kind::Storable {
            // too large
            let pace = rng.pick(&[0, 1, 5]);
            behaviour.pieces = (0..8).map(|_| (rng.range(0, pace), 70_000)).collect();
            behaviour.length = rng.chance(20);
        }
    }
    behaviour
}
