//! Where the server doesn't track, the module's own messages must do.

use bytes::Bytes;
use cache_core::feed::{Effect, Event, HEED, Level, MESSAGES_VALID, Source};
use cache_core::resp::Reply;

use crate::bench::{
    Bench, CONNECT_TIMEOUT, MAP, READ_TIMEOUT, SUBSCRIBED, commands, invalidation, lines, settings,
};

const NO_TRACKING: &[u8] = b"-NOPERM this user has no permissions to run 'client|tracking'\r\n";

fn message(key: &str) -> Vec<u8> {
    let length = key.len();
    format!(">3\r\n$7\r\nmessage\r\n$4\r\nchan\r\n${length}\r\n{key}\r\n").into_bytes()
}

/// The same in RESP2.
fn old(push: &[u8]) -> Vec<u8> {
    [b"*", &push[1..]].concat()
}

/// The message of the canary that is published.
fn published(effects: &[Effect]) -> String {
    let sent = commands(effects);
    let key = sent[0].strip_prefix("PUBLISH chan ").unwrap();
    assert!(key.starts_with("p:redis_cache:canary:"), "{key}");
    key.to_owned()
}

/// What a PONG does whose PING was sent then.
fn leased(sent: u64) -> [Effect; 2] {
    let until = sent + MESSAGES_VALID;
    [Effect::RaiseEpoch, Effect::Lease { until }]
}

/// A feed that lives on messages, and the effects of its canary.
fn messages() -> (Bench, Vec<Effect>) {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    bench.gets(MAP);
    assert_eq!(commands(&bench.gets(NO_TRACKING)), ["SUBSCRIBE chan"]);
    let effects = bench.gets(SUBSCRIBED);
    assert_eq!(effects[0], Effect::RaiseEpoch);
    let canary = published(&effects);
    bench.gets(b":1\r\n");
    assert_eq!(bench.feed.source(), Source::Nothing);
    let effects = bench.gets(&message(&canary));
    assert_eq!(bench.feed.source(), Source::Messages);
    (bench, effects)
}

#[test]
fn without_tracking_the_messages_do() {
    let (mut bench, effects) = messages();
    let (level, text) = lines(&effects).remove(0);
    assert_eq!(level, Level::Warn);
    assert!(text.contains("1000 ms") && text.contains("+client|tracking"));
    assert_eq!(bench.gets(b"+PONG\r\n"), leased(bench.now));
    let effects = bench.gets(&message("p:key"));
    assert_eq!(effects, [Effect::Invalidate(Bytes::from_static(b"p:key"))]);
}

#[test]
fn what_messages_miss_is_used_for_a_second() {
    let (mut bench, _) = messages();
    for _ in 0..5 {
        let sent = bench.now;
        // What was looked up before isn't used under the next lease, and that is over a second after its PING.
        bench.sleep(30);
        assert_eq!(bench.gets(b"+PONG\r\n"), leased(sent));
        assert_eq!(bench.sleep(769), []);
        let effects = bench.sleep(1);
        assert_eq!(commands(&effects), ["PING"]);
    }
}

#[test]
fn a_server_that_says_nothing_more_voids_nothing() {
    let (mut bench, _) = messages();
    bench.gets(b"+PONG\r\n");
    // Nothing is served under a lease soon, and what there is may do while the server is down.
    let effects = bench.sleep(3000);
    assert!(!effects.contains(&Effect::RaiseEpoch), "{effects:?}");
    assert!(effects.contains(&Effect::Revoke), "{effects:?}");
    // A reply that is late is no proof for now.
    let (mut bench, _) = messages();
    bench.sleep(MESSAGES_VALID);
    assert_eq!(bench.gets(b"+PONG\r\n"), []);
}

#[test]
fn a_message_that_is_not_understood_voids_all() {
    let long = "k".repeat((64 << 10) + 1);
    let broken: [&[u8]; 2] = [
        b">3\r\n$7\r\nmessage\r\n$4\r\nchan\r\n*0\r\n",
        &message(&long),
    ];
    for push in broken {
        let (mut bench, _) = messages();
        assert_eq!(bench.gets(push), [Effect::RaiseEpoch]);
    }
    let (mut bench, _) = messages();
    let other = b">3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\na\r\n";
    assert_eq!(bench.gets(other), []);
}

#[test]
fn messages_say_nothing_new_where_the_server_tracks() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    assert_eq!(bench.gets(&message("p:key")), []);
}

#[test]
fn tracking_that_pushes_nothing_is_not_relied_on() {
    let mut bench = Bench::new(settings());
    bench.greet();
    bench.sleep(READ_TIMEOUT / 2);
    bench.gets(b"+OK\r\n");
    assert_eq!(bench.sleep(READ_TIMEOUT - 1), []);
    let effects = bench.sleep(1);
    assert_eq!(effects[0], Effect::RaiseEpoch);
    let canary = published(&effects);
    // In either order.
    let effects = bench.gets(&message(&canary));
    assert!(lines(&effects)[0].1.contains("pushes nothing"));
    assert_eq!(bench.gets(b":1\r\n+PONG\r\n"), leased(bench.now));
    assert_eq!(bench.feed.source(), Source::Messages);
}

#[test]
fn messages_that_do_not_come_are_not_relied_on() {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    bench.gets(MAP);
    bench.gets(NO_TRACKING);
    bench.gets(SUBSCRIBED);
    bench.gets(b":0\r\n");
    assert_eq!(bench.sleep(READ_TIMEOUT - 1), []);
    let effects = bench.sleep(1);
    assert_eq!(effects[0], Effect::Revoke);
    assert!(lines(&effects)[0].1.contains("isn't told"));
    assert_eq!(bench.sleep(29_999), []);
    assert_eq!(bench.sleep(1), [Effect::Connect]);
}

#[test]
fn a_server_that_writes_nothing_is_asked_for_tracking_again_soon() {
    for (refusal, pause) in [("OOM full", 30_000), ("NOPERM no", 300_000)] {
        let mut bench = Bench::new(settings());
        bench.greet();
        let effects = bench.gets(format!("-{refusal}\r\n").as_bytes());
        let canary = published(&effects);
        bench.gets(&message(&canary));
        bench.gets(b":1\r\n+PONG\r\n");
        let end = bench.now + pause;
        let mut again = 0;
        while again == 0 {
            let effects = bench.sleep(1000);
            for command in commands(&effects) {
                if command == "PING" {
                    bench.gets(b"+PONG\r\n");
                } else {
                    bench.gets(b":1\r\n");
                    let key = command.strip_prefix("PUBLISH chan ").unwrap();
                    bench.gets(&message(key));
                }
            }
            if effects.contains(&Effect::Connect) || effects.contains(&Effect::Close) {
                again = bench.now;
                // It is no trouble, and worth no line.
                assert_eq!(lines(&effects), []);
                assert!(effects.contains(&Effect::Revoke));
            }
        }
        assert!((end..=end + 1000).contains(&again), "{refusal}: {again}");
    }
}

#[test]
fn a_subscription_that_ends_is_lost() {
    let (mut bench, _) = messages();
    let effects = bench.gets(b">3\r\n$11\r\nunsubscribe\r\n$4\r\nchan\r\n:0\r\n");
    assert_eq!(effects[0], Effect::Revoke);
    assert!(effects.contains(&Effect::Close));
}

#[test]
fn a_server_of_resp2_tells_what_is_published() {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    let sent =
        commands(&bench.gets(b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n"));
    assert_eq!(sent, ["SUBSCRIBE chan"]);
    let effects = bench.gets(&old(SUBSCRIBED));
    let Some(Effect::Publish {
        channel,
        message: canary,
    }) = effects.last()
    else {
        panic!("{effects:?}");
    };
    assert_eq!(channel, "chan");
    let canary = String::from_utf8(canary.to_vec()).unwrap();
    // The other connection takes its time.
    bench.sleep(CONNECT_TIMEOUT);
    assert_eq!(bench.on(Event::Published(&Reply::Integer(1))), []);
    bench.sleep(READ_TIMEOUT - 1);
    let effects = bench.gets(&old(&message(&canary)));
    assert_eq!(commands(&effects), ["PING"]);
    assert_eq!(bench.feed.source(), Source::Messages);
    assert!(lines(&effects)[0].1.contains("Redis 6"));
    let pong = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n";
    assert_eq!(bench.gets(pong), leased(bench.now));
    let effects = bench.gets(&old(&message("p:key")));
    assert_eq!(effects, [Effect::Invalidate(Bytes::from_static(b"p:key"))]);
    // An invalidation is no reply of RESP2.
    let effects = bench.gets(&old(&invalidation(&["a"])));
    assert!(effects.contains(&Effect::Close));
}

#[test]
fn a_user_that_may_not_publish_is_named() {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    bench.on(Event::Connected);
    bench.gets(b"-ERR unknown command `HELLO`\r\n");
    bench.gets(&old(SUBSCRIBED));
    let refused = Reply::Error(Bytes::from_static(
        b"NOPERM No permissions to access a channel",
    ));
    let effects = bench.on(Event::Published(&refused));
    assert!(effects.contains(&Effect::Close));
    let (_, text) = lines(&effects).remove(0);
    assert!(
        text.contains("+publish") && text.contains("&chan"),
        "{text}"
    );
}

/// The canary of another machine, as it is published.
const ANOTHER: &str = "p:redis_cache:canary:0123456789abcdef";

/// A second passes on a feed that tracks.
fn beat(bench: &mut Bench) {
    let sent = commands(&bench.sleep(1000));
    if sent.len() > 1 {
        let key = crate::bench::canary(&sent[0]);
        bench.gets(b"+OK\r\n");
        bench.gets(&invalidation(&[&key]));
    }
    bench.gets(b"+PONG\r\n");
    assert_eq!(bench.feed.source(), Source::Tracking);
}

#[test]
fn a_machine_tells_until_it_has_listened_for_a_while() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    assert_eq!(bench.told, bench.now + HEED);
    let told = bench.told;
    for _ in 0..300 {
        beat(&mut bench);
    }
    assert_eq!(bench.told, told);
}

#[test]
fn a_machine_that_hears_of_one_on_messages_tells() {
    let mut bench = Bench::new(settings());
    bench.go_leased();
    for _ in 0..300 {
        beat(&mut bench);
    }
    assert!(bench.told < bench.now);
    // A record's key says only that somebody else tells, too.
    bench.gets(&message("p:key"));
    assert!(bench.told < bench.now);
    assert_eq!(bench.gets(&message(ANOTHER)), []);
    assert_eq!(bench.told, bench.now + HEED);
    for second in 1..=100 {
        beat(&mut bench);
        if second % 30 == 0 {
            bench.gets(&message(ANOTHER));
        }
        assert!(bench.told >= bench.now + 59_000);
    }
}

#[test]
fn a_machine_tells_while_it_hears_nothing_or_messages_alone() {
    let mut bench = Bench::new(settings());
    bench.on(Event::Tick);
    for _ in 0..300 {
        bench.on(Event::Closed);
        bench.sleep_until(bench.feed.wakes_at());
        assert!(bench.told >= bench.now + 90_000);
    }
    let (mut bench, _) = messages();
    bench.gets(b"+PONG\r\n");
    for _ in 0..200 {
        for command in commands(&bench.sleep(1000)) {
            if let Some(key) = command.strip_prefix("PUBLISH chan ") {
                bench.gets(b":1\r\n");
                bench.gets(&message(key));
            } else {
                bench.gets(b"+PONG\r\n");
            }
        }
        assert_eq!(bench.feed.source(), Source::Messages);
        assert!(bench.told >= bench.now + 90_000);
    }
}
