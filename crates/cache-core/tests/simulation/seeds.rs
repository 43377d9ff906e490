//! Worlds by seed: a time of faults, then a time without.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use cache_core::flow::WaitLimits;
use cache_core::outcome::Reason;
use cache_core::rules::{Ahead, Rules};

use super::backend::{Asked, Purpose};
use super::client::{Manner, arrive};
use super::config::{Claims, Config, MAX_SIZE};
use super::faults::{Faults, plan};
use super::happening;
use super::invalidating;
use super::invariants::{Decision, Judge};
use super::leasing;
use super::purging::{self, Purge};
use super::rng::Rng;
use super::topology::{Broken, Mode, Topology};
use super::variants::FieldValues;
use super::watching;
use super::world::{START, World};

/// How many seeds run of each kind of worlds, unless `SIM_SEEDS` says otherwise: each test takes about 10 s.
const SEEDS: u64 = 400;

/// The longest time for which a key is remembered whose answers aren't storable, in milliseconds.
const LONGEST_TTL: u64 = 5000;

/// So many failures are enough.
const MANY: usize = 20;

pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// What kind of worlds.
#[derive(Clone, Copy, Default)]
pub struct Worlds {
    pub varies: bool,
    pub mode: Mode,
    pub broken: Option<Broken>,
    pub claims: Claims,
    pub purges: bool,
}

#[test]
fn whatever_goes_wrong_the_invariants_hold() {
    many(Worlds::default(), SEEDS, "whatever");
}

#[test]
fn however_answers_vary_nobody_gets_anothers() {
    let varies = Worlds {
        varies: true,
        ..Worlds::default()
    };
    many(varies, SEEDS / 3, "however");
}

#[test]
fn among_all_machines_each_key_is_filled_once() {
    let fleet = Worlds {
        claims: Claims::Made,
        ..Worlds::default()
    };
    many(fleet, SEEDS / 2, "among_all_machines_each_key");
}

#[test]
fn among_all_machines_each_variant_is_filled_once() {
    let fleet = Worlds {
        varies: true,
        claims: Claims::Made,
        ..Worlds::default()
    };
    many(fleet, SEEDS / 4, "among_all_machines_each_variant");
}

#[test]
fn nobody_gets_what_was_purged_before() {
    for varies in [false, true] {
        let purges = Worlds {
            varies,
            purges: true,
            ..Worlds::default()
        };
        many(purges, SEEDS / 5, "nobody_gets_what_was_purged_before");
    }
}

#[test]
fn nobody_gets_what_was_purged_before_on_any_machine_that_shares_fills() {
    for varies in [false, true] {
        let purges = Worlds {
            varies,
            claims: Claims::Made,
            purges: true,
            ..Worlds::default()
        };
        many(purges, SEEDS / 6, "that_shares_fills");
    }
}

/// Leases are lost with the servers that have them.
#[test]
fn whatever_servers_lose_the_invariants_hold() {
    for mode in [Mode::Sentinel, Mode::Cluster] {
        let fleet = Worlds {
            claims: Claims::Made,
            mode,
            ..Worlds::default()
        };
        many(fleet, SEEDS / 5, "servers_lose");
    }
}

/// The judge sees what claims are there for.
#[test]
fn without_claims_it_is_found() {
    let left_out = Worlds {
        claims: Claims::LeftOut,
        ..Worlds::default()
    };
    let found = |seed| catch_unwind(AssertUnwindSafe(|| run(seed, left_out, false)));
    let said: Vec<String> = (0..20)
        .filter_map(|seed| found(seed).err())
        .map(words)
        .collect();
    let twice = said
        .iter()
        .filter(|said| said.contains("is filled by machine"));
    assert!(twice.count() >= 10, "{said:?}");
}

fn words(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

/// Runs worlds of many seeds, or the one that is asked for.
pub fn many(worlds: Worlds, most: u64, test: &str) {
    if let Some(seed) = number("SIM_SEED") {
        run(seed, worlds, true);
        return;
    }
    let mut failed = Vec::new();
    for seed in 0..number("SIM_SEEDS").unwrap_or(most) {
        if catch_unwind(AssertUnwindSafe(|| run(seed, worlds, false))).is_err() {
            failed.push(seed);
        }
        if failed.len() == MANY {
            break;
        }
    }
    let first = failed.first();
    assert!(
        failed.is_empty(),
        "seeds {failed:?} failed; SIM_SEED={} cargo test -p cache-core --test simulation \
         {test} -- --nocapture shows what happens in the first",
        first.unwrap_or(&0)
    );
}

fn config(seed: u64, rng: &mut Rng, worlds: Worlds, trace: bool) -> Config {
    let varies = worlds.varies;
    let machines: Vec<usize> = (0..rng.range(1, 3))
        .map(|_| rng.range(1, 3) as usize)
        .collect();
    let keys = rng.range(1, 5) as usize;
    let timeout = rng.pick(&[300, 500, 1000, 3000]);
    let stale = rng.range(1, 4) as u32;
    let rules = Rules {
        stale,
        // Every other world keeps its records for longer, for when the backend fails.
        stale_on_error: (seed % 2 == 1).then_some(stale + 6),
        max_size: MAX_SIZE,
        variants: if varies { rng.pick(&[1, 2, 3, 16]) } else { 16 },
        // Of three worlds one has its records refilled before they are stale.
        ahead: [None, None, Some(Ahead::Share(60))][usize::try_from(seed % 3).unwrap()],
        ..Rules::default()
    };
    let span = rng.range(2000, 15_000);
    Config {
        seed,
        keys,
        // Rarely too few places for all keys.
        entries: match (rng.chance(15), varies) {
            (true, _) => 2,
            // Each worker has locks of its own while the store is in trouble.
            (false, false) => 64,
            (false, true) => 128,
        },
        varies,
        limits: WaitLimits {
            lock_timeout: timeout,
        },
        rules,
        lock_age: rng.pick(&[2000, 5000, 30_000]),
        queue: rng.pick(&[2, 20, 1000]),
        // Of five worlds one stores what is asked for again.
        min_uses: if seed % 5 == 4 { 3 } else { 1 },
        uncacheable_ttl: rng.pick(&[100, 1000, LONGEST_TTL]),
        capture_timeout: rng.pick(&[1000, 5000, 20_000]),
        shuffled: true,
        store_delay: (0, 3),
        wake_delay: (0, 2),
        faults: Faults::random(rng, span, keys, machines.iter().sum()),
        machines,
        trace,
        ..Config::plain()
    }
}

/// Runs the world of one seed; says which replies other than results its workers have met.
pub fn run(seed: u64, worlds: Worlds, trace: bool) -> BTreeSet<String> {
    let mut rng = Rng::new(seed);
    let mut config = config(seed, &mut rng, worlds, trace);
    let span = rng.range(2000, 15_000);
    config.topology.broken = worlds.broken;
    if worlds.mode != Mode::One {
        // What happens to single servers is in the topology.
        config.faults.store.clear();
        config.topology = Topology::random(&mut rng, worlds.mode, span);
        config.topology.broken = worlds.broken;
    }
    if worlds.mode == Mode::One {
        let machines = config.machines.len() as u64 - 1;
        let keys = config.keys as u64 - 1;
        config.fences = true;
        let count = if rng.chance(70) { rng.range(1, 12) } else { 0 };
        let invalidation = |_| {
            let when = START + rng.range(0, span);
            (
                when,
                rng.range(0, machines) as usize,
                rng.range(0, keys) as usize,
            )
        };
        config.invalidations = (0..count).map(invalidation).collect();
        if worlds.purges {
            is_purged(&mut config, &mut rng, span);
        }
    }
    if worlds.claims != Claims::None {
        config.claims = worlds.claims;
        is_fleet(&mut config, &mut rng, span, worlds.mode);
    }
    let world = World::new(config);
    world.note(|| {
        let config = &world.config;
        format!(
            "machines {:?}, {} keys, {} entries, {:?}, {:?}, {:?}",
            config.machines,
            config.keys,
            config.entries,
            config.limits,
            config.faults,
            config.topology
        )
    });
    world.faulty.set(true);
    plan(&world);
    invalidating::plan(&world);
    purging::plan(&world, START + span + 10_000);
    leasing::plan(&world);
    happening::plan(&world);
    watching::watch(&world, START + span + 10_000);
    crowds(&world, &mut rng, span);
    world.run();
    world.judge().at_rest(&world);
    quiet(&world, &mut rng);
    world.end();
    std::mem::take(&mut world.judge().routing.met)
}

/// Purges by URI, by tag and of all, sent at any moment to any machine.
fn is_purged(config: &mut Config, rng: &mut Rng, span: u64) {
    config.has_log = true;
    config.looks_after_log = rng.chance(80);
    let count = rng.range(1, 12);
    let machines = config.machines.len() as u64 - 1;
    let purge = |_| {
        let when = START + rng.range(0, span);
        let machine = rng.range(0, machines) as usize;
        (when, machine, Purge::random(rng, config.keys))
    };
    config.purges = (0..count).map(purge).collect();
}

/// Machines that share their fills: more than one, of which some die as a whole, and a store that loses leases.
fn is_fleet(config: &mut Config, rng: &mut Rng, span: u64, mode: Mode) {
    if config.machines.len() == 1 {
        config.machines.push(1);
    }
    if mode == Mode::One {
        let count = if rng.chance(50) { rng.range(1, 3) } else { 0 };
        config.failovers = (0..count).map(|_| START + rng.range(0, span)).collect();
    }
    if rng.chance(50) {
        let machine = rng.range(0, config.machines.len() as u64 - 1) as usize;
        let when = START + rng.range(0, span);
        let before: usize = config.machines[..machine].iter().sum();
        let own = before..before + config.machines[machine];
        config.faults.kills.extend(own.map(|index| (when, index)));
    }
}

/// Somebody comes, anywhere, for any key.
fn somebody(world: &Rc<World>, rng: &mut Rng, when: u64, key: Option<usize>) {
    let machine = rng.range(0, world.machines.len() as u64 - 1) as usize;
    let workers = world.config.machines[machine] as u64;
    let index = rng.range(0, workers - 1) as usize;
    let key = key.unwrap_or_else(|| rng.range(0, world.config.keys as u64 - 1) as usize);
    let faults = &world.config.faults;
    let faulty = world.faulty.get();
    let timeout = world.config.limits.lock_timeout;
    let manner = Manner {
        fields: if world.config.varies {
            FieldValues::random(rng)
        } else {
            FieldValues::default().sent_by(rng)
        },
        part: faulty && rng.chance(10),
        bypass: faulty && rng.chance(faults.bypass),
        leaves: (faulty && rng.chance(faults.leave)).then(|| rng.range(0, timeout * 2)),
        slowness: if faulty && rng.chance(20) {
            rng.range(1, 100)
        } else {
            0
        },
    };
    world.at(when, move |world| {
        arrive(world, machine, index, key, manner);
    });
}

/// Crowds for one key, and people who come alone.
fn crowds(world: &Rc<World>, rng: &mut Rng, span: u64) {
    for _ in 0..rng.range(0, 6) {
        let (start, width) = (START + rng.range(0, span), rng.range(0, 200));
        let key = rng.range(0, world.config.keys as u64 - 1) as usize;
        for _ in 0..rng.range(2, 120) {
            let when = start + rng.range(0, width);
            somebody(world, rng, when, Some(key));
        }
    }
    for _ in 0..rng.range(5, 300) {
        let when = START + rng.range(0, span);
        somebody(world, rng, when, None);
    }
}

/// Whether the answer of a fill was right for the request of another.
fn selects(judge: &Judge, other: &Asked, fill: &Asked) -> bool {
    let fields = |asked: &Asked| judge.requests[asked.request].fields;
    fields(other).selects(fill.on, fields(fill))
}

/// Nothing goes wrong any more: every request has its answer from the cache or the one fill.
fn quiet(world: &Rc<World>, rng: &mut Rng) {
    world.faulty.set(false);
    if world.config.is_crowded() {
        // More keys at once than places: some requests would pass.
        return;
    }
    let pause = rng.range(0, 6000);
    let pause = if world.config.topology.mode == Mode::One {
        pause
    } else {
        happening::heal(world);
        watching::wake(world);
        pause + 3000
    };
    let pause = match world.config.claims {
        Claims::None => pause,
        // Leases end that nobody could give back, and what is remembered is forgotten.
        _ => pause + LONGEST_TTL + 3000,
    };
    if world.config.has_log {
        // All know of all purges.
        (0..world.machines.len()).for_each(|machine| purging::hears(world, machine));
    }
    world.run_until(world.now() + pause.max(500));
    if world.config.varies {
        // What answers vary on is the same from now on, but not what it was.
        world.keys().for_each(|key| world.store.purge(key));
        world.judge().data.forget();
    }
    let (first, asked) = (world.judge().requests.len(), world.backend.count());
    let begin = world.now();
    let width = rng.range(0, 3000);
    for _ in 0..rng.range(10, 150) {
        let when = begin + rng.range(0, width);
        somebody(world, rng, when, None);
    }
    world.run();
    let judge = world.judge();
    judge.at_rest(world);
    let few = world.config.queue < 150;
    for (number, request) in judge.requests.iter().enumerate().skip(first) {
        let cached = match request.decided.map(|(_, decision)| decision) {
            Some(
                Decision::Hit
                | Decision::Ahead
                | Decision::Stale { .. }
                | Decision::Failing
                | Decision::Join,
            ) => true,
            // A mark may be left of the time of faults; it ends with the first answer that is stored.
            Some(Decision::Fill { reason, .. }) => reason.is_none(),
            Some(Decision::Pass(Reason::TooManyWaiters)) => few,
            // How many there may be has been seen to.
            Some(Decision::Pass(reason)) => reason == Reason::FewUses,
            None => false,
        };
        if !cached {
            judge.fails(&format!(
                "without faults request {number} ended so: {request:?}"
            ));
        }
    }
    let asked = &world.backend.asked()[asked..];
    if world.config.claims == Claims::Made && world.config.topology.mode == Mode::One {
        for fill in asked.iter().filter(|asked| asked.purpose == Purpose::Fill) {
            let same = |other: &&Asked| {
                let own = (other.key, other.lock) == (fill.key, fill.lock);
                own && other.purpose == Purpose::Fill && other.machine != fill.machine
            };
            let superseded = judge.superseded.contains(&(fill.machine, fill.key));
            // Those that have no place of their own take turns.
            let room = !world.config.varies || world.config.rules.variants >= 8;
            if room
                && !superseded
                && asked
                    .iter()
                    .any(|other| same(&other) && selects(&judge, other, fill))
            {
                judge.fails(&format!(
                    "without faults two machines filled {:?}",
                    fill.lock
                ));
            }
        }
    }
    for machine in 0..world.machines.len() {
        for key in world.keys() {
            let fills = asked.iter().filter(|asked| {
                (asked.machine, asked.key, asked.purpose) == (machine, key, Purpose::Fill)
            });
            let fills: Vec<_> = fills.collect();
            let fields = |asked: &Asked| judge.requests[asked.request].fields;
            // A fill that began when nobody knew what the answers vary on may turn out to be of a variant
            // that somebody fills who has learnt of it elsewhere.
            let again = |(index, fill): (usize, &&Asked)| {
                let mut before = fills[..index].iter();
                before.any(|other| {
                    let same = fields(other).selects(fill.on, fields(fill));
                    same && (other.lock == Some(key)) == (fill.lock == Some(key))
                })
            };
            // Those that have no place of their own take turns.
            let room = !world.config.varies || world.config.rules.variants >= 8;
            let twice = fills.iter().enumerate().any(again);
            if room && twice && !judge.superseded.contains(&(machine, key)) {
                judge.fails(&format!(
                    "without faults machine {machine} filled key {key} more than once for the same"
                ));
            }
        }
    }
}
