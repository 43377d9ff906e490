//! A database that takes the place of another (SWAPDB): nothing tells of it, but the last canary isn't there.

use bytes::Bytes;
use cache_core::feed::{Effect, Level, Source};

use crate::bench::{Bench, all_commands, canary, commands, invalidation, leases, lines, settings};

/// A feed that is live, whose test answers EXISTS itself; and its mark.
fn live() -> (Bench, String) {
    let mut bench = Bench::new(settings());
    bench.exists = None;
    let mark = bench.greet();
    assert_eq!(bench.gets(b"+OK\r\n"), [Effect::RaiseEpoch]);
    let effects = bench.gets(&invalidation(&[&mark]));
    assert_eq!(bench.feed.source(), Source::Tracking);
    assert_eq!(
        all_commands(&effects),
        [format!("EXISTS {mark}"), "PING".into()]
    );
    assert_eq!(leases(&bench.gets(b":1\r\n+PONG\r\n")), [bench.now + 3000]);
    (bench, mark)
}

/// A second later the feed asks for this mark, and writes another; which is given back.
fn writes_another(bench: &mut Bench, former: Option<&str>) -> String {
    let sent = all_commands(&bench.sleep(1000));
    let next = canary(&sent[0]);
    let mut wanted: Vec<String> = former.iter().map(|key| format!("EXISTS {key}")).collect();
    wanted.push("PING".into());
    assert_eq!(sent[1..], wanted);
    next
}

#[test]
fn each_ping_comes_with_a_question_for_the_mark() {
    let (mut bench, mark) = live();
    for _ in 0..29 {
        let sent = all_commands(&bench.sleep(1000));
        assert_eq!(sent, [format!("EXISTS {mark}"), "PING".into()]);
        let effects = bench.gets(b":1\r\n+PONG\r\n");
        let until = bench.now + 3000;
        assert_eq!(effects, [Effect::Lease { until }]);
    }
}

#[test]
fn a_database_without_the_mark_voids_all_and_gets_one() {
    let (mut bench, _) = live();
    bench.sleep(1000);
    let effects = bench.gets(b":0\r\n+PONG\r\n");
    let until = bench.now + 3000;
    assert_eq!(effects, [Effect::RaiseEpoch, Effect::Lease { until }]);
    let next = writes_another(&mut bench, None);
    // What was looked up before that may be of yet another database.
    assert_eq!(bench.gets(b"+OK\r\n"), [Effect::RaiseEpoch]);
    bench.gets(&invalidation(&[&next]));
    bench.gets(b"+PONG\r\n");
    let sent = all_commands(&bench.sleep(1000));
    assert_eq!(sent, [format!("EXISTS {next}"), "PING".into()]);
}

#[test]
fn the_former_mark_is_asked_for_behind_the_next_one() {
    let (mut bench, mark) = live();
    for _ in 0..29 {
        bench.sleep(1000);
        bench.gets(b":1\r\n+PONG\r\n");
    }
    let next = writes_another(&mut bench, Some(&mark));
    assert_eq!(bench.gets(b"+OK\r\n"), []);
    bench.gets(&invalidation(&[&next]));
    // The databases were swapped between the two.
    let effects = bench.gets(b":0\r\n+PONG\r\n");
    assert_eq!(effects[0], Effect::RaiseEpoch);
    writes_another(&mut bench, None);
}

#[test]
fn flushall_takes_the_mark_in_either_order() {
    let flush: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";
    for is_first in [true, false] {
        let (mut bench, _) = live();
        bench.sleep(1000);
        let mut effects = Vec::new();
        if is_first {
            effects.extend(bench.gets(flush));
        }
        effects.extend(bench.gets(b":0\r\n"));
        if !is_first {
            effects.extend(bench.gets(flush));
        }
        assert_eq!(effects, [Effect::RaiseEpoch, Effect::RaiseEpoch]);
        bench.gets(b"+PONG\r\n");
        let next = writes_another(&mut bench, None);
        bench.gets(b"+OK\r\n");
        let effects = bench.gets(&invalidation(&["p:key", &next]));
        assert_eq!(effects, [Effect::Invalidate(Bytes::from_static(b"p:key"))]);
    }
}

#[test]
fn marks_that_are_evicted_again_and_again_are_given_up() {
    let (mut bench, mut mark) = live();
    for round in 1..=3 {
        let effects = bench.gets(&invalidation(&[&mark]));
        if round == 3 {
            let (level, text) = lines(&effects).remove(0);
            assert_eq!(level, Level::Info);
            assert!(text.contains("SWAPDB") && text.contains("evicts"), "{text}");
            break;
        }
        assert_eq!(effects, []);
        mark = writes_another(&mut bench, None);
        bench.gets(b"+OK\r\n");
        bench.gets(&invalidation(&[&mark]));
        bench.gets(b"+PONG\r\n");
    }
    for _ in 0..20 {
        assert_eq!(all_commands(&bench.sleep(1000)), ["PING"]);
        bench.gets(b"+PONG\r\n");
    }
    assert_eq!(bench.feed.source(), Source::Tracking);
}

#[test]
fn a_user_that_may_not_ask_goes_without_and_is_named_once() {
    let mut bench = Bench::new(settings());
    bench.exists = None;
    let mut said = Vec::new();
    for _ in 0..2 {
        let mark = bench.greet();
        bench.gets(b"+OK\r\n");
        bench.gets(&invalidation(&[&mark]));
        let refusal = b"-NOPERM this user has no permissions to run the 'exists' command\r\n";
        said.extend(lines(&bench.gets(refusal)));
        assert_eq!(leases(&bench.gets(b"+PONG\r\n")), [bench.now + 3000]);
        assert_eq!(all_commands(&bench.sleep(1000)), ["PING"]);
        bench.on(cache_core::feed::Event::Closed);
        bench.now = bench.feed.wakes_at();
    }
    said.retain(|(level, _)| *level == Level::Info);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.contains("+exists"), "{said:?}");
}

#[test]
fn a_server_that_cannot_reply_for_now_keeps_its_mark() {
    let (mut bench, mark) = live();
    bench.sleep(1000);
    assert_eq!(bench.gets(b"-BUSY a script\r\n-BUSY a script\r\n"), []);
    let sent = all_commands(&bench.sleep(1000));
    assert_eq!(sent, [format!("EXISTS {mark}"), "PING".into()]);
}

#[test]
fn a_canary_that_is_refused_is_no_mark() {
    let (mut bench, mark) = live();
    for _ in 0..29 {
        bench.sleep(1000);
        bench.gets(b":1\r\n+PONG\r\n");
    }
    writes_another(&mut bench, Some(&mark));
    let effects = bench.gets(b"-OOM command not allowed\r\n:1\r\n+PONG\r\n");
    let until = bench.now + 3000;
    assert_eq!(effects, [Effect::Lease { until }]);
    writes_another(&mut bench, Some(&mark));
    assert_eq!(commands(&bench.sleep(0)), [] as [&str; 0]);
}
