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

/// How a command ended without a result.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Another connection may do better, at once.
    pub(super) retry: bool,
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
                retry: false,
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
    /// A lookup, with what came for PTTL.
    Lookup(Promise<Rc<Found>>, Option<Result<i64, StoreError>>),
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

fn answer_pttl(promise: Promise<Rc<Found>>, reply: Reply) -> Answer {
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

fn answer_hmget(
    promise: Promise<Rc<Found>>,
    pttl: Result<i64, StoreError>,
    reply: Reply,
) -> Answer {
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
            promise.finish(Ok(Rc::new(Found::new(record, variants))));
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
