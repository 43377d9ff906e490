//! The log of purges as a server of the store keeps it: what its scripts do with it.

use std::collections::BTreeMap;

use cache_core::purge::number::{Known, next};
use cache_core::purge::{Entry, Member, Mode};

/// How many members are read at once. As in the module, more than may have one number.
pub const PAGE: usize = 8;

/// How many members are put back at once.
pub const RESTORED: usize = 3;

/// How many members one purge drops at most to make room.
const DROPPED: usize = 2;

/// Members with their numbers.
pub type Members = Vec<(Vec<u8>, u64)>;

/// A server.
#[derive(Clone, Default)]
pub struct Server {
    pub name: u64,
    /// The log: members by their texts.
    pub log: BTreeMap<Vec<u8>, u64>,
    /// How far its clock is off, in seconds.
    pub clock: u64,
}

impl Server {
    /// The highest number.
    pub fn last(&self) -> u64 {
        self.log.values().copied().max().unwrap_or_default()
    }

    fn own(&self) -> Vec<u8> {
        Member::Server(self.name.to_string().as_bytes()).encode()
    }

    fn number_of(&self, member: &[u8]) -> u64 {
        self.log.get(member).copied().unwrap_or_default()
    }

    /// Gives a number. `sender`: the highest that the sender knows.
    fn give(&self, sender: u64, now: u64) -> u64 {
        let last = self.last();
        let number = next(Known {
            last,
            is_same_server: last > 0 && self.number_of(&self.own()) == last,
            seconds: self.clock + now / 1000,
            sender,
        });
        number.expect("numbers are left")
    }

    /// Puts entries into the log, and drops the oldest of all beyond `most`. Gives their number.
    pub fn add(&mut self, entries: &[Entry], sender: u64, now: u64, most: usize) -> u64 {
        let number = self.give(sender, now);
        for entry in entries {
            self.log.insert(entry.encode(), number);
        }
        if self.log.len() > most {
            self.drop_oldest(number);
        }
        self.log.insert(self.own(), number);
        number
    }

    fn drop_oldest(&mut self, below: u64) {
        let mut old = self.page(1, usize::MAX);
        old.retain(|(_, number)| *number < below);
        let mut floors = BTreeMap::new();
        for (member, number) in old.into_iter().take(DROPPED) {
            match Member::parse(&member) {
                Member::Entry(Entry { mode, .. }) | Member::Floor(mode) => {
                    floors.insert(mode.as_str(), (mode, number));
                }
                Member::Server(_) => {}
                Member::Unknown => panic!("nobody has written {member:?}"),
            }
            self.log.remove(&member);
        }
        for (mode, number) in floors.into_values() {
            let floor = self.log.entry(Member::Floor(mode).encode()).or_default();
            *floor = number.max(*floor);
        }
    }

    /// Puts back what isn't there, by a new number. Gives it, or 0.
    pub fn restore(&mut self, members: &Members, sender: u64, now: u64) -> u64 {
        let number = self.give(sender, now);
        let hard = self.number_of(&Member::Floor(Mode::Hard).encode());
        let soft = hard.max(self.number_of(&Member::Floor(Mode::Soft).encode()));
        let mut is_lost = false;
        for (member, own) in members {
            let (is_floor, mode) = match Member::parse(member) {
                Member::Entry(entry) => (false, entry.mode),
                Member::Floor(mode) => (true, mode),
                other => panic!("{other:?} is put back"),
            };
            let dropped = if mode == Mode::Soft { soft } else { hard };
            if self.number_of(member) < *own && *own > dropped {
                let number = if is_floor { *own } else { number };
                self.log.insert(member.clone(), number);
                is_lost |= !is_floor;
            }
        }
        if !is_lost {
            return 0;
        }
        self.log.insert(self.own(), number);
        number
    }

    /// The first `most` members from a number on, by their numbers.
    pub fn page(&self, from: u64, most: usize) -> Members {
        let all = self.log.iter().filter(|(_, number)| **number >= from);
        let mut all: Members = all.map(|(m, number)| (m.clone(), *number)).collect();
        all.sort_by(|(a, m), (b, n)| (m, a).cmp(&(n, b)));
        all.truncate(most);
        all
    }
}
