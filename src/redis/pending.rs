//! Commands that are owed a reply, and the futures that wait for it.

use std::cell::Cell;
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

/// How a command ended without a result.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Another connection may do better, at once.
    pub(super) retry: bool,
}

/// Where a result is left for the future that waits for it.
struct Call<T> {
    outcome: Cell<Option<Result<T, Failure>>>,
    waker: Cell<Option<Waker>>,
}

/// The side that waits. If it is dropped the reply is discarded when it comes.
pub(super) struct Waiting<T>(Rc<Call<T>>);

/// The side that will have the result. If it is dropped without one, the command has failed.
pub(super) struct Promise<T> {
    call: Rc<Call<T>>,
    kept: bool,
}

/// Both sides of a new call.
pub(super) fn call<T>() -> (Promise<T>, Waiting<T>) {
    let call = Rc::new(Call {
        outcome: Cell::new(None),
        waker: Cell::new(None),
    });
    let promise = Promise {
        call: Rc::clone(&call),
        kept: false,
    };
    (promise, Waiting(call))
}

impl<T> Promise<T> {
    fn finish(mut self, outcome: Result<T, Failure>) {
        self.call.outcome.set(Some(outcome));
        self.kept = true;
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.kept {
            self.call.outcome.set(Some(Err(Failure {
                error: StoreError::Closed,
                retry: false,
            })));
        }
        if let Some(waker) = self.call.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        // A task that no longer waits isn't woken.
        self.0.waker.take();
    }
}

impl<T> Future for Waiting<T> {
    type Output = Result<T, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.0.outcome.take() {
            return Poll::Ready(outcome);
        }
        let known = self
            .0
            .waker
            .take()
            .filter(|waker| waker.will_wake(cx.waker()));
        self.0
            .waker
            .set(Some(known.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }
}

/// One entry per command, in the order in which replies are owed.
pub(super) enum Pending {
    /// A step of the handshake.
    Step(Step),
    /// A lookup, with what came for PTTL.
    Lookup(Promise<Found>, Option<Result<i64, StoreError>>),
    /// A change of this kind.
    Change(Kind, Promise<Changed>),
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
            Pending::Lookup(promise, None) => answer_pttl(promise, reply),
            Pending::Lookup(promise, Some(pttl)) => answer_hmget(promise, pttl, reply),
            Pending::Change(kind, promise) => answer_change(kind, promise, reply),
        }
    }

    /// Ends it without a reply. Another connection may do better, if `retry`.
    pub(super) fn fail(self, error: StoreError, retry: bool) {
        match self {
            Pending::Step(_) => {}
            Pending::Lookup(promise, _) => promise.finish(Err(Failure { error, retry })),
            Pending::Change(_, promise) => promise.finish(Err(Failure { error, retry })),
        }
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

fn answer_pttl(promise: Promise<Found>, reply: Reply) -> Answer {
    let pttl = match reply {
        Reply::Integer(pttl) => Ok(pttl),
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => return Answer::Down(Pending::Lookup(promise, None), words),
            Refusal::Command(error) => Err(error),
        },
        _ => return Answer::Nonsense(Pending::Lookup(promise, None)),
    };
    Answer::More(Pending::Lookup(promise, Some(pttl)))
}

fn answer_hmget(promise: Promise<Found>, pttl: Result<i64, StoreError>, reply: Reply) -> Answer {
    let fields = match reply {
        Reply::Array(Some(elements)) => fields::<FIELDS>(elements),
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => {
                return Answer::Down(Pending::Lookup(promise, Some(pttl)), words);
            }
            Refusal::Command(error) => return refuse(Kind::Lookup, promise, error),
        },
        _ => None,
    };
    let Some([status, headers, body, meta, variants]) = fields else {
        return Answer::Nonsense(Pending::Lookup(promise, Some(pttl)));
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
            promise.finish(Ok(Found { record, variants }));
            Answer::Found(size)
        }
        Err(error) => refuse(Kind::Lookup, promise, error),
    }
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
    let answer = match &error {
        StoreError::Refused(words) => Answer::Refused(kind, words.clone()),
        _ => Answer::Failed,
    };
    promise.finish(Err(Failure {
        error,
        retry: false,
    }));
    answer
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
