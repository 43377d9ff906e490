//! Commands that are owed a reply, and the futures that wait for it.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cache_core::record::{Base, RawRecord};
use cache_core::resp::Reply;

use super::client::{Change, Changed, Found};
use super::command::{FIELDS, Step};
use super::error::{Refusal, StoreError};
use super::large::Turn;
use crate::ngx::event::now_msec;

/// How a command ended without a result.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether another connection may do better, at once.
    pub(super) retry: Retry,
}

/// Whether a command that has failed may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// No.
    No,
    /// A few times: the connection has failed.
    Counted,
    /// Yes: it was closed for a reason that has nothing to do with the command.
    Free,
}

/// Where a result is left for the futures that wait for it.
struct Call<T> {
    outcome: OnceCell<Result<T, Failure>>,
    wakers: RefCell<Vec<Option<Waker>>>,
}

/// A side that waits. If all are dropped the reply is discarded when it comes.
pub(super) struct Waiting<T> {
    call: Rc<Call<T>>,
    /// Its place among the wakers.
    place: Option<usize>,
}

/// The side that will have the result. If it is dropped without one, the command has failed.
pub(super) struct Promise<T> {
    call: Rc<Call<T>>,
    kept: bool,
}

/// Both sides of a new call.
pub(super) fn call<T>() -> (Promise<T>, Waiting<T>) {
    let call = Rc::new(Call {
        outcome: OnceCell::new(),
        wakers: RefCell::default(),
    });
    let promise = Promise {
        call: Rc::clone(&call),
        kept: false,
    };
    (promise, Waiting { call, place: None })
}

impl<T> Promise<T> {
    /// Whether somebody waits, or is about to. All who have waited may be gone.
    pub(super) fn is_wanted(&self) -> bool {
        let wakers = self.call.wakers.borrow();
        wakers.is_empty() || wakers.iter().any(Option::is_some)
    }

    pub(super) fn finish(mut self, outcome: Result<T, Failure>) {
        self.kept = self.call.outcome.set(outcome).is_ok();
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.kept {
            // Fails where there is a result, which then stands.
            let _ = self.call.outcome.set(Err(Failure {
                error: StoreError::Closed,
                retry: Retry::No,
            }));
        }
        for waker in self.call.wakers.take().into_iter().flatten() {
            waker.wake();
        }
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        // A task that no longer waits isn't woken.
        let mut wakers = self.call.wakers.borrow_mut();
        if let Some(waker) = self.place.and_then(|place| wakers.get_mut(place)) {
            *waker = None;
        }
    }
}

impl<T> Waiting<T> {
    /// Another side that waits for the same result.
    pub(super) fn another(&self) -> Waiting<T> {
        Waiting {
            call: Rc::clone(&self.call),
            place: None,
        }
    }
}

impl<T: Clone> Future for Waiting<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = Rc::clone(&self.call);
        if let Some(outcome) = call.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        let mut wakers = call.wakers.borrow_mut();
        match self.place.and_then(|place| wakers.get_mut(place)) {
            Some(Some(known)) if known.will_wake(cx.waker()) => {}
            Some(known) => *known = Some(cx.waker().clone()),
            None => {
                self.place = Some(wakers.len());
                wakers.push(Some(cx.waker().clone()));
            }
        }
        Poll::Pending
    }
}

/// One entry per command, in the order in which replies are owed.
pub(super) enum Pending {
    /// A step of the handshake.
    Step(Step),
    /// A lookup.
    Lookup(Looking),
    /// A change of this kind.
    Change(Kind, Promise<Changed>),
}

/// A lookup that is owed its replies.
pub(super) struct Looking {
    /// Absent once it was given up: its replies are discarded.
    promise: Option<Promise<Rc<Found>>>,
    /// When it was asked, in milliseconds.
    since: u64,
    /// What came for PTTL.
    pttl: Option<Result<i64, StoreError>>,
    /// If the record was large before.
    turn: Option<Turn>,
}

impl Looking {
    fn finish(self, outcome: Result<Rc<Found>, Failure>) {
        if let Some(promise) = self.promise {
            promise.finish(outcome);
        }
    }
}

/// What a reply meant.
pub(super) enum Answer {
    /// One more is owed.
    More(Pending),
    /// The step has succeeded.
    Step(Step),
    /// A lookup has a result of so many bytes.
    Found(usize),
    /// A change has been carried out, or there was nothing to change.
    Changed(Kind),
    /// The command was refused for a reason other than its key.
    Refused(Kind, String),
    /// The command has failed for a reason of its own.
    Failed,
    /// The store is down, in its own words. The command is still unanswered.
    Down(Pending, String),
    /// No reply to this command. The command is still unanswered.
    Nonsense(Pending),
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To read a record.
    Lookup,
    /// To write a record.
    Store,
    /// To delete a record.
    Delete,
}

impl Kind {
    /// What a change is for.
    pub(super) fn of(change: &Change) -> Kind {
        match change {
            Change::Write(_) | Change::Refresh(_) => Kind::Store,
            Change::Delete(_) => Kind::Delete,
        }
    }
}

impl Pending {
    /// Takes a reply.
    pub(super) fn answer(self, reply: Reply) -> Answer {
        match self {
            Pending::Step(step) => answer_step(step, reply),
            Pending::Lookup(mut looking) => match looking.pttl.take() {
                None => answer_pttl(looking, reply),
                Some(pttl) => answer_hmget(looking, pttl, reply),
            },
            Pending::Change(kind, promise) => answer_change(kind, promise, reply),
        }
    }

    /// A lookup that is asked now.
    pub(super) fn lookup(promise: Promise<Rc<Found>>, turn: Option<Turn>) -> Pending {
        Pending::Lookup(Looking {
            promise: Some(promise),
            since: now_msec(),
            pttl: None,
            turn,
        })
    }

    /// Ends the wait for a lookup that was asked before `time` and whose reply hasn't begun.
    pub(super) fn expire(&mut self, time: u64) {
        if let Pending::Lookup(looking) = self
            && looking.pttl.is_none()
            && looking.since < time
            && let Some(promise) = looking.promise.take()
        {
            promise.finish(Err(Failure {
                error: StoreError::Timeout,
                retry: Retry::No,
            }));
        }
    }

    /// Whether nobody waits for what is looked up any more.
    pub(super) fn is_unwanted(&self) -> bool {
        match self {
            Pending::Lookup(looking) => {
                let promise = looking.promise.as_ref();
                !promise.is_some_and(Promise::is_wanted)
            }
            Pending::Step(_) | Pending::Change(..) => false,
        }
    }

    /// Ends it without a reply. `retry`: whether another connection may do better.
    pub(super) fn fail(self, error: StoreError, retry: Retry) {
        match self {
            Pending::Step(_) => {}
            Pending::Lookup(looking) => looking.finish(Err(Failure { error, retry })),
            Pending::Change(_, promise) => promise.finish(Err(Failure { error, retry })),
        }
    }

    /// Whether a large reply is expected.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Pending::Lookup(Looking { turn: Some(_), .. }))
    }

    /// Whether it is a lookup.
    pub(super) fn is_lookup(&self) -> bool {
        matches!(self, Pending::Lookup(..))
    }

    /// Whether a future may wait for it.
    pub(super) fn is_command(&self) -> bool {
        !matches!(self, Pending::Step(_))
    }
}

fn answer_step(step: Step, reply: Reply) -> Answer {
    match reply {
        Reply::Status(_) => Answer::Step(step),
        Reply::Error(text) => match (step, Refusal::parse(&text)) {
            // A server that can't save to disk refuses PING with MISCONF, and a user may lack the
            // permission for it (NOPERM): both serve lookups.
            (Step::Ping, Refusal::Command(StoreError::Refused(words)))
                if words.starts_with("MISCONF ") || words.starts_with("NOPERM ") =>
            {
                Answer::Step(step)
            }
            (_, Refusal::Down(words) | Refusal::Command(StoreError::Refused(words))) => {
                Answer::Down(Pending::Step(step), words)
            }
            (_, Refusal::Command(_)) => Answer::Nonsense(Pending::Step(step)),
        },
        _ => Answer::Nonsense(Pending::Step(step)),
    }
}

fn answer_pttl(mut looking: Looking, reply: Reply) -> Answer {
    let pttl = match reply {
        Reply::Integer(pttl) => Ok(pttl),
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => return Answer::Down(Pending::Lookup(looking), words),
            Refusal::Command(error) => Err(error),
        },
        _ => return Answer::Nonsense(Pending::Lookup(looking)),
    };
    looking.pttl = Some(pttl);
    Answer::More(Pending::Lookup(looking))
}

fn answer_hmget(mut looking: Looking, pttl: Result<i64, StoreError>, reply: Reply) -> Answer {
    let fields = match reply {
        Reply::Array(Some(elements)) => fields::<FIELDS>(elements),
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => {
                looking.pttl = Some(pttl);
                return Answer::Down(Pending::Lookup(looking), words);
            }
            Refusal::Command(error) => return refuse_lookup(looking, error),
        },
        _ => None,
    };
    let Some([status, headers, body, meta, variants]) = fields else {
        looking.pttl = Some(pttl);
        return Answer::Nonsense(Pending::Lookup(looking));
    };
    match pttl {
        Ok(pttl) => {
            let size = |field: &Option<Bytes>| field.as_ref().map_or(0, Bytes::len);
            let size = size(&headers) + size(&body);
            let record = RawRecord {
                pttl,
                status,
                headers,
                body,
                meta,
            };
            looking.finish(Ok(Rc::new(Found::new(record, variants))));
            Answer::Found(size)
        }
        Err(error) => refuse_lookup(looking, error),
    }
}

fn refuse_lookup(looking: Looking, error: StoreError) -> Answer {
    let answer = refusal(Kind::Lookup, &error);
    let retry = Retry::No;
    looking.finish(Err(Failure { error, retry }));
    answer
}

fn answer_change(kind: Kind, promise: Promise<Changed>, reply: Reply) -> Answer {
    let changed = match reply {
        Reply::Integer(1) => Some(Changed::Done),
        Reply::Integer(0) => Some(Changed::Nothing),
        Reply::Array(Some(elements)) if kind == Kind::Store => {
            base(elements).map(Changed::Variants)
        }
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => return Answer::Down(Pending::Change(kind, promise), words),
            Refusal::Command(error) => return refuse(kind, promise, error),
        },
        _ => None,
    };
    match changed {
        Some(changed) => {
            promise.finish(Ok(changed));
            Answer::Changed(kind)
        }
        None => Answer::Nonsense(Pending::Change(kind, promise)),
    }
}

fn refuse<T>(kind: Kind, promise: Promise<T>, error: StoreError) -> Answer {
    let answer = refusal(kind, &error);
    let retry = Retry::No;
    promise.finish(Err(Failure { error, retry }));
    answer
}

fn refusal(kind: Kind, error: &StoreError) -> Answer {
    match error {
        StoreError::Refused(words) => Answer::Refused(kind, words.clone()),
        _ => Answer::Failed,
    }
}

/// What the script says of a key whose variants have changed.
fn base(mut elements: Vec<Reply>) -> Option<Base> {
    let length = elements.pop();
    let (Some(Reply::Integer(length)), false) = (length, elements.is_empty()) else {
        return None;
    };
    let Reply::Integer(pttl) = elements.remove(0) else {
        return None;
    };
    let [status, headers, meta, variants] = fields(elements)?;
    Some(Base {
        pttl,
        status,
        headers,
        meta,
        variants,
        length: u64::try_from(length).ok()?,
    })
}

/// The fields of a record in the order in which they were asked for.
fn fields<const N: usize>(elements: Vec<Reply>) -> Option<[Option<Bytes>; N]> {
    let elements: [Reply; N] = elements.try_into().ok()?;
    let mut whole = true;
    let fields = elements.map(|element| match element {
        Reply::Bulk(bytes) => bytes,
        _ => {
            whole = false;
            None
        }
    });
    whole.then_some(fields)
}
