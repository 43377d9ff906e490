//! The way to a feed that is live, and what it hears then.

use bytes::Bytes;
use cache_core::feed::{Effect, Event, Level, Settings, Source};

use crate::bench::{
    Bench, MAP, READ_TIMEOUT, SUBSCRIBED, canary, commands, invalidation, leases, lines, settings,
};

#[test]
fn each_step_waits_for_the_one_before() {
    let mut bench = Bench::new(settings());
    assert_eq!(bench.on(Event::Tick), [Effect::Connect]);
    assert_eq!(commands(&bench.on(Event::Connected)), ["HELLO 3"]);
    let sent = commands(&bench.gets(MAP));
    assert_eq!(sent, ["CLIENT TRACKING ON BCAST PREFIX p: PREFIX {p:"]);
    let effects = bench.gets(b"+OK\r\n");
    assert_eq!(effects[0], Effect::RaiseEpoch);
    assert_eq!(commands(&effects), ["SUBSCRIBE chan"]);
    let sent = commands(&bench.gets(SUBSCRIBED));
    let canary = canary(&sent[0]);
    // The reply alone proves nothing. What was looked up before may be of another database.
    assert_eq!(bench.gets(b"+OK\r\n"), [Effect::RaiseEpoch]);
    assert_eq!(bench.feed.source(), Source::Nothing);
    let effects = bench.gets(&invalidation(&[&canary]));
    assert_eq!(bench.feed.source(), Source::Tracking);
    assert_eq!(leases(&effects), [] as [u64; 0]);
    assert_eq!(commands(&effects), ["PING"]);
    let said = lines(&effects);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, Level::Notice);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
}

#[test]
fn without_a_prefix_all_keys_are_tracked() {
    let mut bench = Bench::new(Settings {
        prefix: Vec::new(),
        ..settings()
    });
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    let sent = commands(&bench.gets(MAP));
    assert_eq!(sent, ["CLIENT TRACKING ON BCAST"]);
    bench.gets(b"+OK\r\n");
    let sent = commands(&bench.gets(SUBSCRIBED));
    assert!(sent[0].starts_with("SET redis_cache:canary:"), "{sent:?}");
}

#[test]
fn a_canary_may_be_pushed_before_its_reply() {
    let mut bench = Bench::new(settings());
    let canary = bench.greet();
    let effects = bench.gets(&invalidation(&["p:a", &canary, "p:b"]));
    assert_eq!(bench.feed.source(), Source::Tracking);
    let keys: Vec<_> = effects
        .iter()
        .filter(|it| matches!(it, Effect::Invalidate(_)))
        .collect();
    let invalidate = |key: &'static str| Effect::Invalidate(Bytes::from_static(key.as_bytes()));
    assert_eq!(keys, [&invalidate("p:a"), &invalidate("p:b")]);
    assert_eq!(leases(&bench.gets(b"+OK\r\n+PONG\r\n")), [bench.now + 3000]);
}

#[test]
fn another_canary_proves_nothing() {
    let mut bench = Bench::new(settings());
    let canary = bench.greet();
    let other = format!("{}0", &canary[..canary.len() - 1]);
    let other = if other == canary {
        format!("{canary}1")
    } else {
        other
    };
    bench.gets(b"+OK\r\n");
    bench.gets(&invalidation(&[&other]));
    assert_eq!(bench.feed.source(), Source::Nothing);
}

#[test]
fn a_lease_counts_from_when_the_ping_was_sent() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let effects = bench.sleep(1000);
    assert_eq!(commands(&effects), ["PING"]);
    let sent = bench.now;
    assert_eq!(commands(&bench.sleep(1000)), ["PING"]);
    // The first PONG is late.
    bench.sleep(500);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [sent + 3000]);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [sent + 1000 + 3000]);
}

#[test]
fn a_pong_that_comes_too_late_gives_no_lease() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    bench.sleep(1000);
    let sent = bench.now;
    bench.sleep(1900);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [sent + 3000]);
    // The PING that was sent a second later.
    bench.sleep(2200);
    assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [] as [u64; 0]);
    assert_eq!(bench.feed.source(), Source::Tracking);
}

#[test]
fn what_is_pushed_voids_keys_or_all() {
    let long = "k".repeat((64 << 10) + 1);
    let broken: [&[u8]; 9] = [
        // FLUSHALL
        b">2\r\n$10\r\ninvalidate\r\n_\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*-1\r\n",
        b">1\r\n$10\r\ninvalidate\r\n",
        b">2\r\n$10\r\ninvalidate\r\n$3\r\nabc\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n:5\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n$1\r\na\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n_\r\n",
        b">3\r\n$10\r\ninvalidate\r\n*0\r\n*0\r\n",
        &invalidation(&["a", &long]),
    ];
    for push in broken {
        let mut bench = Bench::new(settings());
        bench.go_leased();
        let effects = bench.gets(push);
        let shown = String::from_utf8_lossy(&push[..push.len().min(60)]);
        assert_eq!(effects, [Effect::RaiseEpoch], "{shown}");
    }
}

#[test]
fn what_is_unknown_is_skipped() {
    let pushes: [&[u8]; 7] = [
        b">0\r\n",
        b">1\r\n:1\r\n",
        b">2\r\n$7\r\nunknown\r\n*1\r\n$1\r\na\r\n",
        b">3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\na\r\n",
        b">2\r\n$21\r\ntracking-redir-broken\r\n:1\r\n",
        b">3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n",
        SUBSCRIBED,
    ];
    for push in pushes {
        let mut bench = Bench::new(settings());
        bench.go_leased();
        assert_eq!(bench.gets(push), [], "{}", String::from_utf8_lossy(push));
        assert_eq!(bench.feed.source(), Source::Tracking);
    }
}

#[test]
fn a_live_feed_repeats_its_canary() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let mut sets = 0;
    for second in 1..=95 {
        let sent = commands(&bench.sleep(1000));
        let mut said = Vec::new();
        for command in sent {
            if command == "PING" {
                said.extend(b"+PONG\r\n");
                continue;
            }
            sets += 1;
            assert!(second % 10 < 5, "second {second}: {command}");
            said.extend(b"+OK\r\n");
            said.extend(invalidation(&[&canary(&command)]));
        }
        let effects = bench.gets(&said);
        assert_eq!(
            effects,
            [Effect::Lease {
                until: bench.now + 3000
            }]
        );
    }
    assert_eq!(sets, 3);
}

#[test]
fn a_reply_later_than_its_time_ends_each_step() {
    let steps: [&[&[u8]]; 4] = [
        &[],
        &[MAP],
        &[MAP, b"+OK\r\n"],
        &[MAP, b"+OK\r\n", SUBSCRIBED],
    ];
    for said in steps {
        let mut bench = Bench::new(settings());
        bench.on(Event::Tick);
        bench.on(Event::Connected);
        for said in said {
            bench.sleep(READ_TIMEOUT - 1);
            bench.gets(said);
        }
        assert_eq!(bench.sleep(READ_TIMEOUT - 1), []);
        let effects = bench.sleep(1);
        assert!(effects.contains(&Effect::Close), "{effects:?}");
        let tracked = said.len() > 1;
        assert!(!effects.contains(&Effect::RaiseEpoch));
        assert_eq!(effects.contains(&Effect::Revoke), tracked);
    }
}

#[test]
fn of_too_many_keys_at_once_all_is_void() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let keys: Vec<String> = (0..50_001).map(|number| format!("p:{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(bench.gets(&invalidation(&keys)), [Effect::RaiseEpoch]);
    let effects = bench.gets(&invalidation(&keys[1..]));
    assert_eq!(effects.len(), 50_000);
    assert!(matches!(effects[0], Effect::Invalidate(_)));
    // The feed goes on.
    assert_eq!(bench.feed.source(), Source::Tracking);
}

#[test]
fn a_canary_among_too_many_keys_is_heard() {
    let mut bench = Bench::new(settings());
    let canary = bench.greet();
    bench.gets(b"+OK\r\n");
    let keys: Vec<String> = (0..50_001).map(|number| format!("p:{number}")).collect();
    let keys = keys.iter().map(String::as_str).chain([canary.as_str()]);
    bench.gets(&invalidation(&keys.collect::<Vec<_>>()));
    assert_eq!(bench.feed.source(), Source::Tracking);
}
