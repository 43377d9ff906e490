//! Passwords in files: each reload reads them again, a file that can't be used leaves all as it was, and no password
//! appears where anybody sees it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use testbed::{PATIENCE, Position, Redis, RedisCluster, Running, Sentinels, Site, ms, wait_for};

/// What a user of records may do.
const RECORDS: &str = "~* +@all";

/// What a user of Sentinels may do.
const WATCHER: &str = "&* -@all +sentinel +subscribe +ping";

/// Passwords that nothing else looks like.
const FIRST: &str = "first-sesame-1";
const SECOND: &str = "second-sesame-2";
const THIRD: &str = "third-sesame-3";

/// A folder with files of passwords.
struct Passwords(TempDir);

impl Passwords {
    fn new() -> Passwords {
        Passwords(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file; gives the value of a directive that has the password from there.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), text).unwrap();
        format!("file:{}", self.path(name).display())
    }
}

/// A site that logs all that it can.
fn site(store: &str) -> Site {
    Site::new()
        .spread()
        .main("error_log logs/debug.log debug;")
        .store(store)
}

/// Nobody sees a password: neither who reads a log nor who lists processes.
#[track_caller]
fn assert_hidden(site: &Running) {
    let prefix = site.nginx.prefix();
    let master = fs::read_to_string(prefix.join("logs/nginx.pid")).unwrap();
    let mut places: Vec<PathBuf> = ["error.log", "debug.log", "output.log"]
        .map(|name| prefix.join("logs").join(name))
        .into();
    let pids = site.nginx.workers().into_iter().map(|pid| pid.to_string());
    for pid in pids.chain([master.trim().to_owned()]) {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        places.extend([folder.join("cmdline"), folder.join("environ")]);
    }
    for place in places {
        let text = fs::read(&place).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(
            !text.contains("sesame"),
            "{}: {}",
            place.display(),
            text.lines()
                .find(|line| line.contains("sesame"))
                .unwrap_or_default()
        );
    }
}

/// What is stored from now on is found.
#[track_caller]
fn stores(site: &Running, path: &str) {
    wait_for(&format!("a HIT for {path}"), PATIENCE, || {
        let answer = site.get(path);
        assert_eq!(answer.status, 200, "{path}");
        answer.word() == "HIT"
    });
}

/// Another password counts from now on: a new one beside the old one, a reload, and the old one goes with all
/// connections.
#[track_caller]
fn change(site: &mut Running, set: impl Fn(&[&str]), write: impl FnOnce()) {
    set(&["ACL", "SETUSER", "cache", &format!(">{SECOND}")]);
    write();
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    set(&["ACL", "SETUSER", "cache", &format!("<{FIRST}")]);
    set(&["CLIENT", "KILL", "USER", "cache"]);
}

#[test]
fn one_server_has_another_password() {
    let redis = Redis::start();
    let rights: Vec<&str> = RECORDS.split(' ').collect();
    let first = format!(">{FIRST}");
    let user = [
        ["ACL", "SETUSER", "cache", "on", &first].as_slice(),
        &rights,
    ]
    .concat();
    let _: () = redis.command(&user);
    let passwords = Passwords::new();
    let file = passwords.write("password", format!("{FIRST}\nthe second line is none\n"));
    let mut site = site(&format!("username cache; password {file};")).start_with(redis);
    stores(&site, "/first");
    let address = site.redis.address();
    let set = |words: &[&str]| {
        let mut client = redis::Client::open(format!("redis://{address}/"))
            .and_then(|client| client.get_connection())
            .unwrap();
        let _: redis::Value = redis::cmd(words[0])
            .arg(&words[1..])
            .query(&mut client)
            .unwrap();
    };
    change(&mut site, set, || {
        passwords.write("password", format!("{SECOND}\r\n"));
    });
    stores(&site, "/first");
    stores(&site, "/second");
    let serious = site.nginx.log().serious(Position::default());
    assert!(serious.is_empty(), "{serious:#?}");

    // One that the server refuses: that is said, and the password isn't.
    let position = site.nginx.log().end();
    passwords.write("password", THIRD);
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    assert_eq!(site.get("/first").word(), "SKIP");
    let said = site.nginx.log().wait_for(position, "is down", PATIENCE);
    assert!(said.is_some_and(|line| line.contains("WRONGPASS")));
    assert_hidden(&site);
    site.nginx.finish();
}

#[test]
fn master_and_sentinels_have_other_passwords() {
    let all = Sentinels::options()
        .down_after(ms(500))
        .acl(&format!("user cache on >{FIRST} {RECORDS}"))
        .sentinel_acl(&format!("user cache on >{FIRST} {WATCHER}"))
        .start();
    let passwords = Passwords::new();
    let [records, watcher] =
        ["records", "watcher"].map(|name| passwords.write(name, format!("{FIRST}\n")));
    let store = format!(
        "{}username cache; password {records}; sentinel_username cache; sentinel_password {watcher};",
        all.directives()
    );
    let mut site = site(&store).start();
    stores(&site, "/first");
    let set = |words: &[&str]| {
        for number in all.data().chain(all.sentinels()) {
            let _: redis::Value = all.server(number).command(words);
        }
    };
    change(&mut site, set, || {
        passwords.write("records", SECOND);
        passwords.write("watcher", SECOND);
    });
    stores(&site, "/first");
    stores(&site, "/second");
    let serious = site.nginx.log().serious(Position::default());
    assert!(serious.is_empty(), "{serious:#?}");
    // The Sentinels and the heir of the master are asked in the new one's name.
    let (heir, _) = all.failover();
    wait_for("records in the heir", PATIENCE, || {
        let path = format!("/heir/{}", site.backend.all_hits());
        assert_eq!(site.get(&path).status, 200);
        all.server(heir).keys().contains(&path)
    });
    assert_hidden(&site);
    site.nginx.finish();
}

#[test]
fn the_nodes_of_a_cluster_have_another_password() {
    let cluster = RedisCluster::options()
        .masters(2)
        .replicas(0)
        .acl(&format!("user cache on >{FIRST} {RECORDS}"))
        .start();
    let passwords = Passwords::new();
    let file = passwords.write("password", FIRST);
    let store = format!("{}username cache; password {file};", cluster.directives());
    let mut site = site(&store).start();
    let paths = [0, 1].map(|number| cluster.key_at(number, "/first/"));
    for path in &paths {
        stores(&site, path);
    }
    let set = |words: &[&str]| {
        for number in 0..2 {
            let _: redis::Value = cluster.node(number).command(words);
        }
    };
    change(&mut site, set, || {
        passwords.write("password", SECOND);
    });
    for path in &paths {
        stores(&site, path);
        stores(&site, &path.replace("first", "second"));
    }
    let serious = site.nginx.log().serious(Position::default());
    assert!(serious.is_empty(), "{serious:#?}");
    assert_hidden(&site);
    site.nginx.finish();
}

/// A file that can't be used is refused with its name and the line of the configuration, and the workers go on with what
/// they have.
#[test]
fn a_file_that_cannot_be_used_leaves_all_as_it_was() {
    let redis = Redis::with_password(FIRST);
    let passwords = Passwords::new();
    let file = passwords.write("password", FIRST);
    let mut site = site(&format!("password {file};")).start_with(redis);
    stores(&site, "/before");
    let path = passwords.path("password");
    let conf = site.nginx.prefix().join("conf/nginx.conf");
    let text = fs::read_to_string(&conf).unwrap();
    let number = text
        .lines()
        .position(|line| line.contains("password file:"));
    let number = number.unwrap() + 1;
    let long = format!("sesame{}", "x".repeat(4091));
    let cases: [(&str, Option<&[u8]>, &str); 5] = [
        ("missing", None, "No such file or directory (os error 2)"),
        ("empty", Some(b""), "its first line is empty"),
        ("empty line", Some(b"\nsesame\n"), "its first line is empty"),
        (
            "long",
            Some(long.as_bytes()),
            "its first line is longer than 4096 bytes",
        ),
        (
            "no text",
            Some(b"sesame\xff\n"),
            "its first line is no valid UTF-8",
        ),
    ];
    for (name, content, reason) in cases {
        match content {
            Some(content) => drop(passwords.write("password", content)),
            None => fs::remove_file(&path).unwrap(),
        }
        let line = site.nginx.reload_in_vain();
        let said = format!(
            "\"password\" of store \"main\" can't be read: \"{}\": {reason} in {}:{number}",
            path.display(),
            conf.display()
        );
        assert!(line.ends_with(&said), "{name}: {line}\n{said}");
        assert_eq!(site.get("/before").word(), "HIT", "{name}");
        // Also on new connections.
        let _: redis::Value = site
            .redis
            .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        stores(&site, &format!("/{}", name.replace(' ', "-")));
    }
    // The longest there may be.
    let longest = "x".repeat(4096);
    let also = format!(">{longest}");
    let _: () = site.redis.command(&["ACL", "SETUSER", "default", &also]);
    passwords.write("password", format!("{longest}\r\n"));
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    stores(&site, "/after");
    assert_hidden(&site);
    site.nginx.finish();
}
