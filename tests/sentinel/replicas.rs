//! `read_from replica`: lookups go to replicas that are healthy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use testbed::{PATIENCE, Position, Running, Sentinels, Side, Site, ms, wait_for};

use super::{FOLLOWED, TIMEOUTS, bed, follows, keep, site, steady, under_load, while_asking};

/// A site whose lookups go to both replicas.
#[track_caller]
fn reading_site(all: &Sentinels, workers: usize) -> Running {
    let site = site(all, workers, "read_from replica;");
    wait_for_list(&site, all, &[1, 2]);
    site
}

/// Waits until these replicas serve lookups, and no others.
#[track_caller]
pub fn wait_for_list(site: &Running, all: &Sentinels, numbers: &[usize]) {
    let mut wanted: Vec<String> = numbers
        .iter()
        .map(|number| all.server(*number).address().to_string())
        .collect();
    wanted.sort();
    wait_for(&format!("replicas {numbers:?}"), PATIENCE, || {
        let log = site.nginx.log();
        let lines = log.matching(Position::default(), "lookups go to ");
        let last = lines.last().map(String::as_str).unwrap_or_default();
        let listed = last.split("go to replicas: ").nth(1).unwrap_or_default();
        let mut listed: Vec<&str> = listed.split(", ").collect();
        listed.sort_unstable();
        listed == wanted
    });
    // All workers look after 200 ms at the latest.
    let gone = all
        .data()
        .filter(|number| !numbers.contains(number) && all.master() != Some(*number));
    for number in gone {
        wait_for("closed connections", PATIENCE, || {
            all.net().clients_of(number) == 0
        });
    }
}

/// Pages that are stored, and that both replicas have.
#[track_caller]
fn pages(site: &Running, all: &Sentinels) -> Vec<String> {
    let paths: Vec<String> = (0..10).map(|number| format!("/page/{number}")).collect();
    for path in &paths {
        keep(site, path);
    }
    wait_for_copies(site, all, &paths);
    paths
}

#[track_caller]
pub fn wait_for_copies(site: &Running, all: &Sentinels, paths: &[String]) {
    for number in all.replicas() {
        wait_for("the copies", PATIENCE, || {
            let keys = all.server(number).keys();
            paths.iter().all(|path| keys.contains(&site.key(path)))
        });
    }
}

/// Waits until these replicas, which are listed, serve lookups. Those that were in trouble are probed first.
#[track_caller]
fn wait_for_use(site: &Running, all: &Sentinels, numbers: &[usize]) {
    let listed = lookups(all);
    wait_for("replicas in use", PATIENCE, || {
        keep(site, "/page/0");
        let now = lookups(all);
        numbers.iter().all(|number| now[*number] > listed[*number])
    });
}

fn lookups(all: &Sentinels) -> Vec<usize> {
    all.data()
        .map(|number| all.server(number).calls("hmget"))
        .collect()
}

#[track_caller]
fn all_hit(site: &Running, paths: &[String], what: &str) {
    for path in paths.iter().cycle().take(40) {
        let hit = site.get(path);
        assert_eq!(hit.word(), "HIT", "{what}: {:?}", hit.fields);
        let text = hit.text();
        assert!(text.starts_with(&format!("GET {path} #")), "{what}: {text}");
    }
}

/// Hits without end, from four clients, while `during` runs.
fn hits<T>(site: &Running, paths: &[String], during: impl FnOnce() -> T) -> T {
    while_asking(site, paths, during, |path, hit| {
        assert_eq!(hit.word(), "HIT", "{path}: {:?}", hit.fields);
    })
}

#[test]
fn hits_come_from_replicas_and_what_they_lack_from_the_master() {
    let all = steady().start();
    for workers in [1, 2] {
        let site = reading_site(&all, workers);
        let paths = pages(&site, &all);
        let before = lookups(&all);
        all_hit(&site, &paths, "in good times");
        let after = lookups(&all);
        assert_eq!(after[0], before[0], "the master is left alone");
        assert!(after[1] > before[1] && after[2] > before[2], "{after:?}");
        assert_eq!(after[1] + after[2], before[1] + before[2] + 40);

        // They are late: what they don't have is no proof.
        all.net().hold_replica(0, 1);
        all.net().hold_replica(0, 2);
        let late = format!("/late/{workers}");
        assert_eq!(site.get(&late).word(), "STORE");
        wait_for("the record", PATIENCE, || {
            all.server(0).keys().contains(&site.key(&late))
        });
        keep(&site, &late);
        assert_eq!(site.get(&late).word(), "HIT");
        assert_eq!(site.backend.hits(&late), 1);
        for replica in [1, 2] {
            assert!(!all.server(replica).keys().contains(&site.key(&late)));
        }
        all.net().heal();
        wait_for_copies(&site, &all, &[late]);
        site.nginx.finish();
    }
}

#[test]
fn replicas_that_die_or_hang_cost_no_hit() {
    let all = bed().down_after(ms(1000)).start();
    let site = reading_site(&all, 2);
    let paths = pages(&site, &all);
    let start = site.nginx.log().end();
    hits(&site, &paths, || {
        all.server(1).kill();
        wait_for_list(&site, &all, &[2]);
        // The last one.
        all.server(2).freeze();
        wait_for("no replica", PATIENCE, || {
            let log = site.nginx.log();
            !log.matching(start, "no replica is healthy").is_empty()
        });
        all.server(2).thaw();
        all.restart(1);
        wait_for_list(&site, &all, &[1, 2]);
        wait_for_copies(&site, &all, &paths);
    });
    wait_for_use(&site, &all, &[1, 2]);
    let before = lookups(&all);
    all_hit(&site, &paths, "again");
    let after = lookups(&all);
    assert_eq!(after[0], before[0]);
    assert!(after[1] > before[1] && after[2] > before[2], "{after:?}");
    let lines = site.nginx.log().matching(start, "its lookups go to others");
    assert!(!lines.is_empty(), "the log tells of the replica");
}

#[test]
fn a_replica_that_refuses_to_serve_costs_no_hit() {
    let all = steady()
        .replicas(1)
        .line("replica-serve-stale-data no")
        .start();
    let site = site(&all, 1, "read_from replica;");
    wait_for_list(&site, &all, &[1]);
    let paths = pages(&site, &all);
    hits(&site, &paths, || {
        // MASTERDOWN, until the Sentinels have seen it, and later.
        part_from_master(&all, 1);
        wait_for("no replica", PATIENCE, || {
            let log = site.nginx.log();
            let lines = log.matching(Position::default(), "no replica is healthy");
            !lines.is_empty()
        });
        rejoin_master(&all, 1);
        wait_for_list(&site, &all, &[1]);
    });
}

/// A replica loses its link to the master, and can't have another. All else goes on.
fn part_from_master(all: &Sentinels, number: usize) {
    let replica = all.server(number);
    let _: () = replica.command(&["CONFIG", "SET", "masterauth", "nobody knows it"]);
    let _: i64 = replica.command(&["CLIENT", "KILL", "TYPE", "MASTER"]);
    wait_for("a lost link", PATIENCE, || {
        replica.info("replication", "master_link_status") == "down"
    });
}

fn rejoin_master(all: &Sentinels, number: usize) {
    let _: () = all
        .server(number)
        .command(&["CONFIG", "SET", "masterauth", ""]);
}

#[test]
fn a_replica_without_a_link_to_its_master_is_not_used() {
    let all = steady().start();
    let site = reading_site(&all, 2);
    let paths = pages(&site, &all);
    hits(&site, &paths, || {
        part_from_master(&all, 1);
        wait_for_list(&site, &all, &[2]);
    });
    let before = lookups(&all);
    all_hit(&site, &paths, "without a link");
    assert_eq!(lookups(&all)[1], before[1]);
    rejoin_master(&all, 1);
    wait_for_list(&site, &all, &[1, 2]);
    all_hit(&site, &paths, "linked again");
    assert!(lookups(&all)[1] > before[1]);
}

#[test]
fn a_failover_under_load_is_followed_by_lookups() {
    let all = steady().start();
    let site = reading_site(&all, 2);
    let paths = pages(&site, &all);
    let master = under_load(&site, || {
        let (master, _) = all.failover();
        follows(&site, &all, master, FOLLOWED);
        master
    });
    all.wait_until_well();
    let others: Vec<usize> = all.data().filter(|number| *number != master).collect();
    wait_for_list(&site, &all, &others);
    wait_for_copies(&site, &all, &paths);
    wait_for_use(&site, &all, &others);
    let before = lookups(&all);
    all_hit(&site, &paths, "behind a failover");
    let after = lookups(&all);
    for number in all.data() {
        assert_eq!(after[number] > before[number], number != master, "{number}");
    }
}

#[test]
fn a_sentinel_that_sees_no_replica_is_outvoted() {
    let all = bed().down_after(ms(1000)).start();
    let site = reading_site(&all, 1);
    let paths = pages(&site, &all);
    let lonely = all.sentinels().start;
    all.net().silence(lonely, Side::Servers);
    wait_for("a Sentinel that sees nobody", PATIENCE, || {
        let listed =
            all.server(lonely)
                .try_command::<redis::Value>(&["SENTINEL", "REPLICAS", all.name()]);
        format!("{listed:?}").matches("s_down").count() == 2
    });
    let before = lookups(&all);
    all_hit(&site, &paths, "outvoted");
    assert_eq!(lookups(&all)[0], before[0]);
}

/// Before Redis 5 replicas had another name.
#[test]
fn an_old_sentinel_is_asked_for_slaves() {
    let all = steady().replicas(1).sentinels(1).start();
    let (master, replica) = (all.server(0).address(), all.server(1).address());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let old = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || old_sentinel(stream, master, replica));
        }
    });
    let store = format!("mode sentinel main; server {old}; read_from replica; {TIMEOUTS}");
    let site = Site::new().store(&store).start();
    wait_for_list(&site, &all, &[1]);
    keep(&site, "/page");
    wait_for_copies(&site, &all, &["/page".to_owned()]);
    let before = lookups(&all);
    for _ in 0..5 {
        assert_eq!(site.get("/page").word(), "HIT");
    }
    assert_eq!(lookups(&all), [before[0], before[1] + 5]);
    let lines = site.nginx.log().serious(Position::default());
    assert!(lines.is_empty(), "{lines:#?}");
}

/// What Redis 4 says.
fn old_sentinel(stream: TcpStream, master: SocketAddr, replica: SocketAddr) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let array = |words: &[&str]| {
        let bulks = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()));
        format!("*{}\r\n{}", words.len(), bulks.collect::<String>())
    };
    let (host, port) = (master.ip().to_string(), master.port().to_string());
    let (its_host, its_port) = (replica.ip().to_string(), replica.port().to_string());
    let listed = array(&[
        "ip",
        &its_host,
        "port",
        &its_port,
        "flags",
        "slave",
        "role-reported",
        "slave",
        "master-link-status",
        "ok",
        "master-host",
        &host,
        "master-port",
        &port,
    ]);
    while let Some(words) = command(&mut reader) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let reply = match words.as_slice() {
            ["PING"] => "+PONG\r\n".to_owned(),
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"] => array(&[&host, &port]),
            ["SENTINEL", "MASTER", "main"] => array(&["config-epoch", "1"]),
            ["SENTINEL", "SLAVES", "main"] => format!("*1\r\n{listed}"),
            ["SENTINEL", what, ..] => {
                format!("-ERR Unknown sentinel subcommand '{what}'\r\n")
            }
            ["SUBSCRIBE", channel] => {
                format!(
                    "*3\r\n$9\r\nsubscribe\r\n${}\r\n{channel}\r\n:1\r\n",
                    channel.len()
                )
            }
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads a command. `None` at the end.
fn command(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = number(reader, '*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(reader, '$')? + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

fn number(reader: &mut BufReader<TcpStream>, mark: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(mark)?.parse().ok()
}
