//! The stage for single situations: few clients, no chance.
//!
//! The store takes 1 ms to it and 1 ms back: a lookup ends 2 ms after its request came.

use std::rc::Rc;

use cache_core::outcome::Reason;

use super::backend::Purpose;
use super::client::{Manner, arrive};
use super::config::{Behaviour, Config};
use super::data::Stored;
use super::faults::Faults;
use super::invariants::Decision;
use super::world::{START, World};

pub const STORE: Decision = Decision::Fill {
    locked: true,
    reason: None,
};
pub const RELEASED: Decision = Decision::Pass(Reason::WaitersReleased);
pub const LATE: Decision = Decision::Pass(Reason::LockTimeout);

/// A world whose backend first does what the script says, then gives good answers.
pub fn world(config: Config, script: impl IntoIterator<Item = Behaviour>) -> Rc<World> {
    World::new(Config {
        script: script.into_iter().collect(),
        ..config
    })
}

pub fn machines(machines: &[usize]) -> Config {
    Config {
        machines: machines.to_vec(),
        ..Config::plain()
    }
}

pub fn faulty(faults: Faults) -> Config {
    Config {
        faults,
        ..Config::plain()
    }
}

/// Requests for key 0 at a time, all to one worker.
pub fn crowd(world: &Rc<World>, count: usize, at: u64, (machine, index): (usize, usize)) {
    for _ in 0..count {
        comes(world, at, (machine, index), Manner::default());
    }
}

pub fn comes(world: &Rc<World>, at: u64, (machine, index): (usize, usize), manner: Manner) {
    world.at(START + at, move |world| {
        arrive(world, machine, index, 0, manner);
    });
}

/// How many requests were decided so, at which time.
pub fn tally(world: &World) -> Vec<(u64, Decision, usize)> {
    let mut tally: Vec<(u64, Decision, usize)> = Vec::new();
    for request in &world.judge().requests {
        let Some((at, decision)) = request.decided else {
            continue;
        };
        let at = at - START;
        match tally
            .iter_mut()
            .find(|(a, d, _)| (*a, *d) == (at, decision))
        {
            Some((_, _, count)) => *count += 1,
            None => tally.push((at, decision, 1)),
        }
    }
    tally.sort_by_key(|(at, _, _)| *at);
    tally
}

/// When the backend was asked, and why.
pub fn asked(world: &World) -> Vec<(u64, Purpose)> {
    let all = world.backend.asked();
    all.iter().map(|a| (a.at - START, a.purpose)).collect()
}

pub fn rest(world: &Rc<World>) {
    world.run();
    world.judge().at_rest(world);
}

/// A record of an answer that the backend gave before, fresh for so long, in milliseconds.
pub fn record(world: &Rc<World>, fresh: i64) {
    crowd(world, 1, 0, (0, 0));
    world.run_until(START + 999);
    let kept = world.store.peek(0, world.now()).unwrap();
    let stale = i64::from(world.config.rules.kept()) * 1000;
    let expires = (START as i64 + 1000 + fresh + stale) as u64;
    world.store.put(0, Some(Stored { expires, ..kept }));
}
