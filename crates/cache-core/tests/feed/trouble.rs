//! What makes a feed useless, what follows, and what the log says of it.

use cache_core::feed::{Effect, Event, Level, Source};

use crate::bench::{
    Bench, CONNECT_TIMEOUT, MAP, SUBSCRIBED, canary, commands, invalidation, leases, lines,
    settings,
};

/// The lease is revoked, and the connection is closed. What there is may do while the server is down.
fn check_lost(effects: &[Effect]) {
    assert_eq!(effects[..2], [Effect::Revoke, Effect::Close]);
    assert!(!effects.contains(&Effect::RaiseEpoch), "{effects:?}");
}

#[test]
fn a_lost_connection_is_opened_again_and_proven_anew() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let effects = bench.on(Event::Closed);
    check_lost(&effects);
    assert_eq!(lines(&effects)[0].0, Level::Warn);
    assert_eq!(bench.feed.source(), Source::Nothing);
    let effects = bench.sleep(100);
    assert_eq!(effects, [Effect::Connect]);
    bench.on(Event::Connected);
    bench.gets(MAP);
    assert!(bench.gets(b"+OK\r\n").contains(&Effect::RaiseEpoch));
    let sent = commands(&bench.gets(SUBSCRIBED));
    let effects = bench.gets(&invalidation(&[&canary(&sent[0])]));
    assert_eq!(lines(&effects)[0].0, Level::Notice);
    assert_eq!(leases(&bench.gets(b"+OK\r\n+PONG\r\n")), [bench.now + 3000]);
}

#[test]
fn a_server_that_is_down_is_tried_each_second_and_named_once() {
    let mut bench = Bench::new(settings());
    let (mut connects, mut said) = (0, 0);
    bench.on(Event::Tick);
    let end = bench.now + 60_000;
    while bench.now < end {
        said += lines(&bench.on(Event::Closed)).len();
        let effects = bench.sleep_until(bench.feed.wakes_at());
        assert_eq!(effects, [Effect::Connect]);
        connects += 1;
    }
    assert!((60..85).contains(&connects), "{connects}");
    assert_eq!(said, 1);
}

#[test]
fn connecting_has_its_time() {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    assert_eq!(bench.sleep(CONNECT_TIMEOUT - 1), []);
    assert!(bench.sleep(1).contains(&Effect::Close));
}

#[test]
fn silence_ends_it() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let effects = bench.sleep(2999);
    assert_eq!(commands(&effects), ["PING", "PING"]);
    check_lost(&bench.sleep(1));
}

#[test]
fn a_canary_that_stays_away_ends_it() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    // CLIENT TRACKING OFF by somebody else: all else goes on.
    let mut lost = None;
    for _ in 0..40 {
        let effects = bench.sleep(1000);
        if effects.contains(&Effect::Revoke) {
            lost = Some(effects);
            break;
        }
        for command in commands(&effects) {
            let reply: &[u8] = if command == "PING" {
                b"+PONG\r\n"
            } else {
                b"+OK\r\n"
            };
            bench.gets(reply);
        }
    }
    check_lost(&lost.unwrap());
    assert!(bench.now <= 1000 + 30_000 + 1000 + 3000, "{}", bench.now);
}

#[test]
fn a_server_that_is_full_is_believed_for_a_while() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let begin = bench.now;
    let mut tries = 0;
    let effects = loop {
        let effects = bench.sleep(1000);
        if effects.contains(&Effect::Revoke) {
            break effects;
        }
        for command in commands(&effects) {
            if command == "PING" {
                bench.gets(b"+PONG\r\n");
            } else {
                tries += 1;
                bench.gets(b"-OOM command not allowed\r\n");
            }
        }
    };
    check_lost(&effects);
    assert_eq!(bench.now, begin + 90_000);
    assert!((55..=60).contains(&tries), "{tries}");
}

#[test]
fn a_replica_is_no_master() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    for _ in 0..29 {
        bench.sleep(1000);
        bench.gets(b"+PONG\r\n");
    }
    let effects = bench.sleep(1000);
    assert_eq!(commands(&effects).len(), 2);
    let effects = bench.gets(b"-READONLY You can't write against a read only replica.\r\n");
    assert_eq!(effects[0], Effect::Refresh);
    check_lost(&effects[1..]);
}

#[test]
fn where_nothing_can_be_had_it_is_asked_again_later_and_named_once() {
    type Case<'a> = (&'a [&'a [u8]], &'a [&'a str]);
    let nosub: &[u8] = b"-NOPERM no permissions to access a channel\r\n";
    let nopub: &[u8] = b"-NOPERM can't run 'publish'\r\n";
    let cases: [Case<'_>; 6] = [
        (
            &[b"-ERR unknown command `HELLO`\r\n", nosub],
            &["Redis 6", "&chan", "+subscribe"],
        ),
        (&[b"*2\r\n$5\r\nproto\r\n:2\r\n", nosub], &["RESP3"]),
        (
            &[MAP, b"-NOPERM can't run 'client|tracking'\r\n", nosub],
            &["+client|tracking", "&chan", "+subscribe"],
        ),
        (
            &[MAP, b"-ERR unknown\r\n", SUBSCRIBED, nopub],
            &["+client|tracking", "&chan", "+publish"],
        ),
        (
            &[
                MAP,
                b"+OK\r\n",
                SUBSCRIBED,
                b"-NOPERM No permissions to access a key\r\n",
                nopub,
            ],
            &["prefix", "&chan", "+publish"],
        ),
        (
            &[
                MAP,
                b"+OK\r\n",
                nosub,
                b"-NOPERM No permissions to access a key\r\n",
            ],
            &["prefix"],
        ),
    ];
    for (said, words) in cases {
        let mut bench = Bench::new(settings());
        let mut text = Vec::new();
        bench.on(Event::Tick);
        for _ in 0..3 {
            bench.on(Event::Connected);
            let said = said.iter().map(|said| bench.gets(said));
            let effects = said.last().unwrap();
            assert!(effects.contains(&Effect::Close), "{effects:?}");
            text.extend(
                lines(&effects)
                    .into_iter()
                    .filter(|(_, it)| it.contains("isn't used")),
            );
            assert_eq!(bench.sleep(29_999), []);
            assert_eq!(bench.sleep(1), [Effect::Connect]);
        }
        assert_eq!(text.len(), 1, "{text:?}");
        for word in words {
            assert!(text[0].1.contains(word), "{text:?}");
        }
    }
}

#[test]
fn what_a_server_cannot_do_for_now_is_asked_again_soon() {
    for refusal in ["BUSY a script", "LOADING data", "MASTERDOWN link", "NOAUTH"] {
        let mut bench = Bench::new(settings());
        bench.on(Event::Tick);
        bench.on(Event::Connected);
        let effects = bench.gets(format!("-{refusal}\r\n").as_bytes());
        assert!(effects.contains(&Effect::Close), "{effects:?}");
        assert_eq!(bench.sleep(100), [Effect::Connect], "{refusal}");
    }
}

#[test]
fn a_subscription_that_is_refused_is_named_and_done_without() {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    bench.gets(MAP);
    bench.gets(b"+OK\r\n");
    let effects = bench.gets(b"-NOPERM No permissions to access a channel\r\n");
    assert!(lines(&effects)[0].1.contains("&chan"));
    let canary = canary(&commands(&effects)[0]);
    bench.gets(&invalidation(&[&canary]));
    assert_eq!(bench.feed.source(), Source::Tracking);
}

#[test]
fn replies_that_make_no_sense_end_it() {
    let unexpected: [&[u8]; 3] = [b"+PONG\r\n+PONG\r\n", b":1\r\n", b"*0\r\n"];
    for said in unexpected {
        let mut bench = Bench::new(settings());
        bench.go_leased();
        bench.sleep(1000);
        let effects = bench.gets(said);
        assert!(effects.contains(&Effect::Close), "{effects:?}");
    }
}

#[test]
fn an_error_to_ping_is_no_proof() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    for _ in 0..2 {
        bench.sleep(1000);
        assert_eq!(bench.gets(b"-BUSY Redis is busy running a script\r\n"), []);
    }
    check_lost(&bench.sleep(1000));
}

#[test]
fn one_that_leaves_leaves_nothing_behind() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    let mut effects = Vec::new();
    bench.feed.leave(&mut effects);
    check_lost(&effects);
    assert_eq!(bench.sleep(100_000), []);
    assert_eq!(bench.on(Event::Closed), []);
    assert_eq!(bench.gets(b"+PONG\r\n"), []);
}
