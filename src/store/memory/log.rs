//! The log of purges of a store in shared memory alone (see [`cache_core::purge`]): its workers share it, as a list of members by
//! their numbers.

use std::cell::{Cell, RefCell};

use cache_core::purge::number::{Known, next, parse};
use cache_core::purge::{Entry, Labels, Log, Member, Mode, Purged, Selector, Verdict};

use crate::ngx::event::{exact_msec, now_sec};
use crate::shm::StoreState;
use crate::shm::process::{pid, yield_now};

/// Bytes that the list takes at most.
pub const ROOM: usize = 256 << 10;

/// How long a worker may take to write it, in milliseconds. One that has died is waited for no longer.
const LEASE: u64 = 100;

/// How often another worker's write is waited for: a write takes less than a millisecond.
const TRIES: u32 = 1000;

/// The log, as one worker knows it.
pub struct OwnLog {
    state: &'static StoreState,
    /// The version of the list that was read last.
    version: Cell<u64>,
    log: RefCell<Log>,
}

impl OwnLog {
    /// The log of a store.
    pub fn new(state: &'static StoreState) -> OwnLog {
        OwnLog {
            state,
            version: Cell::new(0),
            log: RefCell::default(),
        }
    }

    /// The last number. 0: none.
    pub fn last(&self) -> u64 {
        self.state.purges.last()
    }

    /// What the purges mean for a record with this number and this field `labels`.
    pub fn judge(&self, number: u64, labels: Option<&[u8]>) -> Verdict {
        self.update();
        let labels = labels.and_then(Labels::parse);
        self.log.borrow().judge(number, labels.as_ref())
    }

    /// Puts purges into the log, which hold for all workers once this has returned. `None`: other workers are always first.
    pub fn add(&self, entries: &[Entry]) -> Option<Purged> {
        let lease = &self.state.watch;
        let who = u32::try_from(pid()).unwrap_or_default();
        let held = (0..TRIES).find_map(|_| {
            let held = lease.take(who, exact_msec(), LEASE);
            if held.is_none() {
                yield_now();
            }
            held
        });
        let held = held?;
        let purged = self.write(entries);
        lease.release(held);
        purged
    }

    fn write(&self, entries: &[Entry]) -> Option<Purged> {
        let mut is_certain = true;
        for _ in 0..TRIES {
            let version = self.state.version();
            if self.version.get() != version {
                self.read();
            }
            let last = self.last();
            let mut log = self.log.borrow().clone();
            log.complete(last);
            let number = next(Known {
                last,
                is_same_server: true,
                seconds: now_sec(),
                sender: 0,
            })?;
            for entry in entries {
                log.add(entry, number);
            }
            if !is_certain {
                let all = Entry {
                    mode: Mode::Hard,
                    selector: Selector::all(),
                };
                log.add(&all, number);
            }
            log.complete(number);
            let mut members = log.members();
            members.sort_unstable_by_key(|(_, number)| *number);
            let list = list_of(members);
            let Some(version) = self.state.write_topology_after(version, &list) else {
                // Another worker has written it.
                continue;
            };
            // Whoever sees the number finds the list.
            if self.state.purges.advance(last, number) {
                self.version.set(version);
                self.log.replace(log);
                return Some(Purged {
                    number,
                    before: is_certain.then_some(last),
                });
            }
            // This worker was stopped for longer than others wait, and has perhaps written over what one of them has written.
            is_certain = false;
        }
        None
    }

    /// Reads the list if another worker has written it.
    fn update(&self) {
        if self.log.borrow().last() < self.last() && self.version.get() != self.state.version() {
            self.read();
        }
    }

    /// Reads the list. Where it can't be read all records count as purged.
    fn read(&self) {
        let last = self.last();
        let mut log = Log::default();
        for _ in 0..TRIES {
            if let Some((version, list)) = self.state.topology() {
                self.version.set(version);
                for line in list.split(|&b| b == b'\n') {
                    let at = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
                    let (number, member) = line.split_at(at);
                    if let (Some(number), [_, member @ ..]) = (parse(number), member) {
                        log.apply(member, number);
                    }
                }
                break;
            }
            if last == 0 {
                // Nothing was ever written.
                break;
            }
            yield_now();
        }
        log.complete(last);
        self.log.replace(log);
    }
}

/// The members, the oldest first, as lines. Those that don't fit become a floor of their mode.
fn list_of(mut members: Vec<(Vec<u8>, u64)>) -> Vec<u8> {
    loop {
        let mut list = Vec::new();
        for (member, number) in &members {
            list.extend_from_slice(number.to_string().as_bytes());
            list.push(b' ');
            list.extend_from_slice(member);
            list.push(b'\n');
        }
        if list.len() <= ROOM {
            return list;
        }
        let half = members.len().div_ceil(2);
        let mut floors = [(Mode::Soft, 0), (Mode::Hard, 0)];
        for (member, number) in members.drain(..half) {
            let mode = match Member::parse(&member) {
                Member::Entry(entry) => entry.mode,
                Member::Floor(mode) => mode,
                Member::Server(_) | Member::Unknown => Mode::Hard,
            };
            for (known, floor) in &mut floors {
                if *known == mode {
                    *floor = number.max(*floor);
                }
            }
        }
        let floors = floors.into_iter().filter(|(_, number)| *number > 0);
        let floors = floors.map(|(mode, number)| (Member::Floor(mode).encode(), number));
        members.splice(0..0, floors);
    }
}
