//! The program, and folders with configurations for it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// A temporary folder with a configuration in it.
pub struct Folder(TempDir);

impl Folder {
    /// One with these files.
    pub fn with(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(TempDir::with_prefix("testbed-migrate-").unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    /// One with what another folder has.
    pub fn copy_of(other: &Path) -> Folder {
        let folder = Folder::with(&[]);
        for name in files_of(other) {
            folder.write(&name, &fs::read(other.join(&name)).unwrap());
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a file there.
    pub fn write(&self, name: &str, text: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs the program there.
    pub fn migrate(&self, arguments: &[&str]) -> Run {
        let output = Command::new("python3")
            .arg("-B")
            .arg(program())
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("python3, of the Debian package python3");
        Run {
            code: output.status.code().unwrap(),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies a diff, as people would.
    pub fn patch(&self, diff: &str) {
        let mut child = Command::new("patch")
            .args(["-p1", "--quiet"])
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("patch");
        let mut input = child.stdin.take().unwrap();
        input.write_all(diff.as_bytes()).unwrap();
        drop(input);
        assert!(child.wait().unwrap().success(), "{diff}");
    }
}

fn program() -> PathBuf {
    fs::canonicalize(workspace().join("contrib/migrate")).unwrap()
}

/// The names of all files below a folder, in order.
pub fn files_of(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                names.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}
