//! What a worker knows of the store's log of purges: step by step what `src/store/redis/purges.rs` does, over the log, the shared
//! words and the judgement of the module itself. How the store is asked is left to those who use it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::purge::{Entry, Labels, Log, Verdict};

use super::purge_log::{Members, PAGE, RESTORED};
use crate::purge_words::PurgeWords;

/// How often a worker looks whether the last number is to be asked for, in milliseconds.
pub const LOOK: u64 = 250;

/// How often it is asked for then, in milliseconds.
const PAUSE: u64 = 600;

/// How old what the store has said may be for a lookup, in milliseconds.
pub const SECOND: u64 = 1000;

/// How often the log is read on for one judgement.
const PAGES: usize = 64;

/// The store hasn't replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// How the store is asked.
pub trait Asks {
    fn now(&self) -> u64;
    async fn read(&self, from: u64) -> Result<Members, Failed>;
    async fn add(&self, entries: Vec<Entry>, known: u64) -> Result<u64, Failed>;
    async fn restore(&self, members: Members, known: u64) -> Result<u64, Failed>;
    /// Has the worker read the log ([`Purges::reads`]), or shares a reading that is under way.
    async fn reading(&self, purges: &Purges);
}

/// The log as one worker knows it.
pub struct Purges {
    /// The workers of a machine share them.
    pub words: Rc<PurgeWords>,
    /// When a reading began that has read all of the log. 0: none has.
    confirmed: Cell<u64>,
    log: RefCell<Log>,
}

impl Purges {
    pub fn new(words: Rc<PurgeWords>) -> Purges {
        Purges {
            words,
            confirmed: Cell::new(0),
            log: RefCell::default(),
        }
    }

    /// The last number that is known. 0: none.
    pub fn last(&self) -> u64 {
        self.words.last()
    }

    /// All that is known, for whoever has to say it.
    pub fn members(&self) -> Members {
        self.log.borrow().members()
    }

    /// Whether the log is to be read beside a lookup.
    pub fn is_to_ask(&self, now: u64) -> bool {
        let confirmed = self.confirmed.get().max(self.words.confirmed());
        confirmed == 0 || confirmed > now || now - confirmed >= SECOND
    }

    /// The timer: whether the log is to be read now.
    pub fn looks(&self, now: u64) -> bool {
        self.words.is_due(now, PAUSE) || self.is_behind()
    }

    fn is_behind(&self) -> bool {
        self.log.borrow().last() < self.last()
    }

    /// One reading of the log.
    pub async fn reads(&self, asks: &impl Asks) {
        let (began, last) = (asks.now(), self.last());
        if self.read_up_to(asks, last).await {
            self.confirmed.set(began);
            self.words.confirm(began);
        }
    }

    /// Reads the log if it isn't read as far as it is known to go.
    pub async fn catch_up(&self, asks: &impl Asks) {
        // A reading that is under way may have begun too early.
        for _ in 0..2 {
            if self.is_behind() {
                asks.reading(self).await;
            }
        }
    }

    /// Puts entries into the log. They hold on this machine once this has returned.
    pub async fn add(&self, asks: &impl Asks, entries: &[Entry]) -> Result<(), Failed> {
        for part in entries.chunks(PAGE / 2) {
            let number = asks.add(part.to_vec(), self.last()).await?;
            self.words.raise(number);
            // Should the store lose them, somebody has them to put them back, also where the log can't be read now.
            for entry in part {
                self.log.borrow_mut().apply(&entry.encode(), number);
            }
            self.catch_up(asks).await;
        }
        Ok(())
    }

    /// What the purges mean for a record. `None`: the log must be read on first.
    pub fn judge_now(&self, number: u64, labels: Option<&[u8]>) -> Option<Verdict> {
        if number >= self.last() {
            return Some(Verdict::Kept);
        }
        (!self.is_behind()).then(|| self.judge_by_what_is_read(number, labels))
    }

    /// The same by a log that may go on.
    pub fn judge_by_what_is_read(&self, number: u64, labels: Option<&[u8]>) -> Verdict {
        let labels = labels.and_then(Labels::parse);
        self.log.borrow().judge(number, labels.as_ref())
    }

    async fn read_up_to(&self, asks: &impl Asks, last: u64) -> bool {
        let begin = self.log.borrow().last();
        let (mut from, mut is_whole, mut is_again) = (begin, false, false);
        for page in 0..PAGES {
            let Ok(members) = asks.read(from).await else {
                break;
            };
            let is_lost = {
                let log = self.log.borrow();
                let read = members
                    .iter()
                    .map(|(member, number)| (&member[..], *number));
                page == 0 && log.last() == from && log.is_lost(read)
            };
            if is_lost && self.restore(asks).await.is_err() {
                // Nothing is taken in: so the loss is seen again.
                break;
            }
            let end = members.iter().map(|(_, number)| *number).max();
            let end = end.unwrap_or(from);
            for (member, number) in &members {
                self.log.borrow_mut().apply(member, *number);
            }
            self.words.raise(end);
            from = if members.len() == PAGE && end > from {
                end
            } else if page == 0 || is_again {
                is_whole = true;
                break;
            } else {
                is_again = true;
                begin
            };
        }
        if is_whole {
            self.log.borrow_mut().complete(last);
        }
        is_whole
    }

    async fn restore(&self, asks: &impl Asks) -> Result<(), Failed> {
        let (mut all, mut from) = (Vec::new(), 0);
        for _ in 0..PAGES {
            let members = asks.read(from).await?;
            let end = members.iter().map(|(_, number)| *number).max();
            let is_last = members.len() < PAGE || end.is_none_or(|end| end <= from);
            all.extend(members);
            if is_last {
                break;
            }
            from = end.unwrap_or(from);
        }
        let read = all.iter().map(|(member, number)| (&member[..], *number));
        let (members, known) = (self.log.borrow().lost(read), self.last());
        for part in members.chunks(RESTORED) {
            let number = asks.restore(part.to_vec(), known).await?;
            self.words.raise(number);
        }
        Ok(())
    }
}
