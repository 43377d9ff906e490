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
    assert_eq!(sent, ["CLIENT TRACKING ON BCAST PREFIX p:"]);
    assert!(bench.gets(b"+OK\r\n").contains(&Effect::RaiseEpoch));
    canary(&commands(&bench.gets(SUBSCRIBED))[0])
}

/// Up to the first lease.
fn live() -> Bench {
    let mut bench = Bench::new(slots(0, 16383));
    let canary = greet(&mut bench);
    bench.gets(b"+OK\r\n");
    let sent = commands(&bench.gets(&invalidation(&[&canary])));
    assert_eq!(sent, ["CLUSTER INFO", "PING"]);
    assert_eq!(bench.gets(&info("ok", 5, 3)), []);
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
        assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
        // Once.
        bench.sleep(1000);
        assert_eq!(bench.gets(&said), []);
    }
}

#[test]
fn a_cluster_that_is_down_gives_no_lease() {
    let mut bench = live();
    bench.sleep(1000);
    let effects = bench.gets(&info("fail", 5, 3));
    assert_eq!(effects, [Effect::RaiseAll, Effect::Refresh, Effect::Revoke]);
    assert_eq!(bench.gets(b"+PONG\r\n"), []);
    bench.sleep(1000);
    let effects = bench.gets(&info("ok", 5, 3));
    assert_eq!(effects, [Effect::RaiseAll, Effect::Refresh]);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
}

#[test]
fn no_view_is_no_lease() {
    let mut bench = live();
    bench.sleep(1000);
    assert_eq!(bench.gets(b"-BUSY a script\r\n"), [Effect::Revoke]);
    assert_eq!(bench.gets(b"+PONG\r\n"), []);
    let refused: [&[u8]; 2] = [b"-NOPERM no\r\n", b"$5\r\nhello\r\n"];
    for said in refused {
        let mut bench = live();
        bench.sleep(1000);
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
        bench.gets(b"+PONG\r\n");
    }
    let first = canary(&commands(&bench.sleep(1000))[0]);
    bench.gets(b"-ASK 7 127.0.0.1:7001\r\n");
    bench.gets(&info("ok", 5, 3));
    bench.gets(b"+PONG\r\n");
    let second = canary(&commands(&bench.sleep(1000))[0]);
    assert_ne!(first, second);
    assert_eq!(bench.feed.source(), Source::Tracking);
}
