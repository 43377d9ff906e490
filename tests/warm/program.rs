//! The program, in a folder with lists and sitemaps for it.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testbed::workspace;

/// What a run has given.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub printed: String,
    /// Standard error.
    pub said: String,
}

impl Run {
    /// The summary, of a run with `--json`.
    #[track_caller]
    pub fn told(&self) -> Value {
        let told = serde_json::from_str(&self.printed);
        told.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Of a child that has ended.
    pub fn of(child: Child) -> Run {
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().expect("an exit code"),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A temporary folder in which the program is run.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(TempDir::with_prefix("testbed-warm-").unwrap())
    }

    /// One with a list of these paths at a server: `list`.
    pub fn with_list(server: SocketAddr, paths: &[&str]) -> Folder {
        let folder = Folder::new();
        let lines = paths.iter().map(|path| format!("http://{server}{path}\n"));
        folder.write("list", lines.collect::<String>());
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a file there.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// A command of this program and its arguments, in whose place the program is to stand at their end.
    pub fn command(&self, before: &[&str], arguments: &[&str]) -> Command {
        let mut words = before.iter().chain(&["python3", "-B"]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg(program())
            .args(arguments)
            .current_dir(self.path())
            .env("TERM", "xterm")
            .env_remove("SSL_CERT_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the program.
    pub fn start(&self, before: &[&str], arguments: &[&str]) -> Child {
        let child = self.command(before, arguments).spawn();
        child.expect("python3, of the Debian package python3")
    }

    /// Runs the program.
    pub fn warm(&self, arguments: &[&str]) -> Run {
        Run::of(self.start(&[], arguments))
    }

    /// Runs it with this standard input.
    pub fn warm_with(&self, input: &[u8], arguments: &[&str]) -> Run {
        let mut command = self.command(&[], arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // It may have read enough.
        let _ = pipe.write_all(input);
        drop(pipe);
        Run::of(child)
    }
}

fn program() -> PathBuf {
    fs::canonicalize(workspace().join("contrib/warm")).unwrap()
}

/// What gzip makes of this.
pub fn gzipped(plain: &[u8]) -> Vec<u8> {
    let folder = TempDir::with_prefix("testbed-warm-").unwrap();
    let file = folder.path().join("plain");
    fs::write(&file, plain).unwrap();
    let output = Command::new("gzip").arg("-c").arg(file).output();
    let output = output.expect("gzip");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}
