//! A redis-server of its own: free port and unix socket, nothing on disk but a temporary folder.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use redis::{Connection, ErrorKind, FromRedisValue, RedisError, RedisResult};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::places::redis_server;
use crate::ports::Port;
use crate::process::Process;
use crate::record::Record;
use crate::wait::{PATIENCE, wait_for};

/// A running (or stopped) redis-server.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    options: Vec<String>,
    password: Option<String>,
    port: Port,
    folder: TempDir,
}

impl Redis {
    /// Starts one.
    #[must_use]
    pub fn start() -> Redis {
        Redis::with_options(&[])
    }

    /// Starts one with further options, as on redis-server's command line: `["--maxmemory", "2mb"]`.
    #[must_use]
    pub fn with_options(options: &[&str]) -> Redis {
        let mut redis = Redis::stopped(options);
        redis.run();
        redis
    }

    /// Starts one that asks for a password.
    #[must_use]
    pub fn with_password(password: &str) -> Redis {
        let mut redis = Redis::stopped(&["--requirepass", password]);
        redis.password = Some(password.to_owned());
        redis.run();
        redis
    }

    /// Has port and socket, but doesn't run until [`Redis::run`].
    #[must_use]
    pub fn stopped(options: &[&str]) -> Redis {
        Redis {
            process: None,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            password: None,
            port: Port::take(),
            folder: TempDir::with_prefix("testbed-redis-").expect("a temporary folder"),
        }
    }

    /// Starts it, again if need be, on the same port, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    pub fn run(&mut self) {
        let mut command = Command::new(redis_server());
        command.current_dir(self.folder.path());
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &self.port.number().to_string(),
        ]);
        command.args(["--unixsocket", "redis.sock", "--unixsocketperm", "777"]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.args(&self.options);
        self.process = Some(Process::start(
            &mut command,
            &self.folder.path().join("redis.log"),
        ));
        wait_for("redis-server to answer", PATIENCE, || {
            let ended = self.process.as_mut().and_then(Process::ended);
            assert!(ended.is_none(), "redis-server ended: {}", self.log());
            self.answers()
        });
    }

    /// Stops it; what it held is gone.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::CONT);
            process.stop(Signal::TERM);
        }
    }

    /// Lets it hang: connections are accepted by the kernel, nothing is answered.
    pub fn freeze(&mut self) {
        self.process
            .as_mut()
            .expect("a running redis-server")
            .signal(Signal::STOP);
    }

    /// Ends [`Redis::freeze`].
    pub fn thaw(&mut self) {
        self.process
            .as_mut()
            .expect("a running redis-server")
            .signal(Signal::CONT);
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address().to_string()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Path of the unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// What redis-server wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default()
    }

    /// A connection to database 0 for the test's own use.
    pub fn connect(&self) -> RedisResult<Connection> {
        let secret = self
            .password
            .as_ref()
            .map(|password| format!(":{password}@"))
            .unwrap_or_default();
        let client = redis::Client::open(format!("redis://{secret}{}/", self.address()))?;
        client.get_connection_with_timeout(Duration::from_secs(2))
    }

    /// Runs one command.
    ///
    /// # Panics
    ///
    /// If Redis can't be reached or answers with an error.
    #[track_caller]
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        match self.try_command(words) {
            Ok(value) => value,
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    /// Runs one command and gives Redis's error, if it is one.
    pub fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query(&mut self.connect()?)
    }

    /// Writes a record as the Lua script does: MULTI, HMSET, EXPIRE, EXEC.
    #[track_caller]
    pub fn put(&self, key: &str, record: &Record, seconds: i64) {
        let mut connection = self.connect().expect("a connection to Redis");
        record
            .write(&mut connection, key, seconds)
            .expect("a record written");
    }

    /// Reads a record; `None` if there is no such key.
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Record> {
        let mut connection = self.connect().expect("a connection to Redis");
        Record::read(&mut connection, key).expect("a record read")
    }

    /// Waits until `key` is there: a record is stored after the client has its answer.
    #[track_caller]
    pub fn wait_for_record(&self, key: &str) -> Record {
        let mut found = None;
        wait_for(&format!("record {key}"), PATIENCE, || {
            found = self.get(key);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// What is left of a key's life in milliseconds; -1 without expiry, -2 without key.
    #[track_caller]
    pub fn pttl(&self, key: &str) -> i64 {
        self.command(&["PTTL", key])
    }

    /// Checks that a key has `seconds` to live, less what has passed since `start` and less two seconds of rounding.
    ///
    /// # Panics
    ///
    /// If it hasn't.
    #[track_caller]
    pub fn assert_left(&self, key: &str, seconds: i64, start: Instant) {
        let left = self.pttl(key);
        let passed = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
        assert!(
            (seconds * 1000 - 2000 - passed..=seconds * 1000).contains(&left),
            "{key}: {left} ms are left of {seconds} s, {passed} ms later"
        );
    }

    /// How often `command` (in lower case) was carried out. A lookup of the module is one `hmget`: so a test sees that
    /// requests have come as far as that.
    #[track_caller]
    pub fn calls(&self, command: &str) -> usize {
        let info: String = self.command(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&start));
        let count = line.and_then(|line| line.split(',').next());
        count.map_or(0, |count| count.parse().expect("a number of calls"))
    }

    /// Gives a key another expiry: ages a record without waiting.
    #[track_caller]
    pub fn expire_in(&self, key: &str, milliseconds: i64) {
        let changed: bool = self.command(&["PEXPIRE", key, &milliseconds.to_string()]);
        assert!(changed, "no key {key}");
    }

    /// The keys but for the fences that invalidations leave, sorted.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        let mut keys = self.all_keys();
        keys.retain(|key| !is_fence(key));
        keys
    }

    fn all_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.command(&["KEYS", "*"]);
        keys.sort();
        keys
    }

    /// The keys that would stay for ever. There must be none.
    #[track_caller]
    pub fn keys_without_expiry(&self) -> Vec<String> {
        let mut keys = self.all_keys();
        keys.retain(|key| self.pttl(key) == -1);
        keys
    }

    fn answers(&self) -> bool {
        let pong: Result<String, RedisError> = self.try_command(&["PING"]);
        match pong {
            Ok(_) => true,
            // It runs, and asks for a password that the test itself configured.
            Err(error) => error.kind() == ErrorKind::AuthenticationFailed,
        }
    }
}

/// Whether a key has the name of a fence.
fn is_fence(key: &str) -> bool {
    key.starts_with('{') && (key.ends_with("}:f") || key.contains("}:f:"))
}
