//! What this worker knows of the store's log of purges (see [`cache_core::purge`]).
//!
//! The workers of an nginx share the last number. It comes with messages of those who purge, and one of the workers asks for it
//! each second. A record with a lower number is judged by the worker's own copy of the log, which is brought up to date
//! then at the latest.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::purge::{Entry, Labels, Log, Verdict};
use cache_core::record::log_of;
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::change::{Change, ChangeReply, PurgeCommand};
use super::client::Client;
use super::error::{StoreError, is_unpermitted};
use super::protocol::purges::{KEY, PAGE, RESTORED};
use crate::ngx::event::{Timer, exact_msec};
use crate::shm::StoreState;
use crate::store::background;
use crate::store::memory::Memory;

/// How often a worker looks whether the last number is to be asked for, in milliseconds.
const LOOK: u64 = 250;

/// How often it is asked for, in milliseconds: with the time between two looks and that of the reply less than a second passes
/// between two replies.
const PAUSE: u64 = 600;

/// How long what is known counts where nobody asks behind the requests' backs, in milliseconds.
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
    /// Whether the store has said it.
    is_known: Cell<bool>,
    /// When it was asked for last, in milliseconds.
    asked: Cell<u64>,
    log: RefCell<Log>,
    timer: OnceCell<Timer>,
    is_refused: Cell<bool>,
    /// The log is being read because of a message,
    is_asking: Cell<bool>,
    /// and there has been another one.
    asks_again: Cell<bool>,
}

impl Purges {
    /// Nothing is known yet.
    pub fn new(client: Client, memory: Option<Rc<Memory>>) -> Rc<Purges> {
        let state = client.config().memory.and_then(|memory| memory.state());
        Rc::new(Purges {
            client,
            memory,
            state,
            last: Cell::new(0),
            is_known: Cell::new(false),
            asked: Cell::new(0),
            log: RefCell::default(),
            timer: OnceCell::new(),
            is_refused: Cell::new(false),
            is_asking: Cell::new(false),
            asks_again: Cell::new(false),
        })
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
    /// was started, or while it had nothing to do. The command is on its way when this returns. `None`: it is known.
    pub fn know(self: &Rc<Self>) -> Option<impl Future<Output = ()> + use<>> {
        if self.state.is_some_and(|state| state.purges.is_known()) {
            self.is_known.set(true);
        }
        if (self.is_known.get() && !self.is_due(SECOND)) || !self.client.available(&KEY) {
            return None;
        }
        let from = self.log.borrow().last();
        let first = Change::Purges(PurgeCommand::Read(from));
        let (own, first) = (Rc::clone(self), self.client.change(first));
        Some(async move {
            if own.read_on(own.last(), from, Some(first.await)).await {
                own.set_known();
            }
        })
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
        self.asks_again.set(true);
        if !self.is_asking.replace(true) {
            let own = Rc::clone(self);
            background::spawn(async move {
                while own.asks_again.replace(false) {
                    own.ask().await;
                }
                own.is_asking.set(false);
            });
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
    pub async fn add(&self, entries: &[Entry]) -> Result<(), StoreError> {
        // Those of one number are to fit into what is read at once.
        for part in entries.chunks(PAGE / 2) {
            let members = part.iter().map(|entry| Bytes::from(entry.encode()));
            let add = PurgeCommand::Add(members.collect(), self.last());
            let reply = self.client.change(Change::Purges(add)).await?;
            let ChangeReply::Number(number) = reply else {
                return Err(StoreError::Protocol);
            };
            self.raise(number);
            // Should the store lose them, somebody has them to put them back.
            self.read_up_to(number).await;
        }
        Ok(())
    }

    /// What the purges mean for the record of a key. `None`: the store doesn't say it now. `meta`: the field of that name;
    /// `belongs`: it is the record's, and not that of another which the Lua script has written over.
    pub async fn judge(&self, key: &Bytes, meta: Option<&Bytes>, belongs: bool) -> Option<Verdict> {
        let (number, last) = (meta.map_or(0, |meta| log_of(meta)), self.last());
        if number >= last {
            return Some(Verdict::Kept);
        }
        // It is on its way while the log is read.
        let labels = self.client.change(Change::ReadLabels(key.clone()));
        if self.log.borrow().last() < last {
            self.read_up_to(last).await;
        }
        if self.log.borrow().last() < last {
            return None;
        }
        let labels = match labels.await {
            // Another write may have come in between, or the Lua script has left the field.
            Ok(ChangeReply::Labels { meta: now, labels }) if belongs && now.as_ref() == meta => {
                labels
            }
            Ok(_) => None,
            Err(_) => return None,
        };
        let labels = labels.as_deref().and_then(Labels::parse);
        Some(self.log.borrow().judge(number, labels.as_ref()))
    }

    fn look(self: &Rc<Self>) {
        if self.is_due(PAUSE) && self.client.available(&KEY) {
            let own = Rc::clone(self);
            background::spawn(async move { own.ask().await });
        } else if self.log.borrow().last() < self.last() && self.client.available(&KEY) {
            // Whoever is asked for a record then needn't wait.
            let (own, last) = (Rc::clone(self), self.last());
            background::spawn(async move {
                own.read_up_to(last).await;
            });
        }
        if let Some(timer) = self.timer.get() {
            timer.arm(LOOK);
        }
    }

    /// Asks the store for what is new in the log.
    async fn ask(&self) {
        let last = self.last();
        if self.read_up_to(last).await {
            self.set_known();
        }
    }

    fn set_known(&self) {
        self.is_known.set(true);
        if let Some(state) = self.state {
            state.purges.set_known();
        }
    }

    /// Reads the log from where it is known to its end, `last` at least. Where the store has lost what it had, all that is older
    /// than that counts as purged. Whether the store has said it all, or that it won't.
    async fn read_up_to(&self, last: u64) -> bool {
        let from = self.log.borrow().last();
        self.read_on(last, from, None).await
    }

    /// The same from a number on. `first`: the first reply, if it is there.
    async fn read_on(
        &self,
        last: u64,
        mut from: u64,
        mut first: Option<Result<ChangeReply, StoreError>>,
    ) -> bool {
        let mut is_whole = false;
        for page in 0..PAGES {
            let members = match first.take() {
                Some(reply) => reply.and_then(members_of),
                None => self.read(from).await,
            };
            let members = match members {
                Ok(members) => members,
                Err(StoreError::Refused(words)) if is_unpermitted(&words) => {
                    is_whole = true;
                    self.refused(&words);
                    break;
                }
                // Whatever it is, a later attempt may fare better.
                Err(_) => break,
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
            if is_lost {
                self.restore().await;
            }
            let end = members.iter().map(|(_, number)| *number).max();
            let end = end.unwrap_or(from);
            for (member, number) in &members {
                self.log.borrow_mut().apply(member, *number);
            }
            self.raise(end);
            if members.len() < PAGE || end <= from {
                is_whole = true;
                break;
            }
            from = end;
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

    /// Puts back what the store has lost: a replica has taken the place of its master, or the log was deleted.
    async fn restore(&self) {
        let (mut all, mut from) = (Vec::new(), 0);
        for _ in 0..PAGES {
            let Ok(members) = self.read(from).await else {
                return;
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
                _ => return,
            }
        }
        if !is_lost {
            // Another worker or machine was first.
            return;
        }
        let store = &self.client.config().shown;
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{store}\" had lost purges; those were put back that are known here"
        );
    }

    /// Says it once.
    fn refused(&self, words: &str) {
        if self.is_refused.replace(true) {
            return;
        }
        let store = &self.client.config().shown;
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store \"{store}\": purges aren't known: {words}; it needs \"+zrangebyscore\" and the key \"redis_cache:purges\""
        );
    }
}

fn members_of(reply: ChangeReply) -> Result<Vec<(Bytes, u64)>, StoreError> {
    match reply {
        ChangeReply::Members(members) => Ok(members),
        _ => Err(StoreError::Protocol),
    }
}
