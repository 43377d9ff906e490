//! Many seeds: no response has bytes of two generations, and each byte is fetched once while nothing is lost.

use super::rng::Rng;
use super::world::{Chances, Config, Counts, Fault, World};

const SEEDS: u64 = 1000;

fn config(rng: &mut Rng) -> Config {
    Config {
        machines: usize::try_from(rng.range(1, 3)).unwrap(),
        one_domain: true,
        clients: usize::try_from(rng.range(1, 30)).unwrap(),
        size: rng.range(1, 16),
        most: rng.range(20, 200),
        heeds: rng.chance(50),
        chances: Chances::default(),
        fault: None,
    }
}

/// Runs seeds whose configurations `change` makes of one that has no trouble.
fn run(change: impl Fn(&mut Config, &mut Rng), check: impl Fn(&Config, &Counts, u64)) -> Counts {
    let mut all = Counts::default();
    for seed in 0..SEEDS {
        let mut rng = Rng::new(seed ^ 0xabcd);
        let mut config = config(&mut rng);
        change(&mut config, &mut rng);
        match World::new(seed, config).run() {
            Ok(counts) => {
                check(&config, &counts, seed);
                all.done += counts.done;
                all.cut += counts.cut;
                all.cut_by_change += counts.cut_by_change;
                all.again += counts.again;
                all.passed += counts.passed;
                all.left += counts.left;
                all.joined += counts.joined;
                all.from_store += counts.from_store;
                all.confirmed += counts.confirmed;
                all.asked += counts.asked;
                all.most_fetched = all.most_fetched.max(counts.most_fetched);
            }
            Err(violation) => panic!("seed {seed}: {violation}\n{config:?}"),
        }
    }
    println!("{all:?}");
    all
}

/// Nothing happens: each byte is fetched once, by whichever machine, and nobody is cut.
#[test]
fn calm() {
    let all = run(
        |_, _| {},
        |_, counts, seed| {
            assert!(counts.most_fetched <= 1, "seed {seed}: {counts:?}");
            assert_eq!((counts.cut, counts.again), (0, 0), "seed {seed}");
        },
    );
    assert!(all.joined > 1000 && all.from_store > 1000, "{all:?}");
}

/// A lock for each machine: each fetches a byte once at most, and all use what is stored.
#[test]
fn a_lock_for_each_machine() {
    run(
        |config, _| config.one_domain = false,
        |config, counts, seed| {
            let most = u32::try_from(config.machines).unwrap();
            // Each has its own head, too, whose slices others use.
            assert!(
                counts.most_fetched <= most * most,
                "seed {seed}: {counts:?}"
            );
            assert_eq!((counts.cut, counts.again), (0, 0), "seed {seed}");
        },
    );
}

/// The file changes at any moment: each byte of each generation is fetched once, and who can't be given the rest of an old one
/// is cut.
#[test]
fn the_file_changes() {
    let all = run(
        |config, rng| {
            config.chances = Chances {
                changes: rng.range(1, 5),
                leaves: 2,
                ..Chances::default()
            };
        },
        |_, counts, seed| {
            assert!(counts.most_fetched <= 1, "seed {seed}: {counts:?}");
            assert_eq!(counts.cut, counts.cut_by_change, "seed {seed}");
        },
    );
    assert!(all.cut > 1000 && all.again > 1000, "{all:?}");
}

/// Answers that are cut, or bring less than was asked for, are put together: no byte is fetched twice, unless a request brings
/// nothing at all.
#[test]
fn answers_are_cut() {
    run(
        |config, rng| config.chances.cuts = rng.range(1, 30),
        |_, counts, seed| {
            let most = 1 + counts.failed;
            assert!(counts.most_fetched <= most, "seed {seed}: {counts:?}");
            assert_eq!(counts.cut_by_change, 0, "seed {seed}");
        },
    );
}

/// The head becomes stale and is confirmed: the slices go on.
#[test]
fn the_head_becomes_stale() {
    let all = run(
        |config, _| {
            config.chances.stale = 5;
            config.heeds = true;
        },
        |_, counts, seed| {
            assert!(counts.most_fetched <= 1, "seed {seed}: {counts:?}");
            assert_eq!((counts.cut, counts.again), (0, 0), "seed {seed}");
        },
    );
    assert!(all.confirmed > 1000, "{all:?}");
}

/// All at once: whatever is lost, fails or changes, no response is wrong, and none waits for ever.
#[test]
fn everything() {
    let all = run(
        |config, rng| {
            config.one_domain = rng.chance(50);
            config.chances = Chances {
                changes: rng.range(0, 3),
                losses: rng.range(0, 10),
                failures: rng.range(0, 10),
                cuts: rng.range(0, 20),
                stale: rng.range(0, 5),
                leaves: rng.range(0, 3),
            };
        },
        |_, _, _| {},
    );
    assert!(all.done > 5000 && all.cut > 1000, "{all:?}");
}

/// Faults that are built in are found.
#[test]
fn faults_are_found() {
    for fault in [Fault::Unchecked, Fault::OneName] {
        let found = (0..300).filter(|seed| {
            let mut config = config(&mut Rng::new(*seed));
            config.fault = Some(fault);
            config.heeds = false;
            config.chances.changes = 3;
            World::new(*seed, config).run().is_err()
        });
        assert!(found.count() > 30, "{fault:?}");
    }
    // Bytes are fetched twice.
    let twice = (0..300).filter(|seed| {
        let mut config = config(&mut Rng::new(*seed));
        config.fault = Some(Fault::NoSecondLook);
        let counts = World::new(*seed, config).run().unwrap();
        counts.most_fetched > 1
    });
    assert!(twice.count() > 30);
    // Clients begin anew with the head that is worthless.
    let passed = |fault| {
        let mut passed = 0;
        for seed in 0..300 {
            let mut config = config(&mut Rng::new(seed));
            config.fault = fault;
            config.chances.changes = 3;
            passed += World::new(seed, config).run().unwrap().passed;
        }
        passed
    };
    assert!(passed(Some(Fault::KeepsHead)) > 2 * passed(None));
}
