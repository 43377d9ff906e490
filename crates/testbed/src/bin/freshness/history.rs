//! What each record was, and since when it is something else.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A change of a record.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// When Redis had it: the writer had the reply.
    at: Instant,
    /// How much later the last request came that got an older version.
    late: Duration,
}

/// The changes of a record. The version of a record is the number of its change.
#[derive(Debug, Default)]
pub struct History(Mutex<Vec<Change>>);

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The latest version that Redis had when the request came, or a later one.
    Current,
    /// One that had been superseded for so long when the request came.
    Old(Duration),
    /// None that there is.
    Unknown,
}

impl History {
    /// How many changes there were: the number of the next.
    pub fn next(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// A change is made from this time on.
    pub fn changed(&self, at: Instant) {
        let late = Duration::ZERO;
        self.0.lock().unwrap().push(Change { at, late });
    }

    /// Judges an answer with this version to a request that came at this time.
    pub fn judge(&self, version: usize, came: Instant) -> Answer {
        let mut changes = self.0.lock().unwrap();
        // The writer may not have its reply yet.
        if version > changes.len() {
            return Answer::Unknown;
        }
        let Some(next) = changes.get_mut(version + 1) else {
            return Answer::Current;
        };
        match came.checked_duration_since(next.at) {
            Some(late) if !late.is_zero() => {
                next.late = next.late.max(late);
                Answer::Old(late)
            }
            _ => Answer::Current,
        }
    }

    /// For each change how late the last request came that got an older version.
    pub fn lateness(&self) -> Vec<Duration> {
        let changes = self.0.lock().unwrap();
        changes.iter().map(|change| change.late).collect()
    }
}
