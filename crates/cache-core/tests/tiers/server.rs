//! A Redis server: what it holds, what it has held, and whom it tells.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cache_core::cluster::{SLOTS, Slot};

use crate::tier::Value;

/// A server, by its number.
pub type Id = usize;
/// A connection, by its number.
pub type Conn = u64;

/// What is pushed in the next turn of the server's loop.
#[derive(Default)]
pub struct Telling {
    pub tracks: bool,
    pub subscribed: bool,
    pub resp3: bool,
    pub keys: BTreeSet<String>,
}

pub struct Server {
    data: BTreeMap<String, (Value, u64)>,
    /// What the other database has.
    other: BTreeMap<String, (Value, u64)>,
    /// For each key, what it was from when on.
    history: HashMap<String, Vec<(u64, Option<Value>)>>,
    pub up: bool,
    pub frozen: u64,
    pub is_master: bool,
    pub tellings: BTreeMap<Conn, Telling>,
    pub flushing: bool,
    /// Slots that it answers for, where they aren't those of the plan.
    pub moved: HashMap<u16, bool>,
    pub epoch: u64,
    /// Counts demotions: what is still on its way from the former master isn't applied.
    pub link: u64,
}

impl Server {
    pub fn new(is_master: bool) -> Self {
        Self {
            data: BTreeMap::new(),
            other: BTreeMap::new(),
            history: HashMap::new(),
            up: true,
            frozen: 0,
            is_master,
            tellings: BTreeMap::new(),
            flushing: false,
            moved: HashMap::new(),
            epoch: 1,
            link: 0,
        }
    }

    /// What a lookup finds: the number of the write, and when it expires.
    pub fn get(&self, key: &str, now: u64) -> Option<(Value, u64)> {
        let found = self.data.get(key).copied();
        found.filter(|(_, expires)| *expires > now)
    }

    /// What is there, expired or not.
    pub fn raw(&self, key: &str) -> Option<(Value, u64)> {
        self.data.get(key).copied()
    }

    pub fn keys(&self) -> Vec<String> {
        self.data.keys().cloned().collect()
    }

    /// A key is something else from now on.
    pub fn set(&mut self, key: &str, record: Option<(Value, u64)>, now: u64) {
        let history = self.history.entry(key.to_owned()).or_default();
        // What was to expire later than now didn't.
        if let Some((_, expires)) = self.data.get(key)
            && *expires > now
            && let Some((time, None)) = history.last()
            && *time == *expires
        {
            history.pop();
        }
        match record {
            Some((value, expires)) => {
                history.push((now, Some(value)));
                history.push((expires, None));
                self.data.insert(key.to_owned(), (value, expires));
            }
            None => {
                history.push((now, None));
                self.data.remove(key);
            }
        }
    }

    /// The other database takes the place of this one.
    pub fn swap(&mut self, now: u64) {
        let (here, there) = (self.data.clone(), std::mem::take(&mut self.other));
        for key in here.keys().chain(there.keys()) {
            let record = there.get(key).copied();
            self.set(key, record.filter(|(_, expires)| *expires > now), now);
        }
        self.other = here;
    }

    /// Whether a key was of this value at any time of a period, its ends included.
    pub fn had(&self, key: &str, value: Value, from: u64, to: u64) -> bool {
        let Some(history) = self.history.get(key) else {
            return false;
        };
        history.iter().enumerate().any(|(index, (begin, what))| {
            let end = history.get(index + 1).map_or(u64::MAX, |(end, _)| *end);
            *what == Some(value) && *begin <= to && end >= from
        })
    }

    pub fn serves(&self, now: u64) -> bool {
        self.up && self.frozen <= now
    }

    /// Whether it answers for a slot that the plan gives it, or not.
    pub fn owns(&self, slot: Slot, planned: bool) -> bool {
        self.moved.get(&slot.number()).copied().unwrap_or(planned)
    }
}

/// The master that the plan gives a slot to.
pub fn planned(slot: Slot, masters: usize) -> Id {
    slot.index() * masters / SLOTS
}

/// The slots that the plan gives a server: the first and the last.
pub fn bounds(id: Id, masters: usize) -> (u16, u16) {
    let begin = (id * SLOTS).div_ceil(masters);
    let end = ((id + 1) * SLOTS).div_ceil(masters);
    (begin as u16, end as u16 - 1)
}
