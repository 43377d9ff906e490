//! A server's log file.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::wait::eventually;

/// A log file that grows.
#[derive(Debug, Clone)]
pub struct Log {
    path: PathBuf,
}

/// A place in a [`Log`]: what stands behind it was written later.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position(usize);

impl Log {
    /// The log at `path`, which needn't exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Log {
        Log { path }
    }

    /// Its end as of now.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.read().len())
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.since(Position::default())
    }

    /// The lines written after `position`.
    #[must_use]
    pub fn since(&self, position: Position) -> Vec<String> {
        let bytes = self.read();
        let text = String::from_utf8_lossy(bytes.get(position.0..).unwrap_or_default());
        text.lines().map(str::to_owned).collect()
    }

    /// The lines after `position` that contain `needle`.
    #[must_use]
    pub fn matching(&self, position: Position, needle: &str) -> Vec<String> {
        let mut lines = self.since(position);
        lines.retain(|line| line.contains(needle));
        lines
    }

    /// The lines after `position` that an operator would be alarmed by: `warn` and worse.
    #[must_use]
    pub fn serious(&self, position: Position) -> Vec<String> {
        let levels = ["[warn]", "[error]", "[crit]", "[alert]", "[emerg]"];
        let mut lines = self.since(position);
        lines.retain(|line| levels.iter().any(|level| line.contains(level)));
        lines
    }

    /// Waits for a line after `position` that contains `needle`.
    #[must_use]
    pub fn wait_for(&self, position: Position, needle: &str, within: Duration) -> Option<String> {
        eventually(within, || {
            self.matching(position, needle).into_iter().next()
        })
    }

    /// The last `count` lines, for messages.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    fn read(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap_or_default()
    }
}
