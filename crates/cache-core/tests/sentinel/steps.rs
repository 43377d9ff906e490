//! The watcher, one event after the other.

use cache_core::cluster::Address;
use cache_core::sentinel::{
    ANNOUNCED_SIZE, Action, Announced, Event, Master, Proof, Role, Settings, Watcher,
};
use proptest::prelude::*;

type Server = &'static str;

/// A watcher at a time of its own.
struct Bench {
    watcher: Watcher<Server>,
    now: u64,
}

impl Bench {
    fn new(sentinels: usize) -> Self {
        Self {
            watcher: Watcher::new(sentinels, Settings::default(), 7),
            now: 1000,
        }
    }

    fn on(&mut self, event: Event<Server>) -> Vec<Action<Server>> {
        let mut actions = Vec::new();
        self.watcher.handle(self.now, event, &mut actions);
        assert!(
            self.watcher.wakes_at() > self.now,
            "it would wake at once, for ever"
        );
        actions
    }

    fn after(&mut self, pause: u64, event: Event<Server>) -> Vec<Action<Server>> {
        self.now += pause;
        self.on(event)
    }

    fn answer(&mut self, sentinel: usize, address: Server, epoch: u64) -> Vec<Action<Server>> {
        self.on(Event::Answered {
            sentinel,
            address,
            epoch: Some(epoch),
            replicas: None,
        })
    }

    /// An answer of epoch 3 that lists replicas of `a`.
    fn lists(&mut self, sentinel: usize, replicas: &[Server]) -> Vec<Action<Server>> {
        self.on(Event::Answered {
            sentinel,
            address: "a",
            epoch: Some(3),
            replicas: Some(replicas.to_vec()),
        })
    }

    fn role(&mut self, address: Server, role: Role) -> Vec<Action<Server>> {
        self.on(Event::Role { address, role })
    }

    /// One of these Sentinels, with `a` announced in epoch 3.
    fn with_master(sentinels: usize) -> Self {
        let mut bench = Self::new(sentinels);
        bench.on(Event::Tick);
        for sentinel in 0..sentinels {
            bench.answer(sentinel, "a", 3);
        }
        bench.role("a", Role::Master);
        assert_eq!(bench.watcher.master(), Some(&master("a", 3)));
        bench
    }
}

fn master(address: Server, epoch: u64) -> Master<Server> {
    Master { address, epoch }
}

fn verify(address: Server) -> Action<Server> {
    Action::Verify {
        address,
        proof: Proof::Role,
    }
}

#[test]
fn the_first_master() {
    let mut bench = Bench::new(2);
    assert_eq!(
        bench.on(Event::Tick),
        [Action::Ask { sentinel: 0 }, Action::Ask { sentinel: 1 }]
    );
    assert_eq!(
        bench.answer(1, "a", 3),
        [verify("a"), Action::Subscribe { sentinel: 1 }]
    );
    assert_eq!(bench.watcher.master(), None);
    assert_eq!(
        bench.role("a", Role::Master),
        [Action::Announce(master("a", 3))]
    );
    assert_eq!(bench.answer(0, "a", 3), []);
}

#[test]
fn good_times_are_quiet() {
    let mut bench = Bench::with_master(1);
    let mut asked = 0;
    for _ in 0..100 {
        let wait = bench.watcher.wakes_at() - bench.now;
        for action in bench.after(wait, Event::Tick) {
            match action {
                Action::Ask { sentinel } => {
                    asked += 1;
                    assert_eq!(bench.answer(sentinel, "a", 3), []);
                }
                Action::Ping { sentinel } => assert_eq!(bench.on(Event::Pong { sentinel }), []),
                Action::Subscribe { sentinel } => {
                    bench.on(Event::Subscribed { sentinel });
                }
                Action::Unsubscribe { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let each = (bench.now - 1000) / asked;
    assert!((400..=800).contains(&each), "asked every {each} ms");
}

#[test]
fn a_server_must_say_that_it_is_a_master() {
    let mut bench = Bench::new(1);
    bench.on(Event::Tick);
    bench.answer(0, "a", 3);
    for role in [Role::Replica, Role::Unknown] {
        let actions = bench.role("a", role);
        assert!(
            !actions.contains(&verify("a")),
            "it isn't asked again at once"
        );
        assert_eq!(bench.watcher.master(), None);
        // Begin again.
        let mut asked = actions.contains(&Action::Ask { sentinel: 0 });
        let mut verified = false;
        while !verified || !asked {
            let wait = bench.watcher.wakes_at() - bench.now;
            let actions = bench.after(wait, Event::Tick);
            verified |= actions.contains(&verify("a"));
            if asked || actions.contains(&Action::Ask { sentinel: 0 }) {
                asked = true;
                verified |= bench.answer(0, "a", 3).contains(&verify("a"));
            }
            assert!(bench.now < 3000);
        }
    }
    assert_eq!(bench.on(Event::Unreachable { address: "a" }).len(), 0);
    assert_eq!(bench.watcher.master(), None);
}

#[test]
fn info_where_role_is_denied() {
    let mut bench = Bench::new(1);
    bench.on(Event::Tick);
    bench.answer(0, "a", 3);
    let info = |address| Action::Verify {
        address,
        proof: Proof::Info,
    };
    assert_eq!(bench.role("a", Role::Denied), [info("a")]);
    assert_eq!(
        bench.role("a", Role::Master),
        [Action::Announce(master("a", 3))]
    );
    // It is known from now on.
    assert_eq!(bench.answer(0, "b", 4), [info("b")]);
    bench.role("b", Role::Denied);
    assert_eq!(bench.watcher.master(), Some(&master("a", 3)));
}

#[test]
fn a_higher_epoch_outvotes_any_number() {
    let mut bench = Bench::with_master(3);
    assert_eq!(bench.answer(2, "b", 4), [verify("b")]);
    assert_eq!(bench.answer(0, "a", 3), []);
    assert_eq!(
        bench.role("b", Role::Master),
        [Action::Announce(master("b", 4))]
    );
    // Two Sentinels are stuck; the old master still thinks it is one.
    for _ in 0..5 {
        assert_eq!(bench.answer(0, "a", 3), []);
        assert_eq!(bench.answer(1, "a", 3), []);
    }
    // Even if nobody else answers for a while.
    bench.on(Event::Failed { sentinel: 2 });
    assert_eq!(bench.answer(0, "a", 3), []);
    assert_eq!(bench.watcher.master(), Some(&master("b", 4)));
}

#[test]
fn a_newer_master_does_not_wait_for_a_frozen_one() {
    let mut bench = Bench::new(2);
    bench.on(Event::Tick);
    assert!(bench.answer(0, "a", 3).contains(&verify("a")));
    assert_eq!(bench.answer(1, "b", 4), [verify("b")]);
    // The older one wakes up: too late.
    assert_eq!(bench.role("a", Role::Master), []);
    assert_eq!(
        bench.role("b", Role::Master),
        [Action::Announce(master("b", 4))]
    );
}

#[test]
fn the_same_server_in_a_newer_epoch_is_news() {
    let mut bench = Bench::with_master(1);
    assert_eq!(bench.answer(0, "a", 5), [verify("a")]);
    assert_eq!(
        bench.role("a", Role::Master),
        [Action::Announce(master("a", 5))]
    );
}

#[test]
fn without_epochs_most_sentinels_are_right() {
    let mut bench = Bench::new(3);
    bench.on(Event::Tick);
    let answer = |bench: &mut Bench, sentinel, address| {
        bench.on(Event::Answered {
            sentinel,
            address,
            epoch: None,
            replicas: None,
        })
    };
    answer(&mut bench, 0, "a");
    answer(&mut bench, 1, "a");
    answer(&mut bench, 2, "a");
    bench.role("a", Role::Master);
    assert_eq!(answer(&mut bench, 0, "b"), []);
    assert_eq!(answer(&mut bench, 1, "b"), [verify("b")]);
    assert_eq!(
        bench.role("b", Role::Master),
        [Action::Announce(master("b", 0))]
    );
}

#[test]
fn a_suspected_master_is_asked_at_once() {
    let mut bench = Bench::with_master(2);
    let actions = bench.after(200, Event::Suspect { address: "a" });
    let wanted = [
        verify("a"),
        Action::Ask { sentinel: 0 },
        Action::Ask { sentinel: 1 },
    ];
    assert_eq!(actions, wanted);
    assert_eq!(bench.after(1, Event::Suspect { address: "a" }), []);
    assert_eq!(bench.role("a", Role::Master), []);
    // Not a storm, whatever the workers say.
    let storm: Vec<_> = (0..100)
        .flat_map(|_| bench.on(Event::Suspect { address: "a" }))
        .collect();
    assert_eq!(storm, []);
    assert_eq!(
        bench.on(Event::Suspect { address: "b" }),
        [],
        "nobody uses it"
    );
}

#[test]
fn the_only_one_who_knew_better_falls_silent() {
    let mut bench = Bench::with_master(2);
    bench.after(700, Event::Tick);
    bench.answer(0, "a", 3);
    assert_eq!(bench.answer(1, "b", 4), [verify("b")]);
    bench.role("b", Role::Replica);
    let again = bench.after(120, Event::Tick);
    assert!(again.contains(&verify("b")), "{again:?}");
    assert!(again.contains(&Action::Ask { sentinel: 1 }), "{again:?}");
    bench.answer(0, "a", 3);
    bench.after(
        130,
        Event::Role {
            address: "b",
            role: Role::Replica,
        },
    );
    assert!(
        !bench
            .after(10, Event::Suspect { address: "a" })
            .contains(&verify("a"))
    );
    // The question to the second Sentinel has had its time: the first is right again.
    let actions = bench.after(165, Event::Tick);
    assert!(actions.contains(&verify("a")), "{actions:?}");
}

#[test]
fn a_hint_asks_at_once_and_is_not_believed() {
    let mut bench = Bench::with_master(2);
    let wanted = [Action::Ask { sentinel: 0 }, Action::Ask { sentinel: 1 }];
    assert_eq!(bench.after(5, Event::Switched { sentinel: 0 }), wanted);
    // It comes while the question is under way, whose answer may be older.
    assert_eq!(bench.on(Event::Switched { sentinel: 1 }), []);
    bench.answer(0, "a", 3);
    let again = bench.after(100, Event::Tick);
    assert!(again.contains(&Action::Ask { sentinel: 0 }), "{again:?}");
    assert_eq!(bench.watcher.master(), Some(&master("a", 3)));
}

#[test]
fn a_silent_feed_is_replaced() {
    let mut bench = Bench::with_master(2);
    bench.on(Event::Subscribed { sentinel: 0 });
    let mut pinged = 0;
    let end = bench.now + 5000;
    let mut next = None;
    while bench.now < end && next.is_none() {
        let wait = bench.watcher.wakes_at() - bench.now;
        let actions = bench.after(wait, Event::Tick);
        for action in &actions {
            match *action {
                Action::Ping { sentinel: 0 } => pinged += 1,
                Action::Ask { sentinel } => {
                    bench.answer(sentinel, "a", 3);
                }
                Action::Subscribe { sentinel } => next = Some(sentinel),
                _ => {}
            }
        }
        if next.is_some() {
            assert!(
                actions.contains(&Action::Unsubscribe { sentinel: 0 }),
                "{actions:?}"
            );
        }
    }
    assert_eq!(next, Some(1));
    assert!(pinged >= 2, "{pinged}");
}

#[test]
fn sentinels_that_were_set_up_anew() {
    let mut bench = Bench::with_master(1);
    let forgotten = |bench: &mut Bench, of_master: Role| {
        for _ in 0..12 {
            bench.now += 1000;
            for action in bench.answer(0, "b", 1) {
                if let Action::Verify { address, .. } = action {
                    bench.role(
                        address,
                        if address == "a" {
                            of_master
                        } else {
                            Role::Master
                        },
                    );
                }
            }
        }
        bench.watcher.master().cloned()
    };
    // Not while the master is one.
    assert_eq!(forgotten(&mut bench, Role::Master), Some(master("a", 3)));
    assert_eq!(forgotten(&mut bench, Role::Replica), Some(master("b", 1)));
}

#[test]
fn a_successor_knows_the_epoch() {
    let watcher = Watcher::new(1, Settings::default(), 1).following(master("b", 4), vec!["c"]);
    let mut bench = Bench { watcher, now: 1000 };
    bench.on(Event::Tick);
    assert_eq!(bench.answer(0, "a", 3), [Action::Subscribe { sentinel: 0 }]);
    assert_eq!(bench.answer(0, "b", 4), [verify("b")]);
    assert_eq!(bench.role("b", Role::Master), [], "it is announced already");
    assert_eq!(bench.watcher.replicas(), ["c"], "nobody has said otherwise");
}

#[test]
fn replicas_that_most_sentinels_find_healthy() {
    let mut bench = Bench::with_master(3);
    let replicas = |them: &[Server]| vec![Action::Replicas(them.to_vec())];
    // Those that list none, because they aren't asked or may not, don't count.
    assert_eq!(bench.lists(0, &["b", "c"]), replicas(&["b", "c"]));
    assert_eq!(bench.lists(1, &["c", "b"]), [], "the order is no news");
    assert_eq!(bench.lists(2, &["c"]), [], "two of three");
    assert_eq!(bench.lists(1, &["c"]), replicas(&["c"]));
    assert_eq!(bench.lists(2, &[]), []);
    assert_eq!(bench.lists(1, &[]), replicas(&[]));
    assert_eq!(bench.lists(1, &["b", "a"]), replicas(&["b"]));
    assert_eq!(bench.lists(0, &["a"]), replicas(&[]), "the master is none");
}

#[test]
fn replicas_go_on_while_no_sentinel_lists_any() {
    let mut bench = Bench::with_master(2);
    bench.lists(0, &["b"]);
    for sentinel in 0..2 {
        assert_eq!(bench.on(Event::Failed { sentinel }), []);
    }
    assert_eq!(bench.watcher.replicas(), ["b"]);
    assert_eq!(bench.lists(1, &[]), [Action::Replicas(vec![])]);
}

#[test]
fn another_master_has_no_replicas_until_somebody_says_so() {
    let mut bench = Bench::with_master(2);
    for sentinel in 0..2 {
        bench.lists(sentinel, &["b", "c"]);
    }
    let answer = |bench: &mut Bench, sentinel, address, epoch, replicas: &[Server]| {
        bench.on(Event::Answered {
            sentinel,
            address,
            epoch: Some(epoch),
            replicas: Some(replicas.to_vec()),
        })
    };
    // What is listed belongs to a master that isn't announced yet.
    assert_eq!(answer(&mut bench, 0, "b", 4, &["c", "a"]), [verify("b")]);
    assert_eq!(bench.watcher.replicas(), ["b", "c"]);
    let announced = bench.role("b", Role::Master);
    let now = Action::Replicas(vec!["c", "a"]);
    assert_eq!(announced, [Action::Announce(master("b", 4)), now]);
    // The other still speaks of the former master.
    assert_eq!(answer(&mut bench, 1, "a", 3, &["b", "c"]), []);
    assert_eq!(
        answer(&mut bench, 0, "b", 4, &[]),
        [Action::Replicas(vec![])]
    );
    // The same server in a newer epoch.
    answer(&mut bench, 0, "b", 4, &["c"]);
    assert_eq!(answer(&mut bench, 1, "b", 5, &[]), [verify("b")]);
    assert_eq!(
        bench.role("b", Role::Master),
        [Action::Announce(master("b", 5))]
    );
    assert_eq!(bench.watcher.replicas(), [""; 0]);
}

#[test]
fn a_hint_about_a_replica_asks_soon_and_is_no_storm() {
    let mut bench = Bench::with_master(2);
    let wanted = [Action::Ask { sentinel: 0 }, Action::Ask { sentinel: 1 }];
    assert_eq!(bench.after(150, Event::Changed { sentinel: 0 }), wanted);
    for _ in 0..100 {
        assert_eq!(bench.on(Event::Changed { sentinel: 1 }), []);
    }
    for sentinel in 0..2 {
        assert_eq!(bench.lists(sentinel, &[]), []);
    }
    assert_eq!(bench.after(100, Event::Tick), wanted, "once more for all");
}

#[test]
fn announcements_as_bytes() {
    let address = |text: &str| Address::parse(text.as_bytes()).unwrap();
    let long = format!("{}:6379", "a".repeat(250));
    for (text, fits) in [
        ("7 127.0.0.1:6379".to_owned(), true),
        ("0 redis-1:6379 [::1]:6379 10.0.0.1:7000".to_owned(), true),
        (format!("{} {}", u64::MAX, [&*long; 15].join(" ")), true),
        (format!("{} {}", u64::MAX, [&*long; 16].join(" ")), false),
    ] {
        let words: Vec<&str> = text.split(' ').collect();
        let announced = Announced {
            master: Master {
                address: address(words[1]),
                epoch: words[0].parse().unwrap(),
            },
            replicas: words[2..].iter().map(|word| address(word)).collect(),
        };
        let bytes = announced.encode();
        assert!(bytes.len() <= ANNOUNCED_SIZE);
        assert_eq!(bytes == text.as_bytes(), fits);
        let read = Announced::decode(&bytes).unwrap();
        assert_eq!(read.master, announced.master);
        assert_eq!(read == announced, fits);
    }
    for text in [
        "",
        "7",
        "7 ",
        "x 127.0.0.1:1",
        "7 127.0.0.1",
        "7 a:1 ",
        "7 a:1  b:1",
        "7 a:1 b:0",
    ] {
        assert_eq!(Announced::decode(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(Announced::decode(b"7 a:1 \xff:1"), None);
}

fn any_event() -> impl Strategy<Value = Event<u8>> {
    let role = prop::sample::select(vec![
        Role::Master,
        Role::Replica,
        Role::Denied,
        Role::Unknown,
    ]);
    prop_oneof![
        Just(Event::Tick),
        (
            0_usize..4,
            0_u8..3,
            prop::option::of(0_u64..4),
            prop::option::of(prop::collection::vec(0_u8..3, 0..3)),
        )
            .prop_map(|(sentinel, address, epoch, replicas)| Event::Answered {
                sentinel,
                address,
                epoch,
                replicas,
            }),
        (0_usize..4).prop_map(|sentinel| Event::Failed { sentinel }),
        (0_u8..3, role).prop_map(|(address, role)| Event::Role { address, role }),
        (0_u8..3).prop_map(|address| Event::Unreachable { address }),
        (0_u8..3).prop_map(|address| Event::Suspect { address }),
        (0_usize..4).prop_map(|sentinel| Event::Switched { sentinel }),
        (0_usize..4).prop_map(|sentinel| Event::Changed { sentinel }),
        (0_usize..4).prop_map(|sentinel| Event::Subscribed { sentinel }),
        (0_usize..4).prop_map(|sentinel| Event::Pong { sentinel }),
        (0_usize..4).prop_map(|sentinel| Event::FeedLost { sentinel }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Any events at any times, also of Sentinels that aren't there: no panic, no busy loop, and nobody is announced whose
    /// last word wasn't `master`. A master isn't among its replicas, and none is there twice.
    #[test]
    fn any_events(
        sentinels in 0_usize..4,
        start in prop_oneof![Just(0), any::<u64>()],
        events in prop::collection::vec((0_u64..700, any_event()), 0..200),
        seed: u64,
    ) {
        let mut watcher = Watcher::new(sentinels, Settings::default(), seed);
        let mut now = start;
        let mut actions = Vec::new();
        for (pause, event) in events {
            now = now.saturating_add(pause);
            let is_master = match event {
                Event::Role { address, role: Role::Master } => Some(address),
                _ => None,
            };
            watcher.handle(now, event, &mut actions);
            prop_assert!(now > u64::MAX / 2 || watcher.wakes_at() > now);
            for action in actions.drain(..) {
                match action {
                    Action::Announce(master) => prop_assert_eq!(Some(master.address), is_master),
                    Action::Replicas(mut replicas) => {
                        prop_assert_eq!(watcher.replicas(), &replicas[..]);
                        let master = watcher.master().map(|master| master.address);
                        prop_assert!(master.is_some_and(|master| !replicas.contains(&master)));
                        let count = replicas.len();
                        replicas.sort_unstable();
                        replicas.dedup();
                        prop_assert_eq!(replicas.len(), count);
                    }
                    _ => {}
                }
            }
        }
    }
}
