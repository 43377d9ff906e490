//! A node of a Redis Cluster: its canaries are keys of its own, and a change of epoch voids all.

use cache_core::cluster::{Slot, slot_of};
use cache_core::feed::{Effect, Event, Settings, Source};

use crate::bench::{
    Bench, MAP, SUBSCRIBED, canary, commands, invalidation, leases, lines, settings,
};

fn info(state: &str, current: u64, own: u64) -> Vec<u8> {
    let text = format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:16384\r\ncluster_current_epoch:{current}\r\ncluster_my_epoch:{own}\r\n"
    );
    // A verbatim string.
    format!("={}\r\ntxt:{text}\r\n", text.len() + 4).into_bytes()
}

/// CLUSTER SLOTS of two masters, the first of which has the slots up to this one.
fn map(last: u16, id: &str) -> Vec<u8> {
    let next = last + 1;
    format!(
        "*2\r\n*4\r\n:{next}\r\n:16383\r\n*3\r\n+b\r\n:1\r\n+other\r\n*3\r\n+r\r\n:1\r\n+x\r\n\
         *3\r\n:0\r\n:{last}\r\n*3\r\n+a\r\n:1\r\n+{id}\r\n"
    )
    .into_bytes()
}

fn slots(first: u16, last: u16) -> Settings {
    let slot = |number| Slot::new(number).unwrap();
    Settings {
        slots: Some(vec![slot(first)..=slot(last)]),
        ..settings()
    }
}

/// Up to the canary.
fn greet(bench: &mut Bench) -> String {
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    assert_eq!(commands(&bench.gets(MAP)), ["CLUSTER INFO"]);
    let sent = commands(&bench.gets(&info("ok", 5, 3)));
    assert_eq!(sent, ["CLUSTER SLOTS"]);
    let sent = commands(&bench.gets(&map(8000, "me")));
    assert_eq!(sent, ["CLIENT TRACKING ON BCAST PREFIX p: PREFIX {p:"]);
    assert!(bench.gets(b"+OK\r\n").contains(&Effect::RaiseEpoch));
    canary(&commands(&bench.gets(SUBSCRIBED))[0])
}

/// Up to the first lease.
fn live() -> Bench {
    let mut bench = Bench::new(slots(0, 16383));
    let canary = greet(&mut bench);
    bench.gets(b"+OK\r\n");
    let sent = commands(&bench.gets(&invalidation(&[&canary])));
    assert_eq!(sent, ["CLUSTER INFO", "CLUSTER SLOTS", "PING"]);
    assert_eq!(bench.gets(&info("ok", 5, 3)), []);
    assert_eq!(bench.gets(&map(8000, "me")), []);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
    bench
}

#[test]
fn a_canary_is_a_key_of_the_node() {
    for (first, last) in [(0, 16383), (100, 5000), (7, 8), (16383, 16383)] {
        let mut bench = Bench::new(slots(first, last));
        let canary = greet(&mut bench);
        let slot = slot_of(canary.as_bytes()).number();
        assert!((first..=last).contains(&slot), "{canary}: {slot}");
    }
}

#[test]
fn a_node_without_a_slot_for_the_prefix_is_left_alone() {
    let cases = [
        Settings {
            slots: Some(Vec::new()),
            ..settings()
        },
        Settings {
            // Slot 15495 of another node.
            prefix: b"{a}".to_vec(),
            ..slots(0, 100)
        },
    ];
    for settings in cases {
        let mut bench = Bench::new(settings);
        bench.on(Event::Tick);
        bench.on(Event::Connected);
        bench.gets(MAP);
        bench.gets(&info("ok", 5, 3));
        bench.gets(&map(8000, "me"));
        bench.gets(b"+OK\r\n");
        let effects = bench.gets(SUBSCRIBED);
        assert!(effects.contains(&Effect::Close));
        assert_eq!(lines(&effects), []);
    }
}

#[test]
fn a_change_of_epoch_or_state_voids_all_nodes() {
    let cases = [info("ok", 6, 3), info("ok", 5, 4), info("ok", 4, 3)];
    for said in cases {
        let mut bench = live();
        bench.sleep(1000);
        assert_eq!(bench.gets(&said), [Effect::RaiseAll, Effect::Refresh]);
        assert_eq!(bench.gets(&map(8000, "me")), []);
        assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
        // Once.
        bench.sleep(1000);
        assert_eq!(bench.gets(&said), []);
    }
}

#[test]
fn a_slot_that_moves_without_an_epoch_voids_all_nodes() {
    for said in [map(7999, "me"), map(8000, "another"), b"*0\r\n".to_vec()] {
        let mut bench = live();
        bench.sleep(1000);
        assert_eq!(bench.gets(&info("ok", 5, 3)), []);
        assert_eq!(bench.gets(&said), [Effect::RaiseAll, Effect::Refresh]);
        assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
        bench.sleep(1000);
        assert_eq!(bench.gets(&info("ok", 5, 3)), []);
        assert_eq!(bench.gets(&said), []);
    }
}

#[test]
fn other_replicas_and_another_order_are_no_change() {
    let mut bench = live();
    bench.sleep(1000);
    bench.gets(&info("ok", 5, 3));
    let same = b"*2\r\n*3\r\n:0\r\n:8000\r\n*3\r\n_\r\n:1\r\n+me\r\n\
        *4\r\n:8001\r\n:16383\r\n*3\r\n+b\r\n:1\r\n+other\r\n*3\r\n+s\r\n:1\r\n+y\r\n";
    assert_eq!(bench.gets(same), []);
}

#[test]
fn nodes_of_a_large_cluster_share_the_asking() {
    let ranges: Vec<String> = (0..80)
        .map(|n| format!("*3\r\n:{n}\r\n:{n}\r\n*3\r\n+a\r\n:1\r\n+{n}\r\n"))
        .collect();
    let map = format!("*80\r\n{}", ranges.concat()).into_bytes();
    let mut bench = Bench::new(slots(0, 16383));
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    bench.gets(MAP);
    bench.gets(&info("ok", 5, 3));
    bench.gets(&map);
    bench.gets(b"+OK\r\n");
    let canary = canary(&commands(&bench.gets(SUBSCRIBED))[0]);
    bench.gets(b"+OK\r\n");
    let mut sent = commands(&bench.gets(&invalidation(&[&canary])));
    let mut asked = 0;
    for _ in 0..1000 {
        for command in &sent {
            match command.as_str() {
                "CLUSTER INFO" => drop(bench.gets(&info("ok", 5, 3))),
                "CLUSTER SLOTS" => {
                    asked += 1;
                    assert_eq!(bench.gets(&map), []);
                }
                "PING" => drop(bench.gets(b"+PONG\r\n")),
                set => {
                    bench.gets(b"+OK\r\n");
                    bench.gets(&invalidation(&[&crate::bench::canary(set)]));
                }
            }
        }
        sent = commands(&bench.sleep(1000));
    }
    assert!((70..=130).contains(&asked), "{asked}");
}

#[test]
fn a_cluster_that_is_down_gives_no_lease() {
    let mut bench = live();
    bench.sleep(1000);
    // What there is may be served for a while: nothing has moved.
    let effects = bench.gets(&info("fail", 5, 3));
    assert_eq!(effects, [Effect::Refresh, Effect::Revoke]);
    assert_eq!(bench.gets(&map(8000, "me")), []);
    assert_eq!(bench.gets(b"+PONG\r\n"), []);
    bench.sleep(1000);
    let effects = bench.gets(&info("ok", 5, 3));
    assert_eq!(effects, [Effect::RaiseAll, Effect::Refresh]);
    assert_eq!(bench.gets(&map(8000, "me")), []);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
}

#[test]
fn no_view_is_no_lease() {
    let mut bench = live();
    bench.sleep(1000);
    assert_eq!(bench.gets(b"-BUSY a script\r\n"), [Effect::Revoke]);
    assert_eq!(bench.gets(&map(8000, "me")), []);
    assert_eq!(bench.gets(b"+PONG\r\n"), []);
    let refused: [&[u8]; 2] = [b"-NOPERM no\r\n", b"$5\r\nhello\r\n"];
    for said in refused {
        let mut bench = live();
        bench.sleep(1000);
        assert!(bench.gets(said).contains(&Effect::Close));
        let mut bench = live();
        bench.sleep(1000);
        bench.gets(&info("ok", 5, 3));
        assert!(bench.gets(said).contains(&Effect::Close));
    }
}

#[test]
fn a_user_that_may_not_ask_lives_on_messages() {
    let mut bench = Bench::new(slots(0, 16383));
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    bench.gets(MAP);
    let sent = commands(&bench.gets(b"-NOPERM can't run 'cluster|info'\r\n"));
    assert_eq!(sent, ["SUBSCRIBE chan"]);
    let sent = commands(&bench.gets(SUBSCRIBED));
    assert!(sent[0].starts_with("PUBLISH chan "), "{sent:?}");
}

#[test]
fn a_canary_whose_slot_has_moved_asks_for_the_map() {
    let mut bench = Bench::new(slots(0, 100));
    greet(&mut bench);
    let effects = bench.gets(b"-MOVED 7 127.0.0.1:7001\r\n");
    assert_eq!(effects[0], Effect::Refresh);
    assert!(effects.contains(&Effect::Close));
    let slot = |number| Slot::new(number).unwrap();
    bench.feed.set_slots(vec![slot(200)..=slot(300)]);
    bench.sleep(100);
    let canary = greet(&mut bench);
    assert!((200..=300).contains(&slot_of(canary.as_bytes()).number()));
}

#[test]
fn a_canary_whose_slot_is_on_its_way_is_another_next_time() {
    let mut bench = live();
    for _ in 0..29 {
        bench.sleep(1000);
        bench.gets(&info("ok", 5, 3));
        bench.gets(&map(8000, "me"));
        bench.gets(b"+PONG\r\n");
    }
    let first = canary(&commands(&bench.sleep(1000))[0]);
    bench.gets(b"-ASK 7 127.0.0.1:7001\r\n");
    bench.gets(&info("ok", 5, 3));
    bench.gets(&map(8000, "me"));
    bench.gets(b"+PONG\r\n");
    let second = canary(&commands(&bench.sleep(1000))[0]);
    assert_ne!(first, second);
    assert_eq!(bench.feed.source(), Source::Tracking);
}
