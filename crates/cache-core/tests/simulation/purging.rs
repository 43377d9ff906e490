//! Purges by URI, by tag and of all, soft and hard: how machines send them and hear of them, and what must hold of records and
//! fills from before.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use cache_core::attempts::Access;
use cache_core::purge::{Entry, Labels, Mode, Scope, Selector, TagId, Tags, Verdict};
use cache_core::record::Record;
use cache_core::uri::Origin;

use super::backend;
use super::config::Key;
use super::data::Data;
use super::invariants::Judge;
use super::purge_log::{Members, PAGE};
use super::purges::{Asks, Failed, LOOK, Purges, SECOND};
use super::rng::Rng;
use super::store::{self, TIMEOUT, command, trouble};
use super::topology::Broken;
use super::worker::Worker;
use super::world::World;

/// Tags that answers have.
const TAGS: u64 = 4;

/// So many members the log has at most.
const MOST: usize = 1000;

/// What is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Uri(Key),
    Tag(u64),
    All,
}

/// A purge that somebody sends.
#[derive(Clone, Copy, Debug)]
pub struct Purge {
    pub what: What,
    pub mode: Mode,
}

/// A purge as the judge knows it.
#[derive(Debug)]
struct Sent {
    purge: Purge,
    by: usize,
    /// The number of the first answer of the backend that was asked for after it was sent.
    first: usize,
    /// Its number in the log, once it is there.
    number: Option<u64>,
    /// When it was acknowledged.
    acknowledged: Option<u64>,
}

/// All purges that were sent.
#[derive(Default)]
pub struct Sents {
    list: Vec<Sent>,
}

/// The tags of an answer.
fn tags(key: Key, answer: usize) -> [u64; 2] {
    let (key, answer) = (key as u64, answer as u64);
    [key % 2, 2 + answer % 2]
}

fn origin() -> Origin {
    Origin::new(true, b"a.com").unwrap()
}

fn path(key: Key) -> String {
    format!("/{key}")
}

fn tag(number: u64) -> TagId {
    TagId::of_tag(number.to_string().as_bytes())
}

/// By what purges select an answer.
pub fn labels(key: Key, answer: usize) -> Bytes {
    let ids = tags(key, answer).into_iter().map(tag).collect::<Vec<_>>();
    let labels = Labels::encode(&origin(), path(key).as_bytes(), &Tags::from(ids));
    labels.unwrap().into()
}

impl What {
    fn selector(self) -> Selector {
        match self {
            What::Uri(key) => Selector::uri(Scope::Origin(origin()), path(key).as_bytes()).unwrap(),
            What::Tag(number) => Selector::Tag(tag(number)),
            What::All => Selector::all(),
        }
    }

    /// Whether it selects an answer.
    fn selects(self, key: Key, answer: usize) -> bool {
        match self {
            What::Uri(own) => own == key,
            What::Tag(number) => tags(key, answer).contains(&number),
            What::All => true,
        }
    }
}

impl Purge {
    pub fn random(rng: &mut Rng, keys: usize) -> Purge {
        let what = match rng.range(0, 9) {
            0 => What::All,
            1..=4 => What::Uri(rng.range(0, keys as u64 - 1) as usize),
            _ => What::Tag(rng.range(0, TAGS - 1)),
        };
        let mode = rng.pick(&[Mode::Soft, Mode::Hard]);
        Purge { what, mode }
    }

    fn entry(self) -> Entry {
        Entry {
            mode: self.mode,
            selector: self.what.selector(),
        }
    }
}

/// How a worker asks the store for its log.
struct Way<'a> {
    world: &'a Rc<World>,
    worker: &'a Rc<Worker>,
}

impl Way<'_> {
    /// Sends a command. What fails may keep a machine from knowing.
    async fn sends<T: 'static>(
        &self,
        access: Access,
        act: impl Fn(&Rc<World>, &mut Data) -> T + 'static,
    ) -> Result<T, Failed> {
        let Way { world, worker } = *self;
        let result = async {
            let fault = trouble(world).await?;
            let fails = world.fault(world.config.faults.log_fails);
            let act = move |world: &Rc<World>, data: &mut Data| {
                if fails && access != Access::Write {
                    return Err(cache_core::flow::Trouble::Unavailable);
                }
                let done = act(world, data);
                if fails {
                    return Err(cache_core::flow::Trouble::Unavailable);
                }
                Ok(done)
            };
            command(world, worker, fault, (&[(0, 0)], access), Rc::new(act)).await
        }
        .await;
        if result.is_err() {
            world.misses_purges(worker.machine);
        }
        result.map_err(|_| Failed)
    }
}

impl Asks for Way<'_> {
    fn now(&self) -> u64 {
        self.world.now()
    }

    async fn reading(&self, _: &Purges) {
        begins(self.world, self.worker).ended().await;
    }

    async fn read(&self, from: u64) -> Result<Members, Failed> {
        self.sends(Access::ReadMaster, move |_, data| data.log.page(from, PAGE))
            .await
    }

    async fn add(&self, entries: Vec<Entry>, known: u64) -> Result<u64, Failed> {
        self.sends(Access::Write, move |world, data| {
            let number = data.log.add(&entries, known, world.now(), MOST);
            let mut judge = world.judge();
            let mut waiting = judge.purged.list.iter_mut();
            let of_these =
                |sent: &&mut Sent| sent.number.is_none() && entries.contains(&sent.purge.entry());
            if let Some(sent) = waiting.find(of_these) {
                sent.number = Some(number);
            }
            drop(judge);
            tells(world);
            number
        })
        .await
    }

    async fn restore(&self, members: Members, _: u64) -> Result<u64, Failed> {
        let judge = self.world.judge();
        judge.fails(&format!(
            "a log that has lost nothing is put right: {members:?}"
        ));
        Err(Failed)
    }
}

/// The store tells all machines of a purge. Some hear late, and some not at all.
fn tells(world: &Rc<World>) {
    for machine in 0..world.machines.len() {
        if world.fault(world.config.faults.wake_lost) {
            continue;
        }
        let late = world.fault(world.config.faults.wake_late);
        let delay = if late {
            world.between((1, 3000))
        } else {
            world.between(world.config.wake_delay)
        };
        world.after(delay, move |world| hears(world, machine));
    }
}

/// One worker of a machine hears of a purge.
pub fn hears(world: &Rc<World>, machine: usize) {
    let Some(worker) = living(world, machine).filter(|_| !world.breaks(Broken::NeverAsks)) else {
        return;
    };
    // A reading that has begun may not see it.
    if worker.reading.borrow().is_some() {
        worker.is_told.set(true);
    } else {
        begins(world, &worker);
    }
}

/// A reading of the log that is under way.
#[derive(Default)]
pub struct Reading {
    is_over: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Reading {
    async fn ended(&self) {
        poll_fn(|cx| {
            if self.is_over.get() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Has a worker read the log, whoever waits for that, or shares what is under way.
fn begins(world: &Rc<World>, worker: &Rc<Worker>) -> Rc<Reading> {
    if let Some(reading) = &*worker.reading.borrow() {
        return Rc::clone(reading);
    }
    let reading = Rc::new(Reading::default());
    worker.reading.replace(Some(Rc::clone(&reading)));
    worker.is_told.set(false);
    let (world, own, ends) = (Rc::clone(world), Rc::clone(worker), Rc::clone(&reading));
    worker.spawn(async move {
        let way = Way {
            world: &world,
            worker: &own,
        };
        own.purges.reads(&way).await;
        own.reading.take();
        ends.is_over.set(true);
        ends.wakers.take().into_iter().for_each(Waker::wake);
        if own.is_told.take() {
            begins(&world, &own);
        }
        None
    });
    reading
}

fn living(world: &World, machine: usize) -> Option<Rc<Worker>> {
    let workers = world.machines[machine].workers.borrow().clone();
    workers.into_iter().find(|worker| worker.is_alive())
}

/// Has all purges happen that are planned. `until`: how long workers look after the log behind the requests' backs.
pub fn plan(world: &Rc<World>, until: u64) {
    for (when, machine, purge) in world.config.purges.clone() {
        world.at(when, move |world| sends(world, machine, purge));
    }
    if world.config.looks_after_log {
        looks(world, until);
    }
}

fn looks(world: &Rc<World>, until: u64) {
    for worker in world.workers() {
        let is_frozen = worker.frozen_until(world.now()).is_some();
        if is_frozen {
            world.misses_purges(worker.machine);
        }
        let deaf = world.breaks(Broken::NeverAsks);
        if is_frozen || deaf || !store::is_available(world) || !worker.purges.looks(world.now()) {
            continue;
        }
        begins(world, &worker);
    }
    if world.now() < until {
        world.after(LOOK, move |world| looks(world, until));
    }
}

/// Somebody sends a purge to a machine.
pub fn sends(world: &Rc<World>, machine: usize, purge: Purge) {
    let Some(worker) = living(world, machine) else {
        return;
    };
    let number = world.judge().purged.list.len();
    world.note(|| format!("purge {number} is sent to machine {machine}: {purge:?}"));
    let sent = Sent {
        purge,
        by: machine,
        first: world.backend.count(),
        number: None,
        acknowledged: None,
    };
    world.judge().purged.list.push(sent);
    let (world, own) = (Rc::clone(world), Rc::clone(&worker));
    worker.spawn(async move {
        let way = Way {
            world: &world,
            worker: &own,
        };
        if world.breaks(Broken::AcknowledgesEarly) {
            let now = world.now();
            world.judge().purged.list[number].acknowledged = Some(now);
        }
        if own.purges.add(&way, &[purge.entry()]).await.is_ok() {
            world.note(|| format!("purge {number} is acknowledged"));
            let now = world.now();
            world.judge().purged.list[number].acknowledged = Some(now);
        }
        None
    });
}

/// Reads on in the log beside a lookup, if nobody has for a second.
pub async fn knows(world: &Rc<World>, worker: &Rc<Worker>) {
    let deaf = world.breaks(Broken::NeverAsks);
    if !deaf && store::is_available(world) && worker.purges.is_to_ask(world.now()) {
        begins(world, worker).ended().await;
    }
}

/// What the purges leave of a record that was found in a place: stale from now on, or nothing. The error: nobody says it.
pub async fn judged(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    (place, record, labels): (store::Place, Rc<Record>, Bytes),
    has_variants: bool,
) -> Result<Option<Rc<Record>>, Failed> {
    let Some(meta) = record.meta.clone() else {
        return Ok(Some(record));
    };
    let way = Way { world, worker };
    let (generation, purges) = (meta.generation.clone(), &worker.purges);
    let judge = || purges.judge_now(meta.log, Some(&labels));
    let mut verdict = judge();
    if verdict.is_none() && world.breaks(Broken::ReadsNotOn) {
        verdict = Some(purges.judge_by_what_is_read(meta.log, Some(&labels)));
    }
    if verdict.is_none() {
        purges.catch_up(&way).await;
        verdict = judge();
    }
    let window = i64::from(world.config.rules.kept()) * 1000;
    Ok(match verdict.ok_or(Failed)? {
        Verdict::Kept => Some(record),
        Verdict::Soft => {
            if record.ttl_ms > window {
                changes(
                    world,
                    worker,
                    place,
                    generation,
                    Some(world.config.rules.kept()),
                );
            }
            Some(Rc::new(Record {
                ttl_ms: record.ttl_ms.min(window),
                ..Record::clone(&record)
            }))
        }
        Verdict::Hard => {
            // The key of other variants stays.
            if !has_variants {
                changes(world, worker, place, generation, None);
            }
            None
        }
    })
}

/// Has a record expire in so many seconds, or takes it away, if it is still the same.
fn changes(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    (key, slot): store::Place,
    generation: Bytes,
    seconds: Option<u32>,
) {
    let (world, own) = (Rc::clone(world), Rc::clone(worker));
    worker.spawn(async move {
        let way = Way {
            world: &world,
            worker: &own,
        };
        let _ = way
            .sends(Access::Write, move |world, data| {
                let stored = data.peek_at(key, slot, world.now());
                let same = |s: &super::data::Stored| s.generation.to_string() == generation;
                if let Some(mut stored) = stored.filter(same) {
                    world.note(|| format!("slot {slot} of key {key} is purged: {seconds:?}"));
                    stored.expires = world.now() + u64::from(seconds.unwrap_or(0)) * 1000;
                    data.put((key, slot), stored);
                }
            })
            .await;
        None
    });
}

impl World {
    /// Something keeps a machine from hearing of purges in time.
    pub fn misses_purges(&self, machine: usize) {
        self.machines[machine].missed_purges.set(self.now());
    }
}

impl Judge {
    /// The purges that hold for what begins now on a machine, by their places in the list.
    pub fn purges_known(&self, world: &World, machine: usize) -> Vec<usize> {
        let Some(own) = world.machines.get(machine) else {
            return Vec::new();
        };
        let is_known = |sent: &Sent| {
            // A worker of the machine has heard of it.
            let is_heard = sent.number.is_some_and(|number| number <= own.words.last());
            // Else it is asked for within a second, and the reply takes a while.
            let in_time = |at: u64| at.max(own.missed_purges.get()) + SECOND + TIMEOUT;
            let is_due = |at| sent.by == machine || in_time(at) <= self.now;
            is_heard || sent.acknowledged.is_some_and(is_due)
        };
        let all = self.purged.list.iter().enumerate();
        all.filter(|(_, sent)| is_known(sent))
            .map(|(place, _)| place)
            .collect()
    }

    /// The worst that purges of the list mean for an answer of a key which was the `answer`th, or was confirmed by that.
    fn purged_by(&self, known: &[usize], key: Key, (answer, asked): (usize, usize)) -> Verdict {
        let known = known.iter().map(|place| &self.purged.list[*place]);
        let selecting =
            known.filter(|sent| asked < sent.first && sent.purge.what.selects(key, answer));
        let verdicts = selecting.map(|sent| match sent.purge.mode {
            Mode::Soft => Verdict::Soft,
            Mode::Hard => Verdict::Hard,
        });
        verdicts.max().unwrap_or(Verdict::Kept)
    }

    /// Whether a purge concerns a record that carries this number. A machine that asks the backend without knowing of a purge
    /// can't say that it asks after it.
    pub fn may_be_purged(&self, key: Key, answer: usize, log: u64) -> bool {
        let is_later = |sent: &Sent| sent.number.is_some_and(|number| number > log);
        let mut all = self.purged.list.iter();
        all.any(|sent| is_later(sent) && sent.purge.what.selects(key, answer))
    }

    /// A lookup that began when these purges were known has found this.
    pub fn finds_unpurged(
        &self,
        world: &World,
        key: Key,
        known: &[usize],
        found: Option<&Rc<Record>>,
    ) {
        let Some(record) = found else {
            return;
        };
        let Some(answer) = backend::answer_of(&record.body) else {
            return;
        };
        let generation = record.meta.as_ref().map(|meta| &meta.generation[..]);
        let asked = generation.and_then(|generation| self.began.get(generation));
        let asked = asked.copied().unwrap_or(answer);
        let verdict = self.purged_by(known, key, (answer, asked));
        let is_fresh = record.is_fresh(world.config.rules.stale);
        let holds = match verdict {
            Verdict::Kept => true,
            Verdict::Soft => !is_fresh,
            Verdict::Hard => false,
        };
        self.check(holds, || {
            format!(
                "answer {answer} for key {key} (last confirmed by {asked}, fresh: {is_fresh}) is found, but it was purged: \
                 {verdict:?}"
            )
        });
    }

    /// A request joins a fill.
    pub fn joins(&self, number: usize, answer: usize) {
        let request = &self.requests[number];
        let key = request.domain_key.1;
        let verdict = self.purged_by(&request.purges, key, (answer, answer));
        self.check(verdict == Verdict::Kept, || {
            format!("request {number} joins fill {answer} from before a purge that came before it: {verdict:?}")
        });
        self.check(answer >= request.first_valid, || {
            format!("request {number} joins fill {answer} from before an invalidation that came before it")
        });
    }
}
