//! Keys of any length are kept, and their changes are heard.

use std::time::Instant;

use testbed::{PATIENCE, Position, Record, Redis, ms, wait_for};

use super::{put_and_warm, site};

/// The connections of a server's that have subscribed to the channel of changes alone: others hear of invalidations and
/// purges.
fn listeners(redis: &Redis) -> Vec<String> {
    let clients: String = redis.command(&["CLIENT", "LIST"]);
    let listens = |line: &&str| line.contains(" sub=1 ");
    let lines = clients.lines().filter(listens);
    lines
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[test]
fn a_message_that_names_a_long_key_is_heard_in_resp2() {
    let redis = Redis::with_options(&["--rename-command", "HELLO", ""]);
    let site = site("").start_with(redis);
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "for 1000 ms at most", PATIENCE);
    assert!(line.is_some(), "{}", log.tail(20));
    let mut client = site.client();
    let target = format!("/{}", "l".repeat(6000));
    let key = site.key(&target);
    put_and_warm(&site, &mut client, &target, "first");
    let before = listeners(&site.redis);
    assert_eq!(before.len(), 1, "{before:?}");
    let mut times = Vec::new();
    for text in ["second", "third", "fourth"] {
        site.redis.put(&key, &Record::lua_text(text), 600);
        let begun = Instant::now();
        let _: i64 = site.redis.command(&["PUBLISH", "redis_cache:", &key]);
        wait_for("the change", PATIENCE, || {
            client.get(&target).text() == text
        });
        times.push(begun.elapsed());
        super::warm(&mut client, &target);
    }
    // Unheard, each would take most of the lease of 1 s. A busy machine delays one or the other.
    assert!(times.iter().min() < Some(&ms(300)), "{times:?}");
    // It listens on the same connection as before.
    assert_eq!(listeners(&site.redis), before);
}
