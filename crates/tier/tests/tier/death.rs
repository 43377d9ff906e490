//! A worker that is killed at any of its writes: whatever it leaves, the others go on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tier::Layout;

use crate::bed::{Graves, Use, Watched, words};
use crate::world::{Step, World, any_step};

/// What unwinds a worker that is killed.
struct Killed;

/// How many writes are left to a worker that is killed behind them.
struct Fuse(AtomicI64);

/// A fuse that never blows.
const NEVER: i64 = i64::MAX;

impl Fuse {
    fn burn(&self, what: Use) {
        if what == Use::Write && self.0.fetch_sub(1, Ordering::Relaxed) <= 0 {
            resume_unwind(Box::new(Killed));
        }
    }
}

/// Takes a step whose worker is killed after so many writes. Whether it was.
fn step_to_death(
    world: &mut World<'_, Watched<'_>>,
    fuse: &Fuse,
    step: &Step,
    writes: i64,
) -> bool {
    let who = world.who(step);
    fuse.0.store(writes, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(|| world.step(step)));
    fuse.0.store(NEVER, Ordering::Relaxed);
    match result {
        Ok(()) => false,
        Err(killed) if killed.is::<Killed>() => {
            world.die(who);
            true
        }
        Err(other) => resume_unwind(other),
    }
}

/// Steps drawn from a seed.
fn draw(seed: u8, count: usize) -> Vec<Step> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = any_step();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// A worker that dies, and what happens before and after.
struct Death<'a> {
    before: &'a [Step],
    step: &'a Step,
    after: &'a [Step],
    /// How many entries a worker puts in order in a turn.
    turn: u32,
}

impl Death<'_> {
    /// Runs what is before, then the step until `first` writes are done, then what is after, whose steps are killed after
    /// `second` writes as long as there are any. Whether the first was killed.
    fn happens(&self, first: i64, second: i64) -> bool {
        let layout = Layout::with_units(96).unwrap();
        let (words, fuse) = (words(&layout), Fuse(AtomicI64::new(NEVER)));
        let watched = Watched {
            words: &words,
            before: &|what| fuse.burn(what),
        };
        let graves = Graves::default();
        let mut world = World::with_turn(&watched, &words, layout, &graves, self.turn);
        for step in self.before {
            world.step(step);
        }
        let killed = step_to_death(&mut world, &fuse, self.step, first);
        world.check();
        if !killed {
            return false;
        }
        for (index, step) in self.after.iter().enumerate() {
            if index < 2 {
                step_to_death(&mut world, &fuse, step, second);
            } else {
                world.step(step);
            }
            world.check();
        }
        world.mend();
        world.check_counts();
        world.end();
        true
    }
}

#[test]
fn a_worker_may_die_at_any_write() {
    let mut deaths = 0i64;
    for seed in 0..6 {
        let steps = draw(seed, 40);
        let after = draw(seed + 100, 9);
        for index in 20..steps.len() {
            let death = Death {
                before: &steps[..index],
                step: &steps[index],
                after: &after,
                // In one turn, or in many.
                turn: [1024, 7, 40][index % 3],
            };
            let mut writes = 0;
            while death.happens(writes, 7 * deaths % 400) {
                deaths += 1;
                // One that makes the index anew writes thousands of words.
                writes += if writes < 60 { 1 } else { 1 + writes / 8 };
            }
        }
    }
    assert!(deaths > 1000, "{deaths}");
}
