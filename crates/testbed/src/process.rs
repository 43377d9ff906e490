//! A server process: started in the foreground, known by its id, stopped when dropped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::vitals::Vitals;
use crate::wait::{PATIENCE, eventually, wait_for};

/// How long a server may take to stop before it is killed.
const STOPPING: Duration = Duration::from_secs(10);

static APART: AtomicBool = AtomicBool::new(false);

/// Servers started from now on don't get the terminal's Ctrl-C: who starts them will stop them.
///
/// For programs that handle the signal. A test that doesn't should let it reach its servers too.
pub fn keep_ctrl_c_from_servers() {
    APART.store(true, Ordering::Relaxed);
}

/// A child process, and with it the children it started itself.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with its output appended to `output`.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn start(command: &mut Command, output: &Path) -> Process {
        let out = File::options()
            .create(true)
            .append(true)
            .open(output)
            .expect("a file for output");
        let err = out.try_clone().expect("a second handle");
        // nginx takes a variable of this name for sockets it inherits.
        command
            .env_remove("NGINX")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        if APART.load(Ordering::Relaxed) {
            command.process_group(0);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = Pid::from_child(&child);
        Process {
            child,
            pid,
            ended: None,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child of ours");
        }
        self.ended
    }

    /// Sends `signal`, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end, `None` if it still runs after `within`.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        eventually(within, || self.ended())
    }

    /// The children it started: an nginx master's workers.
    #[must_use]
    pub fn children(&self) -> Vec<i32> {
        let id = self.id();
        let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        list.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// Sends `signal` to one of its children; `false` if `pid` isn't one.
    pub fn signal_child(&self, pid: i32, signal: Signal) -> bool {
        self.children().contains(&pid) && send(pid, signal)
    }

    /// Stops one of its children until what this returns is dropped; `None` if `pid` isn't one.
    #[must_use]
    pub fn freeze_child(&self, pid: i32) -> Option<Frozen> {
        let frozen = self
            .signal_child(pid, Signal::STOP)
            .then_some(Frozen(pid))?;
        wait_for("a process to stop", PATIENCE, || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind its name, which is in parentheses.
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" T"))
        });
        Some(frozen)
    }

    /// Leaves one of its children `kilobytes` of memory beside what it has mapped; `None` lifts the limit. `false` if
    /// `pid` isn't a child.
    pub fn limit_child(&self, pid: i32, kilobytes: Option<u64>) -> bool {
        let Some(vitals) = Vitals::of(pid).filter(|_| self.children().contains(&pid)) else {
            return false;
        };
        let limit = Rlimit {
            current: kilobytes.map(|more| (vitals.mapped + more) * 1024),
            maximum: None,
        };
        prlimit(Pid::from_raw(pid), Resource::As, limit).is_ok()
    }

    /// Asks it to stop by `signal`, kills it if it doesn't, and says how it ended.
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        if let Some(status) = self.wait(STOPPING) {
            return status;
        }
        // A killed nginx master leaves its workers behind.
        let children = self.children();
        self.signal(Signal::KILL);
        for pid in children {
            let _ = send(pid, Signal::KILL);
        }
        self.child.wait().expect("a child of ours")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::CONT);
            self.stop(Signal::TERM);
        }
    }
}

/// A process that is stopped. It goes on when this is dropped.
#[derive(Debug)]
pub struct Frozen(i32);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = send(self.0, Signal::CONT);
    }
}

fn send(pid: i32, signal: Signal) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}
