//! A purge of many records: PURGE_RECORDS of them are in Redis (20,000 without it), each hundredth with the tag.

use std::time::Instant;

use redis::Value;
use testbed::{Answer, Redis};

use crate::{fill_tagged, get, request, site};

/// How many records are written by one command.
const BATCH: usize = 5000;

/// Copies two records: each hundredth key has the fields of the second.
const COPY: &str = "local plain,tagged=redis.call('HGETALL',KEYS[1]),redis.call('HGETALL',KEYS[2])\n\
for n=tonumber(ARGV[1]),tonumber(ARGV[2]) do\n\
local key='http://example.com/n'..n\n\
redis.call('HSET',key,unpack(n%100==0 and tagged or plain))\n\
redis.call('EXPIRE',key,100000)\n\
end\n\
return 1";

/// What the slow log has of purges: microseconds.
pub fn slow(redis: &Redis) -> Vec<i64> {
    let entries: Vec<Value> = redis.command(&["SLOWLOG", "GET", "100"]);
    let took = |entry: &Value| {
        let Value::Array(parts) = entry else {
            return None;
        };
        let words: Vec<String> = redis::from_redis_value_ref(parts.get(3)?).ok()?;
        let is_of_purge = words.iter().any(|word| word.contains("redis_cache:purges"));
        let Some(Value::Int(took)) = parts.get(2) else {
            return None;
        };
        is_of_purge.then_some(*took)
    };
    entries.iter().filter_map(took).collect()
}

#[test]
fn a_tag_of_one_record_in_a_hundred() {
    let records: usize = std::env::var("PURGE_RECORDS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(20_000);
    let site = site("varnish").location("redis_cache_age 100000s;").start();
    let (plain, tagged) = (("example.com", "/plain"), ("example.com", "/tagged"));
    fill_tagged(&site, plain, ("xkey", "other"));
    fill_tagged(&site, tagged, ("xkey", "wanted other"));
    for first in (0..records).step_by(BATCH) {
        let (from, to) = (first.to_string(), (first + BATCH).min(records) - 1);
        let words = [
            "EVAL",
            COPY,
            "2",
            "http://example.com/plain",
            "http://example.com/tagged",
            &from,
            &to.to_string(),
        ];
        let _: i64 = site.redis.command(&words);
    }
    let count: usize = site.redis.command(&["DBSIZE"]);
    assert!(count >= records, "{count}");
    let at = |n: usize| format!("/n{n}");
    for n in [0, 1, 100, 101] {
        assert_eq!(get(&site, ("example.com", &at(n))).word(), "HIT", "{n}");
    }
    let _: String = site
        .redis
        .command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    let _: String = site.redis.command(&["SLOWLOG", "RESET"]);
    let memory = || -> i64 {
        let told: String = site.redis.command(&["INFO", "memory"]);
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse().ok()).unwrap()
    };
    let before = memory();
    let begun = Instant::now();
    let answer = site.ask(&request(&["PURGE /", "Host: example.com", "xkey: wanted"]));
    let took = begun.elapsed();
    let grown = memory() - before;
    let slow = slow(&site.redis);
    println!(
        "{records} records: the purge took {took:?}, Redis {slow:?} us for its commands, and {grown} bytes more"
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Buffers of connections come and go.
    assert!(grown < 256 << 10, "{grown} bytes more in Redis");
    let members: usize = site.redis.command(&["ZCARD", "redis_cache:purges"]);
    assert_eq!(members, 2, "the purge and the server");
    for n in (0..records).step_by(records / 200) {
        let target = at(n);
        site.backend.set(&target, Answer::ok("anew"));
        let word = get(&site, ("example.com", &target)).word();
        let expected = if n % 100 == 0 { "STORE" } else { "HIT" };
        assert_eq!(word, expected, "{n}");
    }
    for n in (1..records).step_by(records / 150) {
        if n % 100 != 0 {
            assert_eq!(get(&site, ("example.com", &at(n))).word(), "HIT", "{n}");
        }
    }
}
