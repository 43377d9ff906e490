//! One redis-server of a fleet. It has an address of its own, 127.0.1.N, behind which it listens at 127.0.0.1.
//!
//! Everybody else reaches it through doors: proxies at its own address. It makes its own connections from that address.
//! So a test can part it from some and not from others. The bed itself passes by the doors.

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use redis::{
    Connection, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult,
};
use rustix::process::Signal;
use tempfile::TempDir;

use super::login::Login;
use crate::places::redis_server;
use crate::ports::Port;
use crate::process::Process;
use crate::proxy::{Peers, Proxy};
use crate::wait::{PATIENCE, wait_for};

/// How long the bed's own commands may take.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Running,
    Frozen,
}

/// The server. It ends when this is dropped.
pub struct Server {
    ip: IpAddr,
    port: Port,
    tls: Option<Port>,
    doors: Vec<Proxy>,
    process: Mutex<(State, Option<Process>)>,
    sentinel: bool,
    login: Option<Login>,
    connection: Mutex<Option<Connection>>,
    // Leases of further ports.
    _ports: Vec<Port>,
    folder: TempDir,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address())
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What a server is made of.
pub(super) struct Plan {
    pub ip: IpAddr,
    /// Whether it has a port for TLS, which is then the one that it announces.
    pub tls: bool,
    /// Further ports that have doors.
    pub further: Vec<Port>,
    pub sentinel: bool,
    /// How the bed logs in.
    pub login: Option<Login>,
    /// The content of its ACL file.
    pub acl: Option<String>,
}

impl Server {
    /// Has its doors, but doesn't run until [`Server::run`].
    pub(super) fn new(plan: Plan) -> Server {
        let folder = TempDir::with_prefix("testbed-fleet-").expect("a temporary folder");
        if let Some(acl) = &plan.acl {
            fs::write(folder.path().join("users.acl"), acl).expect("an ACL file");
        }
        let (port, tls) = (Port::take(), plan.tls.then(Port::take));
        let ports = [Some(&port), tls.as_ref()].into_iter().flatten();
        let door = |port: &Port| {
            let address = SocketAddr::new(plan.ip, port.number());
            Proxy::at(address, &port.address().to_string())
        };
        let doors = ports.chain(&plan.further).map(door).collect();
        Server {
            ip: plan.ip,
            port,
            tls,
            doors,
            process: Mutex::new((State::Down, None)),
            sentinel: plan.sentinel,
            login: plan.login,
            connection: Mutex::new(None),
            _ports: plan.further,
            folder,
        }
    }

    /// Writes its configuration: what each server needs, and `lines`.
    pub(super) fn configure(&self, lines: &[String]) {
        let mut all = vec![
            format!("bind {}", self.port.address().ip()),
            format!("bind-source-addr {}", self.ip),
            format!("port {}", self.port.number()),
            format!("dir {}", self.folder.path().display()),
            "daemonize no".to_owned(),
        ];
        all.extend(
            self.tls
                .iter()
                .map(|port| format!("tls-port {}", port.number())),
        );
        if self.acl_file().exists() {
            all.push(format!("aclfile {}", self.acl_file().display()));
        }
        all.extend_from_slice(lines);
        fs::write(self.folder.path().join("redis.conf"), all.join("\n") + "\n")
            .expect("a configuration");
    }

    fn acl_file(&self) -> PathBuf {
        self.folder.path().join("users.acl")
    }

    /// Starts it, without waiting until it answers.
    pub(super) fn spawn(&self) {
        let mut process = self.process.lock().unwrap();
        if process.1.is_some() {
            return;
        }
        let mut command = Command::new(redis_server());
        command.current_dir(self.folder.path()).arg("redis.conf");
        if self.sentinel {
            command.arg("--sentinel");
        }
        let started = Process::start(&mut command, &self.folder.path().join("redis.log"));
        *process = (State::Running, Some(started));
    }

    /// Starts it, again if need be, with what its folder has, and waits until it answers. Its doors are open then.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    pub fn run(&self) {
        self.spawn();
        self.wait_until_up();
    }

    /// Waits until it answers.
    pub(super) fn wait_until_up(&self) {
        wait_for("redis-server to answer", PATIENCE, || {
            let ended = self
                .process
                .lock()
                .unwrap()
                .1
                .as_mut()
                .and_then(Process::ended);
            assert!(ended.is_none(), "redis-server ended: {}", self.log());
            let pong: RedisResult<String> = self.try_command(&["PING"]);
            pong.is_ok()
        });
        self.doors.iter().for_each(Proxy::listen);
    }

    /// Kills it (SIGKILL). What it held in memory is gone; new connections are refused.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Stops it in order (SIGTERM).
    pub fn stop(&self) {
        self.end(Signal::TERM);
    }

    fn end(&self, signal: Signal) {
        let mut process = self.process.lock().unwrap();
        if let Some(mut running) = process.1.take() {
            running.signal(Signal::CONT);
            running.stop(signal);
        }
        process.0 = State::Down;
        self.doors.iter().for_each(Proxy::stop_listening);
        drop(process);
        *self.connection.lock().unwrap() = None;
    }

    /// Lets it hang (SIGSTOP): connections are accepted by the kernel, nothing is answered.
    pub fn freeze(&self) {
        self.hang(State::Frozen, Signal::STOP);
    }

    /// Ends [`Server::freeze`].
    pub fn thaw(&self) {
        self.hang(State::Running, Signal::CONT);
    }

    fn hang(&self, state: State, signal: Signal) {
        let mut process = self.process.lock().unwrap();
        if let (now, Some(running)) = &mut *process {
            running.signal(signal);
            *now = state;
        }
    }

    /// Whether it runs, and isn't frozen.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.process.lock().unwrap().0 == State::Running
    }

    /// Where everybody reaches it, and what it announces: its own address, through its door. With TLS, if it has that.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.doors[usize::from(self.tls.is_some())].address()
    }

    /// Where it is reached in clear text, through its door.
    #[must_use]
    pub fn clear_address(&self) -> SocketAddr {
        self.doors[0].address()
    }

    /// Where it listens itself, in clear text: past its doors.
    #[must_use]
    pub fn direct_address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where it listens itself, past its doors; with TLS, if it has that.
    pub(super) fn direct_announced(&self) -> SocketAddr {
        self.tls.as_ref().unwrap_or(&self.port).address()
    }

    /// Its own address, without a port.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Its doors: in clear text, then TLS if it has that, then the cluster's bus.
    #[must_use]
    pub fn doors(&self) -> &[Proxy] {
        &self.doors
    }

    /// Those of its doors that clients use.
    pub(super) fn client_doors(&self) -> &[Proxy] {
        &self.doors[..=usize::from(self.tls.is_some())]
    }

    /// How many connections `peers` have to it, as clients.
    #[must_use]
    pub fn open(&self, peers: &Peers) -> usize {
        self.client_doors()
            .iter()
            .map(|door| door.open_for(peers))
            .sum()
    }

    /// The most connections that `peers` ever had to it, as clients.
    #[must_use]
    pub fn most_open(&self, peers: &Peers) -> usize {
        let doors = self.client_doors().iter();
        doors.map(|door| door.most_open_for(peers)).sum()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default()
    }

    /// A connection past its doors for the test's own use.
    pub fn connect(&self) -> RedisResult<Connection> {
        let direct = self.port.address();
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(login) = &self.login {
            settings = settings.set_password(&login.password);
            if let Some(user) = &login.user {
                settings = settings.set_username(user);
            }
        }
        let address = ConnectionAddr::Tcp(direct.ip().to_string(), direct.port());
        let info = address.into_connection_info()?.set_redis_settings(settings);
        let connection = redis::Client::open(info)?.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        Ok(connection)
    }

    /// Runs one command.
    ///
    /// # Panics
    ///
    /// If it can't be reached or answers with an error.
    #[track_caller]
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        match self.try_command(words) {
            Ok(value) => value,
            Err(error) => panic!("{}: {words:?}: {error}", self.address()),
        }
    }

    /// Runs one command and gives Redis's error, if it is one.
    pub fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.query(|connection| command.query(connection))
    }

    /// Runs commands on a connection that is kept for that.
    pub fn query<T>(&self, run: impl FnOnce(&mut Connection) -> RedisResult<T>) -> RedisResult<T> {
        if self.process.lock().unwrap().0 == State::Frozen {
            return Err(RedisError::from((ErrorKind::Io, "the server is frozen")));
        }
        let kept = self.connection.lock().unwrap().take();
        let mut connection = kept.map_or_else(|| self.connect(), Ok)?;
        let result = run(&mut connection);
        let lost = result.as_ref().is_err_and(RedisError::is_io_error);
        if !lost {
            *self.connection.lock().unwrap() = Some(connection);
        }
        result
    }

    /// The value of a line of INFO: `info("replication", "role")`; empty if there is none.
    #[must_use]
    pub fn info(&self, section: &str, name: &str) -> String {
        let info: String = self.try_command(&["INFO", section]).unwrap_or_default();
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().to_owned()
    }

    /// How often `command` (in lower case; of a container `cluster|slots`) was carried out.
    ///
    /// # Panics
    ///
    /// If the server is frozen or dead: none would look like a count.
    #[must_use]
    #[track_caller]
    pub fn calls(&self, command: &str) -> usize {
        assert!(self.is_well(), "a server that is frozen or dead can't say");
        let stats = self.info("commandstats", &format!("cmdstat_{command}"));
        let calls = stats
            .strip_prefix("calls=")
            .and_then(|rest| rest.split(',').next());
        calls.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// The clients that it has now, the bed's own and other servers among them: INFO clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.info("clients", "connected_clients")
            .parse()
            .unwrap_or(0)
    }

    /// Whether it says that it is a master.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.is_well() && self.info("replication", "role") == "master"
    }

    /// Its keys, sorted; none if it can't be asked.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.try_command(&["KEYS", "*"]).unwrap_or_default();
        keys.sort();
        keys
    }
}
