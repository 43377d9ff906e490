//! SWAPDB, the one change that Redis tells nobody of.

use std::time::Instant;

use testbed::{Client, PATIENCE, Position, Record, Redis, Running, wait_for};

use super::{LEASE, SLACK, put_and_warm, site, source, warm};

/// Puts a record into a database that nobody uses yet.
fn put_into(redis: &Redis, database: &str, key: &str, text: &str) {
    let mut connection = redis.connect().unwrap();
    let select = |connection: &mut redis::Connection, database: &str| {
        redis::cmd("SELECT")
            .arg(database)
            .query::<()>(connection)
            .unwrap();
    };
    select(&mut connection, database);
    Record::lua_text(text)
        .write(&mut connection, key, 600)
        .unwrap();
}

/// Swaps two databases, and asks until the old text is gone.
#[track_caller]
fn assert_swapped(site: &Running, client: &mut Client, databases: [&str; 2], old: &str, new: &str) {
    warm(client, "/swapped");
    assert_eq!(client.get("/swapped").text(), old);
    let begun = Instant::now();
    let [one, other] = databases;
    let _: () = site.redis.command(&["SWAPDB", one, other]);
    let mut last = begun.elapsed();
    while client.get("/swapped").text() == old {
        last = begun.elapsed();
        assert!(last < PATIENCE, "{old} is never gone");
    }
    println!("{old}: the last old answer after {last:?}");
    assert!(last < LEASE + SLACK, "{last:?}");
    wait_for("the other record in memory", PATIENCE, || {
        source(client, "/swapped") == "memory"
    });
    assert_eq!(client.get("/swapped").text(), new);
}

#[test]
fn a_database_that_takes_the_place_of_another_is_noticed() {
    for database in ["0", "3"] {
        let site = site("").store(&format!("database {database};")).start();
        let key = site.key("/swapped");
        put_into(&site.redis, database, &key, "first");
        put_into(&site.redis, "5", &key, "second");
        let mut client = site.client();
        let databases = [database, "5"];
        for _ in 0..2 {
            assert_swapped(&site, &mut client, databases, "first", "second");
            assert_swapped(&site, &mut client, databases, "second", "first");
        }
        let serious = site.nginx.log().serious(Position::default());
        assert!(serious.is_empty(), "{serious:#?}");
    }
}

#[test]
fn a_user_that_may_not_ask_for_keys_has_a_memory_nevertheless() {
    let redis = Redis::start();
    let words = [
        "ACL", "SETUSER", "cache", "on", ">word", "~*", "&*", "+@all", "-exists",
    ];
    let _: () = redis.command(&words);
    let site = site("")
        .store("username cache; password word;")
        .start_with(redis);
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/kept", "kept");
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "SWAPDB", PATIENCE);
    let line = line.unwrap_or_else(|| panic!("{}", log.tail(20)));
    assert!(
        line.contains("[info]") && line.contains("+exists"),
        "{line}"
    );
    assert!(log.serious(Position::default()).is_empty());
}
