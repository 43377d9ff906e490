//! Whole failovers, each with many seeds.
//!
//! In every run, whatever happens in it: nothing is announced but what has just said that it is a master, and no epoch
//! comes after a newer one ([`World`] checks both).

use crate::world::{Happening, Health, World};

const SEEDS: u64 = 100;
/// When the failover begins, in milliseconds. Until then all is well.
const START: u64 = 10_000;

fn failover(to: usize, epoch: u64) -> Happening {
    Happening::Failover {
        to,
        epoch,
        promoted_after: 0,
    }
}

/// Runs a story with each seed, after good times.
fn each_seed(sentinels: usize, story: impl Fn(&mut World)) {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 3, sentinels);
        world.run(START);
        assert_eq!(world.master(), Some((0, 1)), "seed {seed}");
        assert!(world.announced_at(1).unwrap() < 100, "seed {seed}");
        assert_eq!(world.replicas(), [1, 2], "seed {seed}");
        println!("seed {seed}");
        story(&mut world);
    }
}

/// What is announced follows within 1 s of the later of these: a Sentinel answered so, the server was a master.
fn check_following(world: &World, epoch: u64) -> u64 {
    let (told, server) = world.first_told[&epoch];
    let right = told.max(world.promoted[&server]);
    let announced = world.announced_at(epoch).unwrap();
    assert!(announced <= right + 1000, "{announced} after {right}");
    announced
}

#[test]
fn good_times() {
    each_seed(3, |world| {
        world.run(60_000);
        assert_eq!(world.announced.len(), 1);
        let each = 3 * 60_000 / world.asked;
        assert!((450..750).contains(&each), "each Sentinel every {each} ms");
        assert_eq!(world.verified, 1);
    });
}

#[test]
fn a_killed_master() {
    each_seed(3, |world| {
        world.at(START, Happening::Server(0, Health::Away));
        world.at(START + 500, failover(1, 2));
        world.run(START + 5000);
        assert_eq!(world.master(), Some((1, 2)));
        let late = check_following(world, 2) - (START + 500);
        assert!(late < 1000, "{late} ms");
    });
}

#[test]
fn a_frozen_master() {
    each_seed(3, |world| {
        world.at(START, Happening::Server(0, Health::Frozen));
        world.at(START + 100, Happening::Suspected(0));
        world.at(START + 500, failover(1, 2));
        // It wakes up and thinks that it is a master, until the Sentinels tell it.
        world.at(START + 3000, Happening::Server(0, Health::Well));
        world.at(START + 3500, Happening::Demoted(0));
        world.run(START + 6000);
        assert_eq!(world.master(), Some((1, 2)));
        let late = check_following(world, 2) - (START + 500);
        assert!(late < 1000, "{late} ms");
        assert_eq!(world.announced.len(), 2);
    });
}

#[test]
fn a_replica_that_comes_and_goes() {
    each_seed(3, |world| {
        world.at(START, Happening::Follows(2, false));
        // All have noticed within a second, and are asked within another, also if no push comes.
        world.lost_pushes = world.random.below(101);
        world.run(START + 2000);
        assert_eq!(world.replicas(), [1]);
        world.at(world.now, Happening::Follows(2, true));
        world.run(world.now + 2000);
        assert_eq!(world.replicas(), [1, 2]);
        assert_eq!(world.announced.len(), 1);
    });
}

#[test]
fn a_push_about_a_replica_is_quicker_than_the_next_question() {
    each_seed(1, |world| {
        world.at(START, Happening::Follows(2, false));
        let noticed = START + 1000;
        world.run(noticed + 150);
        assert_eq!(world.replicas(), [1]);
    });
}

#[test]
fn a_sentinel_that_cannot_see_a_replica_is_outvoted() {
    each_seed(3, |world| {
        let lonely = world.random.below(3) as usize;
        world.sentinels[lonely].stuck = true;
        world.sentinels[lonely].healthy.clear();
        world.run(START + 2000);
        assert_eq!(world.replicas(), [1, 2]);
        // Two of three don't see it.
        world.at(world.now, Happening::Follows(1, false));
        world.sentinels[lonely].healthy = vec![1, 2];
        world.run(world.now + 2000);
        assert_eq!(world.replicas(), [2]);
    });
}

#[test]
fn replicas_behind_a_failover() {
    each_seed(3, |world| {
        world.lost_pushes = world.random.below(101);
        world.at(START, failover(1, 2));
        world.at(START, Happening::Demoted(0));
        world.run(START + 10_000);
        assert_eq!(world.master(), Some((1, 2)));
        // The former master doesn't follow yet.
        assert_eq!(world.replicas(), [2]);
        world.at(world.now, Happening::Follows(0, true));
        world.run(world.now + 2000);
        assert_eq!(world.replicas(), [0, 2]);
    });
}

#[test]
fn sentinels_that_list_nothing() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 3, 3);
        for sentinel in &mut world.sentinels {
            sentinel.lists = false;
        }
        world.run(START);
        assert_eq!(world.master(), Some((0, 1)));
        assert_eq!(world.replicas(), [0; 0]);
    }
}

#[test]
fn pushes_are_lost() {
    each_seed(3, |world| {
        world.lost_pushes = 100;
        world.at(START, failover(1, 2));
        world.at(START, Happening::Demoted(0));
        world.run(START + 5000);
        assert_eq!(world.master(), Some((1, 2)));
        let late = check_following(world, 2) - START;
        assert!(late < 1000, "{late} ms");
    });
}

#[test]
fn feeds_are_silent() {
    each_seed(3, |world| {
        world.at(START, Happening::FreezeFeeds);
        world.run(START + 5000);
        // Another feed has taken its place.
        assert!(
            world
                .sentinels
                .iter()
                .any(|s| s.subscribed && !s.feed_frozen)
        );
        world.at(world.now, failover(1, 2));
        let begun = world.now;
        world.run(begun + 5000);
        let late = check_following(world, 2) - begun;
        assert!(late < 1000, "{late} ms");
    });
}

#[test]
fn an_address_before_the_promotion() {
    each_seed(3, |world| {
        let after = world.random.below(4000);
        world.at(START, Happening::Server(0, Health::Away));
        world.at(
            START,
            Happening::Failover {
                to: 2,
                epoch: 2,
                promoted_after: after,
            },
        );
        world.run(START + 8000);
        assert_eq!(world.master(), Some((2, 2)));
        let announced = check_following(world, 2);
        assert!(announced >= START + after);
        assert!(announced <= START + after + 1000);
    });
}

#[test]
fn a_stuck_sentinel_and_a_master_that_thinks_it_is_one() {
    each_seed(3, |world| {
        let stuck = world.random.below(3) as usize;
        world.sentinels[stuck].stuck = true;
        // The old master is on the stuck Sentinel's side, and nobody demotes it.
        world.at(START, failover(1, 2));
        world.run(START + 20_000);
        // The leader may be the stuck one: the others have heard all the same.
        assert_eq!(world.master(), Some((1, 2)));
        check_following(world, 2);
        assert_eq!(world.announced.len(), 2);
        // The others go away for a while: the stuck one isn't believed.
        for sentinel in (0..3).filter(|sentinel| *sentinel != stuck) {
            world.at(world.now, Happening::Sentinel(sentinel, Health::Frozen));
        }
        world.run(world.now + 60_000);
        assert_eq!(world.master(), Some((1, 2)));
    });
}

#[test]
fn a_partition() {
    each_seed(3, |world| {
        // Two Sentinels and the new master can't be reached at first; the third learns nothing.
        world.sentinels[0].stuck = true;
        for (sentinel, health) in [(1, Health::Frozen), (2, Health::Away)] {
            world.at(START, Happening::Sentinel(sentinel, health));
        }
        world.at(START, Happening::Server(1, Health::Frozen));
        world.at(START + 100, failover(1, 2));
        world.run(START + 10_000);
        assert_eq!(world.master(), Some((0, 1)));
        // The Sentinels come back before the master does: it isn't announced unseen, and the old one is no more.
        for sentinel in [1, 2] {
            world.at(world.now, Happening::Sentinel(sentinel, Health::Well));
        }
        world.run(world.now + 5000);
        assert_eq!(world.master(), Some((0, 1)));
        let healed = world.now;
        world.at(healed, Happening::Server(1, Health::Well));
        world.run(healed + 1000);
        assert_eq!(world.master(), Some((1, 2)));
    });
}

#[test]
fn two_failovers_in_a_row() {
    each_seed(3, |world| {
        world.lost_pushes = 30;
        let gap = world.random.below(2500);
        // There and back: the same server, but its connections are of another epoch.
        let back = world.random.below(2) as usize * 2;
        world.at(START, failover(1, 2));
        world.at(START, Happening::Demoted(0));
        world.at(START + gap, failover(back, 3));
        world.at(START + gap, Happening::Demoted(1));
        world.run(START + gap + 5000);
        assert_eq!(world.master(), Some((back, 3)));
        let late = check_following(world, 3) - (START + gap);
        assert!(late < 1100, "{late} ms");
    });
}

#[test]
fn all_sentinels_away_and_back() {
    each_seed(3, |world| {
        for sentinel in 0..3 {
            let health = if world.random.chance(50) {
                Health::Away
            } else {
                Health::Frozen
            };
            world.at(START, Happening::Sentinel(sentinel, health));
        }
        let asked = world.asked;
        world.run(START + 60_000);
        assert_eq!(
            world.master(),
            Some((0, 1)),
            "it goes on with what it knows"
        );
        assert_eq!(world.replicas(), [1, 2], "of replicas, too");
        let each = 3 * 60_000 / (world.asked - asked);
        assert!(each > 1500, "each Sentinel was asked every {each} ms");
        // Meanwhile the master has changed.
        for sentinel in &mut world.sentinels {
            (sentinel.address, sentinel.epoch) = (2, 2);
        }
        world.servers[0].is_master = false;
        world.servers[2].is_master = true;
        world.promoted.insert(2, world.now);
        let back = world.now;
        for sentinel in 0..3 {
            world.at(back, Happening::Sentinel(sentinel, Health::Well));
        }
        world.run(back + 3000);
        assert_eq!(world.master(), Some((2, 2)));
        assert!(check_following(world, 2) - back < 2600);
        world.run(back + 8000);
        assert!(
            world.sentinels.iter().any(|s| s.subscribed),
            "it listens again"
        );
    });
}

#[test]
fn readonly_is_quicker_than_the_next_question() {
    each_seed(1, |world| {
        world.lost_pushes = 100;
        world.at(START, failover(1, 2));
        world.at(START, Happening::Demoted(0));
        for after in [10, 20, 30, 40] {
            world.at(START + after, Happening::Suspected(0));
        }
        world.run(START + 300);
        assert_eq!(world.master(), Some((1, 2)));
    });
}

#[test]
fn with_few_rights() {
    each_seed(3, |world| {
        // Neither ROLE nor the epochs.
        world
            .servers
            .iter_mut()
            .for_each(|server| server.denies_role = true);
        world.at(START, failover(1, 2));
        world.at(START, Happening::Demoted(0));
        world.run(START + 5000);
        assert_eq!(world.master(), Some((1, 2)));
    });
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 3, 3);
        for sentinel in &mut world.sentinels {
            sentinel.hides_epoch = true;
        }
        world.run(START);
        assert_eq!(world.master(), Some((0, 0)));
        world.at(START, failover(1, 2));
        world.at(START, Happening::Demoted(0));
        world.run(START + 2500);
        assert_eq!(world.master(), Some((1, 0)), "seed {seed}");
    }
}

/// Anything at any time; in the end all is well, and the newest master is known.
#[test]
fn chaos() {
    each_seed(5, |world| {
        let mut epoch = 1;
        let mut time = START;
        for _ in 0..40 {
            time += world.random.below(2000);
            let health =
                [Health::Well, Health::Away, Health::Frozen][world.random.below(3) as usize];
            let (server, sentinel) = (
                world.random.below(3) as usize,
                world.random.below(5) as usize,
            );
            match world.random.below(8) {
                0 | 1 => world.at(time, Happening::Sentinel(sentinel, health)),
                2 => world.at(time, Happening::Server(server, health)),
                3 => world.at(time, Happening::Demoted(server)),
                4 => world.at(time, Happening::FreezeFeeds),
                5 | 6 => {
                    let follows = world.random.chance(50);
                    world.at(time, Happening::Follows(server, follows));
                }
                _ => {
                    epoch += 1;
                    let promoted_after = world.random.below(1500);
                    world.at(
                        time,
                        Happening::Failover {
                            to: server,
                            epoch,
                            promoted_after,
                        },
                    );
                }
            }
            if world.random.chance(20) {
                world.at(time, Happening::Suspected(server));
            }
        }
        world.lost_pushes = 50;
        world.run(time + 3000);
        let end = world.now;
        for server in 0..3 {
            world.at(end, Happening::Server(server, Health::Well));
        }
        for sentinel in 0..5 {
            world.at(end, Happening::Sentinel(sentinel, Health::Well));
        }
        world.at(end, failover(1, epoch + 1));
        for server in [0, 2] {
            world.at(end, Happening::Follows(server, true));
        }
        world.run(end + 5000);
        assert_eq!(world.master(), Some((1, epoch + 1)));
        check_following(world, epoch + 1);
        assert_eq!(world.replicas(), [0, 2]);
    });
}
