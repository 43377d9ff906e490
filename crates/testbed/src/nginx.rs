//! A real nginx: master, workers and a prefix of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getuid};
use tempfile::TempDir;

use crate::client::Client;
use crate::conf::Conf;
use crate::log::{Log, Position};
use crate::places::{module, nginx_binary};
use crate::process::{Frozen, Process};
use crate::wait::{PATIENCE, eventually, wait_for};

/// What a graceful end may take before a test that has its result goes on less gracefully.
const QUIT: Duration = Duration::from_secs(2);

/// What no test may leave in the error log, unless it says so by [`Nginx::allow`].
const FORBIDDEN: [&str; 4] = ["[alert]", "[emerg]", "panicked", "AddressSanitizer"];

/// A running nginx. Its end, by [`Nginx::finish`] or by being dropped, checks the error log.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    log: Log,
    allowed: Vec<String>,
    checked: bool,
    folder: TempDir,
}

impl Nginx {
    /// Starts nginx by `conf`, which listens at `address`, and waits until it does.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    #[must_use]
    #[track_caller]
    pub fn start(conf: &Conf, address: SocketAddr) -> Nginx {
        match Nginx::try_start(conf, address) {
            Ok(nginx) => nginx,
            Err(log) => panic!("nginx doesn't start:\n{log}\n{}", conf.text()),
        }
    }

    /// Starts nginx with these variables in its environment.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    #[must_use]
    #[track_caller]
    pub fn start_in(environment: &[(&str, &Path)], conf: &Conf, address: SocketAddr) -> Nginx {
        match Nginx::launch(conf, address, environment) {
            Ok(nginx) => nginx,
            Err(log) => panic!("nginx doesn't start:\n{log}\n{}", conf.text()),
        }
    }

    /// Starts nginx, or gives what it says instead.
    pub fn try_start(conf: &Conf, address: SocketAddr) -> Result<Nginx, String> {
        Nginx::launch(conf, address, &[])
    }

    /// What `nginx -t` says of a configuration that it refuses. `files` lie beside it, with these contents.
    ///
    /// # Panics
    ///
    /// If nginx can't be run.
    pub fn refuses(conf: &Conf, files: &[(&str, &str)]) -> Option<String> {
        let folder = prefix(conf);
        write_conf(folder.path(), conf);
        for (name, text) in files {
            fs::write(folder.path().join("conf").join(name), text).expect("a file");
        }
        let output = command(folder.path()).arg("-t").output().expect("nginx -t");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(said)
    }

    fn launch(
        conf: &Conf,
        address: SocketAddr,
        environment: &[(&str, &Path)],
    ) -> Result<Nginx, String> {
        let folder = prefix(conf);
        let prefix = folder.path();
        write_conf(prefix, conf);
        let log = Log::new(prefix.join("logs/error.log"));
        let mut command = command(prefix);
        command.envs(environment.iter().copied());
        let process = Process::start(&mut command, &prefix.join("logs/output.log"));
        let mut nginx = Nginx {
            process,
            address,
            log,
            allowed: Vec::new(),
            checked: false,
            folder,
        };
        let up = eventually(PATIENCE, || match nginx.process.ended() {
            Some(_) => Some(false),
            None => nginx.is_up().then_some(true),
        });
        if up == Some(true) {
            return Ok(nginx);
        }
        nginx.checked = true;
        let output =
            fs::read_to_string(nginx.folder.path().join("logs/output.log")).unwrap_or_default();
        Err(format!("{output}{}", nginx.log.tail(20)))
    }

    fn is_up(&self) -> bool {
        self.workers().len() >= self.configured_workers()
            && TcpStream::connect(self.address).is_ok()
    }

    /// How many workers the configuration asks for.
    fn configured_workers(&self) -> usize {
        let conf = fs::read_to_string(self.folder.path().join("conf/nginx.conf"));
        let conf = conf.unwrap_or_default();
        let directive = conf
            .lines()
            .find_map(|line| line.trim().strip_prefix("worker_processes"));
        let number = directive.map(|rest| rest.trim().trim_end_matches(';').parse());
        number.and_then(Result::ok).unwrap_or(1)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Its prefix: `conf`, `logs`, `temp` lie there.
    #[must_use]
    pub fn prefix(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The error log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The process ids of its workers.
    #[must_use]
    pub fn workers(&self) -> Vec<i32> {
        self.process.children()
    }

    /// Another configuration, for the next reload.
    pub fn rewrite(&self, conf: &Conf) {
        write_conf(self.folder.path(), conf);
    }

    /// SIGHUP. Waits for the new workers; gives the old ones, which may still be at work.
    ///
    /// # Panics
    ///
    /// If no new worker starts.
    #[track_caller]
    pub fn reload(&mut self) -> Vec<i32> {
        let old = self.workers();
        let position = self.log.end();
        self.process.signal(Signal::HUP);
        let new = eventually(PATIENCE, || {
            let workers = self.workers();
            let new = workers.iter().filter(|pid| !old.contains(pid)).count();
            (new >= self.configured_workers()).then_some(())
        });
        assert!(new.is_some(), "no reload: {:?}", self.log.since(position));
        old
    }

    /// SIGHUP with a configuration that nginx refuses. Waits for its line at `emerg` and gives it; the workers are those
    /// that were.
    ///
    /// # Panics
    ///
    /// If nginx doesn't refuse it.
    #[track_caller]
    pub fn reload_in_vain(&mut self) -> String {
        let (old, position) = (self.workers(), self.log.end());
        self.process.signal(Signal::HUP);
        let refused = self.log.wait_for(position, "[emerg]", PATIENCE);
        let line = refused.unwrap_or_else(|| panic!("reloaded: {:?}", self.log.since(position)));
        assert_eq!(self.workers(), old, "{line}");
        self.allow(&line);
        line
    }

    /// Waits until none of `workers` runs any more; gives how long that took.
    #[track_caller]
    pub fn wait_for_exit(&self, workers: &[i32], within: Duration) -> Duration {
        wait_for("the exit of workers", within, || {
            let left = self.workers();
            !workers.iter().any(|pid| left.contains(pid))
        })
    }

    /// Kills one worker. The master starts another, and the log says so at `alert`.
    ///
    /// # Panics
    ///
    /// If `worker` isn't one of its workers.
    #[track_caller]
    pub fn kill_worker(&mut self, worker: i32) {
        self.allow("exited on signal 9");
        // The master unlocks the zones of a dead worker, and says so.
        self.allow("shared memory zone");
        assert!(
            self.process.signal_child(worker, Signal::KILL),
            "no worker {worker}"
        );
    }

    /// Tells one worker to end at once (SIGTERM). The master starts another.
    ///
    /// # Panics
    ///
    /// If `worker` isn't one of its workers.
    #[track_caller]
    pub fn terminate_worker(&mut self, worker: i32) {
        // What nginx says of the connections that it then cuts is no fault.
        self.allow("open socket");
        assert!(
            self.process.signal_child(worker, Signal::TERM),
            "no worker {worker}"
        );
    }

    /// Stops one worker (SIGSTOP), which lives on and does nothing, until what this returns is dropped.
    ///
    /// # Panics
    ///
    /// If `worker` isn't one of its workers.
    #[must_use]
    #[track_caller]
    pub fn freeze_worker(&self, worker: i32) -> Frozen {
        let frozen = self.process.freeze_child(worker);
        frozen.unwrap_or_else(|| panic!("no worker {worker}"))
    }

    /// Leaves one worker `kilobytes` of memory beside what it has mapped; `None` lifts the limit.
    ///
    /// # Panics
    ///
    /// If `worker` isn't one of its workers.
    #[track_caller]
    pub fn starve(&mut self, worker: i32, kilobytes: Option<u64>) {
        // What nginx says then is no fault.
        self.allow("Cannot allocate memory");
        assert!(
            self.process.limit_child(worker, kilobytes),
            "no worker {worker}"
        );
    }

    /// SIGQUIT: ends once all requests are answered. Doesn't wait.
    pub fn quit(&mut self) {
        self.process.signal(Signal::QUIT);
    }

    /// SIGTERM: ends at once, whatever is under way. Doesn't wait.
    pub fn terminate(&mut self) {
        // What nginx says of the sockets it then leaves is no fault.
        self.allow("open socket");
        self.process.signal(Signal::TERM);
    }

    /// Waits for the end after [`Nginx::quit`] or [`Nginx::terminate`].
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        self.process.wait(within)
    }

    /// Log lines that contain `needle` are expected by the test.
    pub fn allow(&mut self, needle: &str) {
        self.allowed.push(needle.to_owned());
    }

    /// Ends it and checks the error log.
    ///
    /// # Panics
    ///
    /// If there is an `[alert]`, `[emerg]` or panic that the test doesn't allow.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.checked {
            return;
        }
        self.checked = true;
        self.process.signal(Signal::QUIT);
        if self.process.wait(QUIT).is_none() {
            // Requests still hang: what nginx then says about open sockets is the test's doing.
            self.allow("open socket");
            self.process.stop(Signal::TERM);
        }
        if thread::panicking() {
            eprintln!("nginx's error log:\n{}", self.log.tail(40));
            return;
        }
        let mut bad = self.log.since(Position::default());
        bad.retain(|line| FORBIDDEN.iter().any(|word| line.contains(word)));
        bad.retain(|line| !self.allowed.iter().any(|needle| line.contains(needle)));
        assert!(bad.is_empty(), "nginx's error log:\n{}", bad.join("\n"));
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(prefix: &Path) -> Command {
    let place = |name: &str| prefix.join(name).display().to_string();
    let mut globals = format!("daemon off; pid {};", place("logs/nginx.pid"));
    if getuid().is_root() {
        // Workers of another user couldn't enter the prefix.
        globals.push_str(" user root;");
    }
    let mut command = Command::new(nginx_binary());
    command.arg("-p").arg(prefix);
    command.args([
        "-c",
        &place("conf/nginx.conf"),
        "-e",
        &place("logs/error.log"),
        "-g",
        &globals,
    ]);
    command
}

/// A prefix for this configuration.
fn prefix(conf: &Conf) -> TempDir {
    let folder = TempDir::with_prefix("testbed-nginx-").expect("a temporary folder");
    for name in ["conf", "logs", "temp", "modules"] {
        fs::create_dir(folder.path().join(name)).expect("a folder in the prefix");
    }
    if conf.text().contains("load_module") {
        let link = folder.path().join("modules/ngx_http_redis_cache_module.so");
        symlink(module(), link).expect("a link to the module");
    }
    folder
}

fn write_conf(prefix: &Path, conf: &Conf) {
    fs::write(prefix.join("conf/nginx.conf"), conf.confined()).expect("an nginx.conf");
}
