//! Machines that share a store and its log of purges: messages that are lost, doubled and late, a store that fails over and loses
//! the newest of its log, clocks of servers that differ, fills that take long, a log that is full.
//!
//! What a machine does is what the module does: a record carries the number that its machine knew before the backend was asked;
//! whoever finds a lower number than the last that is known reads the log on and judges.

use std::collections::BTreeMap;

use super::origin;
use super::rng::Rng;
use cache_core::purge::number::{Known, next};
use cache_core::purge::{Entry, Labels, Log, Member, Mode, Selector, TagId, Tags, Verdict};

/// Tags that records have and purges name.
const TAGS: u64 = 6;

/// Milliseconds between two questions for the last number.
const ASKED: u64 = 1000;

/// A server of the store.
#[derive(Clone, Default)]
struct Server {
    name: u64,
    /// The log: members by their texts.
    log: BTreeMap<Vec<u8>, u64>,
    /// The name of the server that has given its numbers.
    given_by: u64,
    /// How far its clock is off, in seconds.
    clock: u64,
}

impl Server {
    fn last(&self) -> u64 {
        self.log.values().copied().max().unwrap_or_default()
    }

    fn give(&mut self, sender: u64, now: u64) -> u64 {
        let number = next(Known {
            last: self.last(),
            is_same_server: self.last() > 0 && self.given_by == self.name,
            seconds: self.clock + now / 1000,
            sender,
        });
        let number = number.expect("numbers are left");
        self.given_by = self.name;
        let server = Member::Server(self.name.to_string().as_bytes()).encode();
        self.log.insert(server, number);
        number
    }

    /// As the script does: puts back what isn't there, by a new number. Gives it, or 0.
    fn restore(&mut self, members: &[(Vec<u8>, u64)], sender: u64, now: u64) -> u64 {
        let floor = |mode| self.log.get(&Member::Floor(mode).encode()).copied();
        let hard = floor(Mode::Hard).unwrap_or_default();
        let soft = floor(Mode::Soft).unwrap_or_default().max(hard);
        let lost: Vec<_> = members
            .iter()
            .filter(|(member, number)| {
                let (is_floor, mode) = match Member::parse(member) {
                    Member::Entry(entry) => (false, entry.mode),
                    Member::Floor(mode) => (true, mode),
                    Member::Server(_) => return false,
                    other => panic!("{other:?}"),
                };
                let dropped = if mode == Mode::Soft { soft } else { hard };
                let is = self.log.get(member).copied().unwrap_or_default();
                !is_floor && is < *number && *number > dropped
            })
            .collect();
        if lost.is_empty() {
            return 0;
        }
        let number = self.give(sender, now);
        for (member, _) in lost {
            self.log.insert(member.clone(), number);
        }
        number
    }

    /// As the script does: drops the oldest beyond `most`.
    fn add(&mut self, entry: &Entry, sender: u64, now: u64, most: usize) -> u64 {
        let number = self.give(sender, now);
        self.log.insert(entry.encode(), number);
        if self.log.len() > most {
            let entries = self.log.iter();
            let entries =
                entries.filter(|(member, _)| matches!(Member::parse(member), Member::Entry(_)));
            let oldest = entries.min_by_key(|(_, number)| **number);
            let (member, dropped) = oldest.map(|(m, n)| (m.clone(), *n)).unwrap();
            self.log.remove(&member);
            let mode = match Member::parse(&member) {
                Member::Entry(entry) => entry.mode,
                Member::Floor(mode) => mode,
                other => panic!("{other:?}"),
            };
            let floor = self.log.entry(Member::Floor(mode).encode()).or_default();
            *floor = dropped.max(*floor);
        }
        number
    }
}

/// A machine.
#[derive(Default)]
struct Machine {
    /// The last number that it knows.
    last: u64,
    log: Log,
    /// When it last asked.
    asked: u64,
}

impl Machine {
    fn read(&mut self, server: &mut Server, now: u64) {
        let from = self.log.last();
        let read: Vec<_> = server
            .log
            .iter()
            .filter(|(_, number)| **number >= from)
            .map(|(member, number)| (member.clone(), *number))
            .collect();
        let is_lost = self
            .log
            .is_lost(read.iter().map(|(member, number)| (&member[..], *number)));
        if is_lost {
            let all = server.log.iter();
            let lost = self
                .log
                .lost(all.map(|(member, number)| (&member[..], *number)));
            self.last = server.restore(&lost, self.last, now).max(self.last);
        }
        for (member, number) in &read {
            self.log.apply(member, *number);
            self.last = self.last.max(*number);
        }
        self.log.complete(self.last);
    }

    fn ask(&mut self, server: &mut Server, now: u64) {
        self.asked = now;
        self.read(server, now);
    }

    fn judge(&mut self, record: &Record, server: &mut Server, now: u64) -> Verdict {
        if record.number >= self.last {
            return Verdict::Kept;
        }
        if self.log.last() < self.last {
            self.read(server, now);
        }
        self.log
            .judge(record.number, Labels::parse(&record.labels).as_ref())
    }
}

/// A record, or what a fill is about to write.
#[derive(Clone)]
struct Record {
    number: u64,
    labels: Vec<u8>,
    tags: Vec<u64>,
    begun: u64,
}

/// A purge that was acknowledged.
#[derive(Debug)]
struct Purge {
    tag: u64,
    mode: Mode,
    at: u64,
    by: usize,
    number: u64,
    /// When each machine is to know of it at the latest.
    known: Vec<u64>,
}

fn tag(number: u64) -> TagId {
    TagId::of_tag(number.to_string().as_bytes())
}

/// What a seed makes of the world.
struct World {
    rng: Rng,
    now: u64,
    server: Server,
    /// What a replica has of the log.
    replica: Server,
    machines: Vec<Machine>,
    records: Vec<Record>,
    fills: Vec<(u64, Record)>,
    messages: Vec<(u64, usize)>,
    purges: Vec<Purge>,
    most: usize,
    /// A purge may have been lost, or the log was full: more may be purged than was asked for.
    may_be_more: bool,
    judged: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let count = rng.range(1, 4);
        let most = if rng.chance(30) { 4 } else { 1000 };
        World {
            server: Server {
                name: 1,
                clock: 1_800_000_000,
                ..Server::default()
            },
            replica: Server::default(),
            machines: (0..count).map(|_| Machine::default()).collect(),
            now: 10_000,
            records: Vec::new(),
            fills: Vec::new(),
            messages: Vec::new(),
            purges: Vec::new(),
            may_be_more: most < 1000,
            judged: 0,
            most,
            rng,
        }
    }

    fn machine(&mut self) -> usize {
        self.index(self.machines.len())
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.rng.range(0, below as u64 - 1)).unwrap()
    }

    fn step(&mut self) {
        self.now += self.rng.range(0, 119);
        let now = self.now;
        for index in 0..self.machines.len() {
            if now >= self.machines[index].asked + ASKED {
                self.machines[index].ask(&mut self.server, now);
            }
        }
        let due: Vec<_> = self
            .messages
            .extract_if(.., |(at, ..)| *at <= now)
            .collect();
        for (_, to) in due {
            self.machines[to].read(&mut self.server, now);
        }
        let due: Vec<_> = self.fills.extract_if(.., |(at, _)| *at <= now).collect();
        self.records
            .extend(due.into_iter().map(|(_, record)| record));
        match self.rng.range(0, 99) {
            0..=29 => self.begin(),
            30..=44 => self.purge(),
            45..=49 => self.replica = self.server.clone(),
            50..=51 => self.fail_over(),
            _ => self.look(),
        }
    }

    /// A fill begins. It may take long.
    fn begin(&mut self) {
        let machine = self.machine();
        let count = self.rng.range(0, 2);
        let tags: Vec<u64> = (0..count).map(|_| self.rng.range(0, TAGS - 1)).collect();
        let ids: Vec<TagId> = tags.iter().map(|number| tag(*number)).collect();
        let labels = Labels::encode(&origin(true, "a.com"), b"/a", &Tags::from(ids)).unwrap();
        let ends = self.now + self.rng.range(0, 2999);
        let record = Record {
            number: self.machines[machine].last,
            labels,
            tags,
            begun: self.now,
        };
        self.fills.push((ends, record));
    }

    fn purge(&mut self) {
        let by = self.machine();
        let mode = if self.rng.pick(&[true, false]) {
            Mode::Soft
        } else {
            Mode::Hard
        };
        let number = self.rng.range(0, TAGS - 1);
        let entry = Entry {
            mode,
            selector: Selector::Tag(tag(number)),
        };
        let sender = self.machines[by].last;
        let given = self.server.add(&entry, sender, self.now, self.most);
        self.machines[by].last = given.max(sender);
        self.machines[by].read(&mut self.server, self.now);
        let mut known = vec![self.now + ASKED; self.machines.len()];
        known[by] = self.now;
        for (to, known) in known.iter_mut().enumerate() {
            // Lost, doubled, late.
            for _ in 0..self.rng.range(0, 2) {
                let at = self.now + self.rng.range(0, 1999);
                self.messages.push((at, to));
                *known = at.min(*known);
            }
        }
        self.purges.push(Purge {
            tag: number,
            mode,
            at: self.now,
            by,
            number: given,
            known,
        });
    }

    /// The replica takes the master's place, with what it has of the log.
    fn fail_over(&mut self) {
        let name = self.server.name + 1;
        let lost = self.server.last();
        self.server = Server {
            name,
            clock: 1_800_000_000 - self.rng.range(0, 99),
            ..self.replica.clone()
        };
        if self.server.last() < lost {
            self.may_be_more = true;
            // Who hasn't heard of it yet can't any more, unless somebody who has puts it back.
            for purge in &mut self.purges {
                if purge.number > self.server.last() {
                    for known in purge.known.iter_mut().filter(|known| **known > self.now) {
                        *known += 2 * ASKED;
                    }
                }
            }
        }
    }

    /// A record is found.
    fn look(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let (machine, index) = (self.machine(), self.index(self.records.len()));
        let record = self.records[index].clone();
        let verdict = self.machines[machine].judge(&record, &mut self.server, self.now);
        self.judged += 1;
        let concerns = |purge: &&Purge| record.tags.contains(&purge.tag) && record.begun < purge.at;
        let expected = self
            .purges
            .iter()
            .filter(concerns)
            .filter(|purge| purge.by == machine || purge.known[machine] <= self.now)
            .map(|purge| match purge.mode {
                Mode::Soft => Verdict::Soft,
                Mode::Hard => Verdict::Hard,
            })
            .max()
            .unwrap_or(Verdict::Kept);
        assert!(
            verdict >= expected,
            "{verdict:?}, not {expected:?}, at {}, by {machine}: number {}, tags {:?}, begun {}; {:?}",
            self.now,
            record.number,
            record.tags,
            record.begun,
            (
                &self.purges,
                self.machines[machine].last,
                self.machines[machine].log.members(),
                &self.server.log
            )
        );
        if verdict > Verdict::Kept && !self.may_be_more {
            // Whoever began a fill without knowing of a purge can't say that it began after it.
            let could = self.purges.iter().any(|purge| {
                record.tags.contains(&purge.tag) && record.begun < purge.at + ASKED + 120
            });
            assert!(could, "purged by nothing, at {}", self.now);
        }
    }
}

#[test]
fn an_acknowledged_purge_holds_on_all_machines_in_time() {
    let seeds: u64 = std::env::var("SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(300);
    let mut judged = 0;
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        judged += world.judged;
    }
    assert!(judged > 100 * usize::try_from(seeds).unwrap(), "{judged}");
}
