//! What clients saw: faults, the versions of pages, and how long answers took at which node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long after the end of a trouble that may lose writes a version may still be an older one.
pub const SETTLE: Duration = Duration::from_secs(2);

/// No answer may come later than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a purge may take to be known on another machine.
const PURGED: Duration = Duration::from_millis(1010);

/// How long a memory tier may serve what Redis has no more: the lease of its feed. A purge elsewhere may take as long.
const LEASE: Duration = Duration::from_millis(3010);

/// How much longer it may do so while a worker takes the server to be down (`alone`), as it does where a reply comes late.
const ALONE: Duration = Duration::from_secs(10);

/// A purge that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Purge {
    at: Instant,
    /// The number of the machine that took it.
    machine: usize,
    /// Versions up to this one are purged.
    version: u64,
}

/// The version of a page that a request mustn't fall behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor {
    /// One that has been seen, and when.
    seen: Option<Seen>,
    /// One that has been purged.
    purged: u64,
}

/// A version that was seen for the first time.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    version: u64,
}

/// The versions of each page that came from the store, in ascending order, and since when such versions count.
#[derive(Debug)]
struct Versions {
    latest: HashMap<String, Vec<Seen>>,
    purges: HashMap<String, Vec<Purge>>,
    /// `None`: writes may be lost now.
    since: Option<Instant>,
}

/// What clients and troubles share.
#[derive(Debug)]
pub struct Ledger {
    over: AtomicBool,
    answers: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    words: Mutex<BTreeMap<String, usize>>,
    kills: Mutex<Vec<Instant>>,
    versions: Mutex<Versions>,
    /// By owner: microseconds to the first byte.
    times: Mutex<BTreeMap<String, Vec<u32>>>,
    trouble: Mutex<String>,
}

/// Times of answers by owner, sorted.
pub type Times = BTreeMap<String, Vec<u32>>;

impl Ledger {
    /// A ledger in calm weather.
    pub fn new() -> Ledger {
        Ledger {
            over: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            wrong: Mutex::default(),
            words: Mutex::default(),
            kills: Mutex::default(),
            versions: Mutex::new(Versions {
                latest: HashMap::new(),
                purges: HashMap::new(),
                since: Some(Instant::now()),
            }),
            times: Mutex::default(),
            trouble: Mutex::new("none".to_owned()),
        }
    }

    /// Ends the load.
    pub fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether clients are to go: the time is over, or so much is wrong that it makes no sense to go on.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst) || self.is_hopeless()
    }

    /// Whether so much is wrong that it makes no sense to go on.
    pub fn is_hopeless(&self) -> bool {
        self.wrong.lock().expect("faults").len() >= 20
    }

    /// Something is wrong.
    pub fn say(&self, what: &str) {
        let trouble = self.trouble.lock().expect("trouble").clone();
        let line = format!("[{trouble}] {what}");
        println!("WRONG: {line}");
        self.wrong.lock().expect("faults").push(line);
    }

    /// What is wrong.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().expect("faults").clone()
    }

    /// How many answers there were.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// How many answers there were of each kind.
    pub fn summary(&self) -> String {
        let words = self.words.lock().expect("words");
        format!("{} answers {words:?}", self.answers())
    }

    /// Counts an answer of this kind.
    pub fn count(&self, kind: &str) {
        let mut words = self.words.lock().expect("words");
        *words.entry(kind.to_owned()).or_default() += 1;
    }

    /// A worker is about to be killed.
    pub fn kill(&self) {
        self.kills.lock().expect("kills").push(Instant::now());
    }

    fn killed_since(&self, start: Instant) -> bool {
        // A connection may have been taken by a worker just before its end.
        let from = start
            .checked_sub(Duration::from_millis(100))
            .unwrap_or(start);
        let kills = self.kills.lock().expect("kills");
        kills.iter().any(|at| *at >= from)
    }

    /// A trouble begins. If it may lose writes, versions may go backwards from now on.
    pub fn begin(&self, name: &str, loses: bool) {
        name.clone_into(&mut self.trouble.lock().expect("trouble"));
        if loses {
            let mut versions = self.versions.lock().expect("versions");
            versions.since = None;
            versions.latest.clear();
            versions.purges.clear();
        }
    }

    /// A trouble is over.
    pub fn end(&self) {
        "none".clone_into(&mut self.trouble.lock().expect("trouble"));
        let mut versions = self.versions.lock().expect("versions");
        versions
            .since
            .get_or_insert_with(|| Instant::now() + SETTLE);
    }

    /// Gives the times since the last call.
    pub fn take_times(&self) -> Times {
        let mut times = std::mem::take(&mut *self.times.lock().expect("times"));
        times.values_mut().for_each(|times| times.sort_unstable());
        times
    }

    /// The version of `path` that a request to this machine which starts now must not fall behind.
    pub fn floor(&self, path: &str, machine: usize) -> Floor {
        let (seen_for, purged_for) = match crate::memory::line().as_str() {
            "" => (Duration::ZERO, PURGED),
            line if line.contains("alone=off") => (LEASE, LEASE),
            _ => (LEASE + ALONE, LEASE + ALONE),
        };
        let versions = self.versions.lock().expect("versions");
        let seen = versions.latest.get(path).into_iter().flatten();
        let seen = seen.rev().find(|seen| seen.at.elapsed() >= seen_for);
        let purges = versions.purges.get(path).into_iter().flatten();
        let known =
            purges.filter(|purge| purge.machine == machine || purge.at.elapsed() > purged_for);
        Floor {
            seen: seen.copied(),
            purged: known.map(|purge| purge.version).max().unwrap_or(0),
        }
    }

    /// A machine has acknowledged a purge that was sent at `start`: of these pages, up to these versions.
    pub fn purged(&self, machine: usize, start: Instant, pages: Vec<(String, u64)>) {
        let at = Instant::now();
        let mut versions = self.versions.lock().expect("versions");
        if versions.since.is_none_or(|since| start < since) {
            return;
        }
        for (path, version) in pages {
            let purges = versions.purges.entry(path).or_default();
            purges.push(Purge {
                at,
                machine,
                version,
            });
        }
    }

    /// A whole answer to a request of `start`, whose body is right. `from`: its word and its source. What a memory tier has need
    /// not be in Redis: a fill leaves its response there, too, while the server is taken to be down.
    pub fn version(
        &self,
        path: &str,
        from: (&str, &str),
        start: Instant,
        floor: Floor,
        version: u64,
    ) {
        let (word, source) = from;
        if !["HIT", "STALE"].contains(&word) {
            return;
        }
        let mut versions = self.versions.lock().expect("versions");
        if versions.since.is_none_or(|since| start < since) {
            return;
        }
        if source == "store" {
            let seen = versions.latest.entry(path.to_owned()).or_default();
            if seen.last().is_none_or(|last| last.version < version) {
                let at = Instant::now();
                seen.push(Seen { at, version });
            }
        }
        drop(versions);
        let Floor { seen, purged } = floor;
        if let Some(seen) = seen.filter(|seen| version < seen.version) {
            let (newer, ago) = (seen.version, start.saturating_duration_since(seen.at));
            self.say(&format!(
                "{path}: {word} from {source}: version {version}, {ago:?} after {newer}"
            ));
        }
        if version <= purged {
            let purge = format!("that up to {purged} were purged");
            self.say(&format!("{path}: {word}: version {version} after {purge}"));
        }
    }

    /// An answer of this status and word, whose first byte came after `time`.
    pub fn answer(&self, owner: &str, status: u16, word: &str, time: Duration) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let word = format!("{status} {word}");
        self.count(&word);
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let mut times = self.times.lock().expect("times");
        match times.get_mut(owner) {
            Some(times) => times.push(micros),
            None => drop(times.insert(owner.to_owned(), vec![micros])),
        }
        drop(times);
        if time > PATIENCE {
            self.say(&format!("an answer after {time:?} ({word}, {owner})"));
        }
    }

    /// No whole answer to a request of `start`.
    pub fn lost(&self, path: &str, start: Instant, how: &str) {
        if !self.killed_since(start) {
            self.say(&format!("{path}: {how} after {:?}", start.elapsed()));
        }
    }
}

/// `p50 p99 count` in milliseconds, of times that are sorted.
pub fn quantiles(times: Option<&Vec<u32>>) -> String {
    let Some(times) = times.filter(|times| !times.is_empty()) else {
        return format!("{:>8} {:>8} {:>6}", "-", "-", 0);
    };
    let at = |share: usize| f64::from(times[(times.len() - 1) * share / 100]) / 1000.0;
    format!("{:>8.2} {:>8.2} {:>6}", at(50), at(99), times.len())
}
