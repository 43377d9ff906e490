//! Machines of several workers that share a store and its log of purges: messages that are lost, doubled and late, a store that
//! fails over and loses the newest of its log, at any moment, clocks of servers that differ, fills that take long, a log that is
//! full, that can't be read for a while, or that isn't known to have taken a purge; workers that start anew.
//!
//! What a worker does is what the module's does (see [`super::purges`]): a record carries the number that its machine knew before
//! the backend was asked; a worker that finds a lower number than the last that is known reads the log on and judges.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::origin;
use super::purge_log::{Members, PAGE, Server};
use super::purges::{Asks, Failed, LOOK, Purges, SECOND};
use super::rng::Rng;
use crate::purge_words::PurgeWords;
use cache_core::purge::{Entry, Labels, Member, Mode, Selector, TagId, Tags, Verdict};

/// Tags that records have and purges name: more than are read at once, with their modes.
const TAGS: u64 = 12;

/// Most milliseconds from one step to the next.
const STEP: u64 = 119;

/// How long it takes until the workers of a machine have all read what one of them knows, and one of those that have it asks
/// again, in milliseconds: then they put it back.
const PUT_BACK: u64 = 4 * SECOND;

/// A machine.
struct Machine {
    words: Rc<PurgeWords>,
    workers: Vec<Worker>,
    /// When something kept it last from hearing of purges.
    missed: Cell<u64>,
}

struct Worker {
    purges: Purges,
    /// When it looks after the log next.
    looks: u64,
}

/// A record, or what a fill is about to write.
#[derive(Clone)]
struct Record {
    number: u64,
    labels: Vec<u8>,
    tags: Vec<u64>,
    begun: u64,
}

/// A purge that is in the log.
#[derive(Debug)]
struct Purge {
    tag: u64,
    mode: Mode,
    at: u64,
    /// The machine that has sent it, once that has been told that it holds.
    by: Option<usize>,
    /// That machine knows it by itself: it wasn't started anew since, and no server was lost that had it.
    is_own: bool,
    number: u64,
    /// When each machine is to know of it at the latest. Nobody need know what wasn't acknowledged.
    known: Vec<u64>,
    /// A server was lost that had it.
    is_lost: bool,
    /// Its number isn't higher than all before.
    is_repeated: bool,
}

impl Purge {
    fn entry(&self) -> Entry {
        Entry {
            mode: self.mode,
            selector: selector(self.tag),
        }
    }

    fn all(mode: Mode) -> Entry {
        let selector = Selector::all();
        Entry { mode, selector }
    }

    /// Whether it is in the log of a server, or was dropped there to make room.
    fn is_in(&self, server: &Server) -> bool {
        let floor = |mode| Member::Floor(mode).encode();
        let all = |mode| Purge::all(mode).encode();
        let members = [
            self.entry().encode(),
            all(Mode::Hard),
            all(self.mode),
            floor(Mode::Hard),
            floor(self.mode),
        ];
        let numbers = members.iter().filter_map(|member| server.log.get(member));
        numbers.max().is_some_and(|number| *number >= self.number)
    }

    /// Whether a worker knows it, or that there was something; but for a log that drops entries, whose floors may be older.
    fn is_known_to(&self, worker: &Worker, drops: bool) -> bool {
        let own = self.entry().encode();
        let floor = Member::Floor(Mode::Hard).encode();
        worker.purges.members().iter().any(|(member, number)| {
            let is_own = *member == own || (*member == floor && !drops);
            is_own && *number >= self.number
        })
    }
}

/// The number that stands for all records in the place of a tag.
const ALL: u64 = TAGS;

fn selector(tag_or_all: u64) -> Selector {
    match tag_or_all {
        ALL => Selector::all(),
        number => Selector::Tag(tag(number)),
    }
}

fn tag(number: u64) -> TagId {
    TagId::of_tag(number.to_string().as_bytes())
}

/// The store, as seeds make it.
struct Store {
    rng: Rng,
    server: Server,
    /// What a replica has of the log.
    replica: Server,
    purges: Vec<Purge>,
    most: usize,
    machines: usize,
    /// Percentage of commands that fail.
    fails: u64,
    /// Until when the log can't be read at all.
    unreadable: u64,
    /// Whether it changes while somebody reads it,
    changes: bool,
    /// and when another server took over meanwhile last.
    failed_over: u64,
    /// A purge may have been lost, or the log was full, or not read in time: more may be purged than was asked for.
    may_be_more: bool,
    /// The highest number that was given,
    highest: u64,
    /// and how often no higher one was given then. Where the log of a purge is lost, and no nginx is left that knew its number, a
    /// server may give that again, or if its clock is behind, a lower one: a record that has it counts as newer.
    repeated: usize,
    /// How often a worker has read more than a page.
    pages: usize,
}

impl Store {
    /// The replica takes the master's place, with what it has of the log.
    fn fail_over(&mut self, now: u64) {
        let name = self.server.name + 1;
        let lost = self.server.last();
        self.server = Server {
            name,
            clock: 1_800_000_000 - self.rng.range(0, 99),
            ..self.replica.clone()
        };
        if self.server.last() == lost {
            return;
        }
        self.may_be_more = true;
        // Workers that haven't read it can't any more, unless one that has puts it back.
        for purge in &mut self.purges {
            if !purge.is_in(&self.server) {
                (purge.is_lost, purge.is_own) = (true, false);
                if purge.by.is_some() {
                    purge.known.fill(now + PUT_BACK);
                }
            }
        }
    }

    /// Somebody's purge comes into the log: of a tag, in a mode.
    fn purge(&mut self, entries: &[Entry], (tag, mode): (u64, Mode), known: u64, now: u64) -> u64 {
        let number = self.server.add(entries, known, now, self.most);
        let is_repeated = number <= self.highest;
        self.highest = number.max(self.highest);
        self.repeated += usize::from(is_repeated);
        self.purges.push(Purge {
            tag,
            mode,
            at: now,
            by: None,
            is_own: false,
            number,
            known: vec![u64::MAX; self.machines],
            is_lost: false,
            is_repeated,
        });
        number
    }

    /// Something happens between two commands of a worker. Servers don't change twice while it reads the log.
    fn happens(&mut self, now: u64) {
        if !self.changes {
            return;
        }
        if self.rng.chance(1) && self.failed_over != now {
            self.failed_over = now;
            self.fail_over(now);
        }
        if self.rng.chance(2) {
            self.replica = self.server.clone();
        }
    }

    fn fails(&mut self, now: u64) -> bool {
        now < self.unreadable || self.rng.chance(self.fails)
    }
}

/// How a worker of a machine asks the store.
struct Link<'a> {
    store: &'a RefCell<Store>,
    missed: &'a Cell<u64>,
    now: u64,
    purges: Option<(u64, Mode)>,
}

impl Link<'_> {
    fn is_lost(&self, store: &mut Store) -> Result<(), Failed> {
        if store.fails(self.now) {
            self.missed.set(self.now);
            store.may_be_more = true;
            return Err(Failed);
        }
        Ok(())
    }
}

impl Asks for Link<'_> {
    fn now(&self) -> u64 {
        self.now
    }

    async fn reading(&self, purges: &Purges) {
        purges.reads(self).await;
    }

    async fn read(&self, from: u64) -> Result<Members, Failed> {
        let mut store = self.store.borrow_mut();
        store.happens(self.now);
        self.is_lost(&mut store)?;
        let members = store.server.page(from, PAGE);
        store.pages += usize::from(members.len() == PAGE);
        Ok(members)
    }

    async fn add(&self, entries: Vec<Entry>, known: u64) -> Result<u64, Failed> {
        let mut store = self.store.borrow_mut();
        let purge = self.purges.expect("somebody purges");
        if self.now < store.unreadable {
            return Err(Failed);
        }
        let number = store.purge(&entries, purge, known, self.now);
        // It is there, but nobody says so.
        self.is_lost(&mut store)?;
        Ok(number)
    }

    async fn restore(&self, members: Members, known: u64) -> Result<u64, Failed> {
        let mut store = self.store.borrow_mut();
        store.happens(self.now);
        if self.now < store.unreadable {
            return Err(Failed);
        }
        let number = store.server.restore(&members, known, self.now);
        let is_repeated = number > 0 && number <= store.highest;
        store.highest = number.max(store.highest);
        if is_repeated {
            let lost = store.purges.iter_mut().filter(|purge| purge.is_lost);
            lost.for_each(|purge| purge.is_repeated = true);
        }
        self.is_lost(&mut store)?;
        Ok(number)
    }
}

/// What comes of work that waits for nothing.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// What a seed makes of the world.
struct World {
    seed: u64,
    rng: Rng,
    now: u64,
    store: RefCell<Store>,
    machines: Vec<Machine>,
    records: Vec<Record>,
    fills: Vec<(u64, Record)>,
    messages: Vec<(u64, usize)>,
    judged: BTreeMap<&'static str, usize>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let count = rng.range(1, 4) as usize;
        let most = if rng.chance(30) { 4 } else { 1000 };
        let fails = if rng.chance(50) { rng.range(1, 20) } else { 0 };
        let machine = |rng: &mut Rng| {
            let words = Rc::new(PurgeWords::default());
            Machine {
                workers: (0..rng.range(1, 3)).map(|_| worker(&words, 0)).collect(),
                words,
                missed: Cell::new(0),
            }
        };
        let server = Server {
            name: 1,
            clock: 1_800_000_000,
            ..Server::default()
        };
        let store = Store {
            rng: Rng::new(seed + 1_000_000),
            replica: server.clone(),
            server,
            highest: 0,
            repeated: 0,
            purges: Vec::new(),
            most,
            machines: count,
            fails,
            unreadable: 0,
            changes: rng.chance(30),
            failed_over: 0,
            may_be_more: most < 1000,
            pages: 0,
        };
        World {
            seed,
            store: RefCell::new(store),
            machines: (0..count).map(|_| machine(&mut rng)).collect(),
            now: 10_000,
            records: Vec::new(),
            fills: Vec::new(),
            messages: Vec::new(),
            judged: BTreeMap::new(),
            rng,
        }
    }

    /// A machine and one of its workers.
    fn anybody(&mut self) -> (usize, usize) {
        let machine = self.index(self.machines.len());
        (machine, self.index(self.machines[machine].workers.len()))
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.rng.range(0, below as u64 - 1)).unwrap()
    }

    fn link(&self, machine: usize) -> Link<'_> {
        Link {
            store: &self.store,
            missed: &self.machines[machine].missed,
            now: self.now,
            purges: None,
        }
    }

    /// Purges that no server has any more, and no worker that would put them back, are nothing to anybody.
    fn forgets(&mut self) {
        let mut store = self.store.borrow_mut();
        let drops = store.most < 1000;
        let fails = store.fails > 0;
        let Store { server, purges, .. } = &mut *store;
        for purge in purges.iter_mut().filter(|p| p.is_lost && p.by.is_some()) {
            let mut workers = self.machines.iter().flat_map(|machine| &machine.workers);
            let has = |worker: &Worker| purge.is_known_to(worker, drops);
            if !purge.is_in(server) && !workers.any(has) {
                purge.by = None;
                purge.known.fill(u64::MAX);
                *self.judged.entry("forgotten").or_default() += 1;
            }
            purge.is_lost = !purge.is_in(server);
            if purge.is_lost && fails && purge.by.is_some() {
                // Those that have it can't put it back as yet.
                let soon = self.now + SECOND + STEP;
                for known in &mut purge.known {
                    *known = soon.max(*known);
                }
            }
        }
    }

    fn step(&mut self) {
        self.now += self.rng.range(0, STEP);
        let now = self.now;
        self.forgets();
        for machine in 0..self.machines.len() {
            for index in 0..self.machines[machine].workers.len() {
                if self.machines[machine].workers[index].looks > now {
                    continue;
                }
                let next = now + LOOK - self.rng.range(0, 9);
                self.machines[machine].workers[index].looks = next;
                let worker = &self.machines[machine].workers[index].purges;
                if worker.looks(now) {
                    at_once(worker.reads(&self.link(machine)));
                }
            }
        }
        let due: Vec<_> = self.messages.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, to) in due {
            // One worker hears for all.
            let worker = &self.machines[to].workers[0].purges;
            at_once(worker.reads(&self.link(to)));
        }
        let due: Vec<_> = self.fills.extract_if(.., |(at, _)| *at <= now).collect();
        self.records
            .extend(due.into_iter().map(|(_, record)| record));
        match self.rng.range(0, 199) {
            0..=59 => self.begin(),
            60..=89 => self.purge(),
            90..=98 => {
                let mut store = self.store.borrow_mut();
                store.replica = store.server.clone();
            }
            99..=101 => self.store.borrow_mut().fail_over(now),
            102..=104 => self.starts(),
            105 if self.store.borrow().fails > 0 => {
                let until = now + self.rng.range(100, 8000);
                self.store.borrow_mut().unreadable = until;
            }
            _ => self.look(),
        }
    }

    /// A worker starts anew; or a whole nginx, which knows nothing.
    fn starts(&mut self) {
        let (machine, index) = self.anybody();
        let now = self.now;
        let own = &mut self.machines[machine];
        if self.rng.chance(30) {
            // Nobody of it asks before a record is looked for.
            own.words = Rc::new(PurgeWords::default());
            for purge in &mut self.store.borrow_mut().purges {
                purge.is_own &= purge.by != Some(machine);
            }
            for place in &mut own.workers {
                *place = worker(&own.words, now + LOOK);
            }
        } else {
            own.workers[index] = worker(&own.words, now + LOOK);
        }
    }

    /// A fill begins. It may take long.
    fn begin(&mut self) {
        let (machine, index) = self.anybody();
        let count = self.rng.range(0, 2);
        let tags: Vec<u64> = (0..count).map(|_| self.rng.range(0, TAGS - 1)).collect();
        let ids: Vec<TagId> = tags.iter().map(|number| tag(*number)).collect();
        let labels = Labels::encode(&origin(true, "a.com"), b"/a", &Tags::from(ids)).unwrap();
        let ends = self.now + self.rng.range(0, 2999);
        // It has been looked for before.
        self.knows(machine, index);
        let record = Record {
            number: self.machines[machine].words.last(),
            labels,
            tags,
            begun: self.now,
        };
        self.fills.push((ends, record));
    }

    fn knows(&self, machine: usize, index: usize) {
        let worker = &self.machines[machine].workers[index].purges;
        if worker.is_to_ask(self.now) {
            at_once(worker.reads(&self.link(machine)));
        }
    }

    fn purge(&mut self) {
        let (by, index) = self.anybody();
        let mode = self.rng.pick(&[Mode::Soft, Mode::Hard]);
        let number = if self.rng.chance(4) {
            ALL
        } else {
            self.rng.range(0, TAGS - 1)
        };
        let entry = Entry {
            mode,
            selector: selector(number),
        };
        let place = self.store.borrow().purges.len();
        let link = Link {
            purges: Some((number, mode)),
            ..self.link(by)
        };
        let added = at_once(self.machines[by].workers[index].purges.add(&link, &[entry]));
        let now = self.now;
        let mut messages = Vec::new();
        let mut known = vec![now + SECOND + STEP; self.machines.len()];
        known[by] = now;
        for (to, known) in known.iter_mut().enumerate() {
            // Lost, doubled, late.
            for _ in 0..self.rng.range(0, 2) {
                let at = now + self.rng.range(0, 1999);
                messages.push((at, to));
                *known = at.min(*known);
            }
        }
        let mut store = self.store.borrow_mut();
        if let (Ok(()), Some(purge)) = (added, store.purges.get_mut(place)) {
            if purge.is_lost {
                // The server that had it is gone already.
                known.fill(now + PUT_BACK);
            }
            (purge.by, purge.known, purge.is_own) = (Some(by), known, !purge.is_lost);
            self.messages.extend(messages);
        }
    }

    /// A record is found.
    fn look(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let ((machine, index), record) = (self.anybody(), self.index(self.records.len()));
        let record = self.records[record].clone();
        let now = self.now;
        self.knows(machine, index);
        let own = &self.machines[machine];
        let (link, purges) = (self.link(machine), &own.workers[index].purges);
        let judge = || purges.judge_now(record.number, Some(&record.labels));
        let judged = judge().or_else(|| {
            at_once(purges.catch_up(&link));
            judge()
        });
        let Some(verdict) = judged else {
            *self.judged.entry("unknown").or_default() += 1;
            return;
        };
        *self.judged.entry("known").or_default() += 1;
        let store = self.store.borrow();
        let missed = own.missed.get();
        let in_time = |known: u64| known.max(missed.saturating_add(SECOND + STEP));
        let selects = |purge: &Purge| purge.tag == ALL || record.tags.contains(&purge.tag);
        let concerns =
            |purge: &&Purge| !purge.is_repeated && selects(purge) && record.begun < purge.at;
        let known = |purge: &&Purge| {
            // A machine that hasn't read the log since it was started knows nothing: records are served there as they are.
            let own = purge.by == Some(machine) && purge.is_own;
            (own && purge.known[machine] <= now) || in_time(purge.known[machine]) <= now
        };
        let expected = store.purges.iter().filter(concerns).filter(known);
        let expected = expected.map(|purge| match purge.mode {
            Mode::Soft => Verdict::Soft,
            Mode::Hard => Verdict::Hard,
        });
        let expected = expected.max().unwrap_or(Verdict::Kept);
        assert!(
            verdict >= expected,
            "seed {}: {verdict:?}, not {expected:?}, at {now}, by {machine}: number {}, tags {:?}, begun {}, last {}, missed {missed}; {:?}",
            self.seed,
            record.number,
            record.tags,
            record.begun,
            own.words.last(),
            (
                &store.purges,
                own.workers[index].purges.members(),
                &store.server.log
            )
        );
        if verdict > Verdict::Kept && !store.may_be_more {
            // A machine that began a fill without knowing of a purge can't say that it began after it.
            let could = store
                .purges
                .iter()
                .any(|purge| selects(purge) && record.begun < purge.at + SECOND + 2 * STEP);
            assert!(could, "seed {}: purged by nothing, at {now}", self.seed);
        }
    }
}

fn worker(words: &Rc<PurgeWords>, looks: u64) -> Worker {
    Worker {
        purges: Purges::new(Rc::clone(words)),
        looks,
    }
}

/// A store that another server takes over once a page of its log was read.
struct TakenOver {
    former: Server,
    latter: Server,
    pages: Cell<usize>,
}

impl Asks for TakenOver {
    fn now(&self) -> u64 {
        1
    }

    async fn reading(&self, purges: &Purges) {
        purges.reads(self).await;
    }

    async fn read(&self, from: u64) -> Result<Members, Failed> {
        let pages = self.pages.replace(self.pages.get() + 1);
        let server = if pages == 0 {
            &self.former
        } else {
            &self.latter
        };
        Ok(server.page(from, PAGE))
    }

    async fn add(&self, _: Vec<Entry>, _: u64) -> Result<u64, Failed> {
        Err(Failed)
    }

    async fn restore(&self, _: Members, _: u64) -> Result<u64, Failed> {
        Err(Failed)
    }
}

/// The former master has an entry at its end, the latter at its beginning: it is purged by a number from before that it was purged
/// once more.
#[test]
fn a_server_that_takes_over_between_two_pages_hides_nothing() {
    let mut latter = Server {
        name: 1,
        clock: 1_800_000_000,
        ..Server::default()
    };
    let entry = |number| Entry {
        mode: Mode::Hard,
        selector: selector(number),
    };
    let first = latter.add(&[entry(0)], 0, 0, 1000);
    for number in 1..TAGS {
        latter.add(&[entry(number)], 0, 0, 1000);
    }
    let mut former = latter.clone();
    former.add(&[entry(0)], 0, 0, 1000);
    let words = Rc::new(PurgeWords::default());
    let purges = Purges::new(words);
    let store = TakenOver {
        former,
        latter,
        pages: Cell::new(0),
    };
    at_once(purges.reads(&store));
    assert!(store.pages.get() > 2, "more than a page");
    let known = purges.members();
    assert!(known.contains(&(entry(0).encode(), first)), "{known:?}");
}

#[test]
fn an_acknowledged_purge_holds_on_all_machines_in_time() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = number("SIM_SEEDS").unwrap_or(500);
    let first = number("SIM_SEED").unwrap_or(0);
    let (mut judged, mut pages) = (BTreeMap::<_, usize>::new(), 0);
    let (mut purges, mut repeated) = (0, 0);
    for seed in first..first + seeds {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        for (what, count) in world.judged {
            *judged.entry(what).or_default() += count;
        }
        let store = world.store.borrow();
        pages += store.pages;
        purges += store.purges.len();
        repeated += store.repeated;
    }
    let seeds = usize::try_from(seeds).unwrap();
    assert!(repeated < purges / 100, "{repeated} of {purges}");
    assert!(judged["known"] > 100 * seeds, "{judged:?}");
    assert!(
        judged["unknown"] > seeds / 10 && pages > seeds,
        "{judged:?}, {pages}"
    );
}
