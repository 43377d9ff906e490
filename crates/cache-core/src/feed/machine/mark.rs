//! The mark of a database: the last canary, which stays where it is. Nothing tells of SWAPDB, but another database has no such
//! key.

use bytes::Bytes;

use super::{Effect, Feed, Owed, Source};
use crate::feed::refusal::Refusal;
use crate::resp::Reply;

/// So many marks in a row may be evicted. Each costs all that the tier has of the server.
const EVICTED: u32 = 3;

/// What is known of the mark.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// The key that the database has, unless it is another one by now.
    key: Option<Bytes>,
    /// A key that is being written.
    written: Option<Bytes>,
    /// So many in a row have been evicted.
    evicted: u32,
    /// It isn't to be had.
    is_given_up: bool,
}

impl Mark {
    /// Whether this is its key.
    pub fn is(&self, key: &[u8]) -> bool {
        self.key.as_ref().is_some_and(|known| known == key)
    }

    /// There is none any more, and that is known to be no other database, or all is void already.
    pub fn forget(&mut self) {
        self.key = None;
    }

    /// A canary is written.
    pub fn write(&mut self, key: &Bytes) {
        self.written = Some(key.clone());
    }

    /// A canary wasn't written.
    pub fn refused(&mut self) {
        self.written = None;
    }
}

impl Feed {
    /// Whether a new canary is needed, as the database has no mark.
    pub(super) fn is_unmarked(&self) -> bool {
        self.is_marking() && self.peer.mark.key.is_none() && self.peer.mark.written.is_none()
    }

    /// A Redis Cluster has one database. With messages the epoch is raised often enough.
    fn is_marking(&self) -> bool {
        self.source == Source::Tracking
            && self.settings.slots.is_none()
            && !self.peer.mark.is_given_up
    }

    /// Asks whether the database is the one that it was. This goes behind a canary, and before PING: a database that has the
    /// former mark has the new one, too.
    pub(super) fn ask_for_mark(&mut self, effects: &mut Vec<Effect>) {
        if !self.is_marking() {
            return;
        }
        if let Some(key) = self.peer.mark.key.clone() {
            self.send(Owed::Mark, &[b"EXISTS", &key], effects);
        }
    }

    /// The canary is written: it is the mark from now on.
    pub(super) fn marked(&mut self, effects: &mut Vec<Effect>) {
        let Some(key) = self.peer.mark.written.take() else {
            return;
        };
        if !self.is_marking() {
            return;
        }
        match self.peer.mark.key.replace(key) {
            Some(_) => self.peer.mark.evicted = 0,
            // What was looked up before may be of another database.
            None => effects.push(Effect::RaiseEpoch),
        }
    }

    /// Takes the reply to EXISTS.
    pub(super) fn mark_seen(&mut self, reply: &Reply, effects: &mut Vec<Effect>) {
        if *reply != Reply::Integer(1) {
            self.peer.mark.forget();
            effects.push(Effect::RaiseEpoch);
        }
    }

    /// The mark is gone, and that was told: it was evicted, or somebody has deleted it. Which database is there isn't known
    /// until the next one is written.
    pub(super) fn mark_removed(&mut self, effects: &mut Vec<Effect>) {
        self.peer.mark.forget();
        self.peer.mark.evicted += 1;
        if self.peer.mark.evicted >= EVICTED {
            let reason = "the server evicts the key by which it would be noticed";
            self.give_up_marks(reason, effects);
        }
    }

    pub(super) fn mark_refused(&mut self, refusal: &Refusal, effects: &mut Vec<Effect>) {
        if let Refusal::Never(words) = refusal {
            let reason = format!("\"{words}\"; the user needs +exists");
            self.give_up_marks(&reason, effects);
        }
    }

    fn give_up_marks(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        self.peer.mark.is_given_up = true;
        self.peer.mark.forget();
        self.trouble.unmarked(reason, effects);
    }
}
