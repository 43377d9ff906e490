//! What this worker knows of the store's log of purges (see [`cache_core::purge`]).
//!
//! The workers of an nginx share the last number. It comes with messages of those who purge, and one of the workers asks for it
//! each second. A record with a lower number is judged by the worker's own copy of the log, which is brought up to date
//! then at the latest.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::key::LockKey;
use cache_core::purge::{Entry, Labels, Log, Member, Mode, Purged, Verdict};
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::call::{Waiting, call};
use super::change::{Change, ChangeReply, PurgeCommand};
use super::client::Client;
use super::error::{StoreError, is_unpermitted};
use super::protocol::purges::{KEY, PAGE, RESTORED};
use crate::ngx::event::{Timer, exact_msec};
use crate::shm::{StoreState, Zone, zone};
use crate::store::background;
use crate::store::memory::{Judge, Memory};

/// How often a worker looks whether the last number is to be asked for, in milliseconds.
const LOOK: u64 = 250;

/// How often it is asked for, in milliseconds: with the time between two looks and that of the reply less than a second passes
/// between two replies.
const PAUSE: u64 = 600;

/// How old what the store has said may be for a lookup, in milliseconds.
const SECOND: u64 = 1000;

/// How often the log is read on for one judgement. Whoever purges faster than it is read has it count as more.
const PAGES: usize = 64;

/// The log of a store's purges, as one worker knows it.
pub struct Purges {
    /// The store, without its memory.
    client: Client,
    memory: Option<Rc<Memory>>,
    state: Option<&'static StoreState>,
    /// The last number, where workers share nothing.
    last: Cell<u64>,
    /// When a reading began that has read all of the log, in milliseconds. 0: none has.
    confirmed: Cell<u64>,
    /// How many purges the workers had counted by then, where they share nothing else of the store.
    counted: Cell<u64>,
    /// When it was asked for last, in milliseconds.
    asked: Cell<u64>,
    log: RefCell<Log>,
    timer: OnceCell<Timer>,
    is_refused: Cell<bool>,
    /// The reading under way. Whoever needs one shares it.
    reading: RefCell<Option<Waiting<bool>>>,
    /// There has been a message since it began.
    is_told: Cell<bool>,
}

impl Purges {
    /// Nothing is known yet.
    pub fn new(client: Client, memory: Option<Rc<Memory>>) -> Rc<Purges> {
        let state = client.config().memory.and_then(|memory| memory.state());
        let purges = Rc::new(Purges {
            client,
            memory,
            state,
            last: Cell::new(0),
            confirmed: Cell::new(0),
            counted: Cell::new(0),
            asked: Cell::new(0),
            log: RefCell::default(),
            timer: OnceCell::new(),
            is_refused: Cell::new(false),
            reading: RefCell::default(),
            is_told: Cell::new(false),
        });
        if let Some(memory) = &purges.memory {
            let own = Rc::downgrade(&purges);
            let judge: Weak<dyn Judge> = own;
            memory.set_judge(judge);
        }
        purges
    }

    /// Sees to it from now on that somebody of this nginx asks for the last number.
    pub fn begin(self: &Rc<Self>) {
        let timer = self.timer.get_or_init(|| {
            let timer = Timer::of(Rc::downgrade(self), Purges::look);
            timer.set_cancelable(true);
            timer
        });
        if !timer.is_armed() {
            timer.arm(0);
        }
    }

    /// Gives it up, for this worker's exit or for a store that is no more.
    pub fn leave(&self) {
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
    }

    /// The last number that is known. 0: none.
    pub fn last(&self) -> u64 {
        let shared = self.state.map_or(0, |state| state.purges.last());
        shared.max(self.last.get())
    }

    /// Reads on in the log if nobody of this nginx has for a second, or ever: what is stored may have been purged before it
    /// was started, or while it had nothing to do. The command is on its way when this returns. `None`: what is known is new enough.
    /// `now`: in milliseconds.
    pub fn know(self: &Rc<Self>, now: u64) -> Option<Waiting<bool>> {
        let shared = self.state.map_or(0, |state| state.purges.confirmed());
        let confirmed = self.confirmed.get().max(shared);
        // A time in the future is one of a machine that was suspended.
        let is_new = confirmed <= now && now - confirmed < SECOND && confirmed != 0;
        let is_same = self.state.is_some() || self.count() == self.counted.get();
        if is_new && is_same || !self.client.available(&KEY) {
            return None;
        }
        Some(self.reading())
    }

    /// How many purges the workers of this nginx have asked for, where they share nothing else of the store: its address comes from a
    /// variable. Other keys may count here, too.
    fn count(&self) -> u64 {
        let zone = zone::first();
        zone.map_or(0, |zone| zone.invalidations(&self.counter(zone)))
    }

    /// Under this name it is counted.
    fn counter(&self, zone: Zone) -> LockKey {
        zone.lock_key(self.client.config().name.as_bytes(), &KEY)
    }

    /// Whether this worker is to ask now, because nobody has for so many milliseconds.
    fn is_due(&self, pause: u64) -> bool {
        let now = exact_msec();
        match self.state {
            Some(state) => state.purges.is_due(now, pause),
            None => {
                let is_due = now.saturating_sub(self.asked.get()) >= pause;
                if is_due {
                    self.asked.set(now);
                }
                is_due
            }
        }
    }

    /// A message tells of a purge. Only what the store itself says counts: anybody may publish, the message may be about another
    /// database, and a server that has taken another's place may give numbers once more.
    pub fn heard(self: &Rc<Self>) {
        if self.is_reading() {
            self.is_told.set(true);
        } else {
            self.reading();
        }
    }

    /// A purge of this number is there.
    fn raise(&self, number: u64) {
        match self.state {
            Some(state) => state.purges.raise(number),
            None => self.last.set(self.last.get().max(number)),
        }
        if let Some(memory) = &self.memory {
            memory.raise_purged(number);
        }
    }

    /// Puts purges into the log. They hold in this nginx once this has returned.
    ///
    /// # Errors
    ///
    /// Why it isn't known that they hold.
    pub async fn add(self: &Rc<Self>, entries: &[Entry]) -> Result<Purged, StoreError> {
        let mut all: Option<Purged> = None;
        // Those of one number are to fit into what is read at once.
        for part in entries.chunks(PAGE / 2) {
            let members = part.iter().map(|entry| Bytes::from(entry.encode()));
            let add = PurgeCommand::Add(members.collect(), self.last());
            let reply = self.client.change(Change::Purges(add)).await?;
            let ChangeReply::Purged(purged) = reply else {
                return Err(StoreError::Protocol);
            };
            let number = purged.number;
            all = Some(match all {
                None => purged,
                Some(first) => Purged {
                    number,
                    // No other came between them.
                    before: first.before.filter(|_| purged.before == Some(first.number)),
                },
            });
            self.raise(number);
            if self.state.is_none()
                && let Some(zone) = zone::first()
            {
                zone.invalidate(&self.counter(zone));
            }
            // Should the store lose them, somebody has them to put them back, also where the log can't be read now.
            for entry in part {
                self.log.borrow_mut().apply(&entry.encode(), number);
            }
            self.catch_up().await;
        }
        all.ok_or(StoreError::Protocol)
    }

    /// Reads the log if it isn't read as far as it is known to go.
    pub async fn catch_up(self: &Rc<Self>) {
        // A reading that is under way may have begun too early.
        for _ in 0..2 {
            if self.is_behind() {
                let _ = self.reading().await;
            }
        }
    }

    /// Whether this worker's copy of the log ends before the last number that is known.
    fn is_behind(&self) -> bool {
        self.log.borrow().last() < self.last()
    }

    fn look(self: &Rc<Self>) {
        // Whoever is asked for a record then needn't wait.
        if self.client.available(&KEY) && (self.is_due(PAUSE) || self.is_behind()) {
            self.reading();
        }
        if let Some(timer) = self.timer.get() {
            timer.arm(LOOK);
        }
    }

    fn is_reading(&self) -> bool {
        self.reading.borrow().is_some()
    }

    /// Reads the log from where it is known to its end, or shares a reading that is under way. The command has been given when this
    /// returns. Where the store has lost what it had, all that is older than that counts as purged. The result says whether the store
    /// has said it all, or that it won't.
    fn reading(self: &Rc<Self>) -> Waiting<bool> {
        if let Some(reading) = &*self.reading.borrow() {
            return reading.another();
        }
        let (promise, reading) = call();
        self.reading.replace(Some(reading.another()));
        self.is_told.set(false);
        let (from, last) = (self.log.borrow().last(), self.last());
        let (began, count) = (exact_msec(), self.state.map_or_else(|| self.count(), |_| 0));
        let first = Change::Purges(PurgeCommand::Read(from));
        let first = self.client.change(first);
        let own = Reading(Rc::clone(self));
        background::spawn(async move {
            let is_whole = own.0.read_on(last, from, first.await).await;
            if is_whole {
                own.0.counted.set(count);
                own.0.confirm(began);
            }
            promise.finish(Ok(is_whole));
        });
        reading
    }

    /// All of the log was read, as it was then (milliseconds) at the earliest.
    fn confirm(&self, began: u64) {
        self.confirmed.set(began);
        if let Some(state) = self.state {
            state.purges.confirm(began);
        }
        if let Some(memory) = &self.memory {
            memory.confirm_purges(began);
        }
    }

    /// Reads the log from a number to its end, `last` at least. `first`: the first reply. What takes several pages is read twice: if
    /// another server takes the master's place between two of them, it may have an entry at an earlier number, which is passed
    /// already, and the former master had it at a later one, which isn't read yet.
    async fn read_on(&self, last: u64, begin: u64, first: Result<ChangeReply, StoreError>) -> bool {
        let (mut from, mut is_again) = (begin, false);
        let (mut is_whole, mut first) = (false, Some(first));
        for page in 0..PAGES {
            let members = match first.take() {
                Some(reply) => reply.and_then(members_of),
                None => self.read(from).await,
            };
            let members = match members {
                Ok(members) => members,
                Err(StoreError::Refused(words)) if is_unpermitted(&words) => {
                    is_whole = true;
                    // Of those that others add only the numbers are known: they count for all records.
                    let all = Member::Floor(Mode::Hard).encode();
                    self.log.borrow_mut().apply(&all, self.last());
                    self.refused(
                        &words,
                        "it needs \"+zrangebyscore\" and the key \"redis_cache:purges\"",
                    );
                    break;
                }
                Err(error) => {
                    if error == StoreError::WrongType {
                        let words = error.to_string();
                        self.refused(&words, "delete the key \"redis_cache:purges\"");
                    }
                    // Whatever it is, a later attempt may fare better.
                    break;
                }
            };
            // Before what is new is taken in: by that it is seen what the store doesn't have.
            let is_lost = {
                let log = self.log.borrow();
                let read = members
                    .iter()
                    .map(|(member, number)| (&member[..], *number));
                // Another task of this worker may have read on meanwhile.
                page == 0 && log.last() == from && log.is_lost(read)
            };
            if is_lost && !self.restore().await {
                // Nothing is taken in: so the loss is seen again.
                break;
            }
            let end = members.iter().map(|(_, number)| *number).max();
            let end = end.unwrap_or(from);
            for (member, number) in &members {
                self.log.borrow_mut().apply(member, *number);
            }
            self.raise(end);
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

    /// Reads a page of the log.
    async fn read(&self, from: u64) -> Result<Vec<(Bytes, u64)>, StoreError> {
        let read = Change::Purges(PurgeCommand::Read(from));
        members_of(self.client.change(read).await?)
    }

    /// Puts back what the store has lost: a replica has taken the place of its master, or the log was deleted. Whether the store has
    /// all that is known here.
    async fn restore(&self) -> bool {
        let (mut all, mut from) = (Vec::new(), 0);
        for _ in 0..PAGES {
            let Ok(members) = self.read(from).await else {
                return false;
            };
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
        let mut is_lost = false;
        for part in members.chunks(RESTORED) {
            let part = part
                .iter()
                .map(|(member, number)| (Bytes::copy_from_slice(member), *number));
            let restore = PurgeCommand::Restore(part.collect(), known);
            match self.client.change(Change::Purges(restore)).await {
                Ok(ChangeReply::Number(number)) => {
                    is_lost |= number > 0;
                    self.raise(number);
                }
                _ => return false,
            }
        }
        if !is_lost {
            // Another worker or machine was first.
            return true;
        }
        let store = &self.client.config().shown;
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{store}\" had lost purges; those were put back that are known here"
        );
        true
    }

    /// Says it once.
    fn refused(&self, words: &str, remedy: &str) {
        if self.is_refused.replace(true) {
            return;
        }
        let store = &self.client.config().shown;
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{store}\": purges aren't known: {words}; {remedy}"
        );
    }
}

impl Judge for Purges {
    fn judge_now(&self, number: u64, labels: Option<&[u8]>) -> Option<Verdict> {
        if number >= self.last() {
            return Some(Verdict::Kept);
        }
        let labels = labels.and_then(Labels::parse);
        (!self.is_behind()).then(|| self.log.borrow().judge(number, labels.as_ref()))
    }
}

/// A reading that is under way. When it is over, however that comes, another may begin, and does if there was a message meanwhile.
struct Reading(Rc<Purges>);

impl Drop for Reading {
    fn drop(&mut self) {
        let Reading(purges) = self;
        purges.reading.take();
        if purges.is_told.take() {
            purges.reading();
        }
    }
}

fn members_of(reply: ChangeReply) -> Result<Vec<(Bytes, u64)>, StoreError> {
    match reply {
        ChangeReply::Members(members) => Ok(members),
        _ => Err(StoreError::Protocol),
    }
}
