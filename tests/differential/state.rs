//! What the cache does when a case is asked.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is stored yet.
    Miss,
    /// Several at once, nothing is stored yet.
    Joined,
    /// The answer may not be stored.
    Skip,
    /// After [`State::Miss`].
    Hit,
    /// The record's 1 s have passed.
    Stale,
}

impl State {
    /// What stands in the target: the backend answers by it, and states that follow each other share a record.
    pub fn target_word(self) -> &'static str {
        match self {
            State::Miss | State::Hit => "miss",
            State::Joined => "joined",
            State::Skip => "skip",
            State::Stale => "stale",
        }
    }
}
