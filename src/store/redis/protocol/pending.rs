//! Commands that are owed a reply, and what their replies mean.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::record::{Base, RawRecord};
use cache_core::resp::Reply;

use super::command::{FIELDS, Kind, Step};
use crate::ngx::event::now_msec;
use crate::store::redis::call::{Failure, Promise, Retry};
use crate::store::redis::change::ChangeReply;
use crate::store::redis::error::{Refusal, StoreError};
use crate::store::redis::found::Found;
use crate::store::redis::turn::Turn;

/// One entry per command, in the order in which replies are owed.
pub enum Pending {
    /// A step of the handshake.
    Step(Step),
    /// A lookup.
    Lookup(PendingLookup),
    /// A change of this kind.
    Change(Kind, Promise<ChangeReply>),
}

/// A lookup that is owed its replies.
pub struct PendingLookup {
    /// Absent once it was given up: its replies are discarded.
    promise: Option<Promise<Rc<Found>>>,
    /// When it began, in milliseconds.
    since: u64,
    /// What came for PTTL.
    pttl: Option<Result<i64, StoreError>>,
    /// If the record was large before.
    turn: Option<Turn>,
}

impl PendingLookup {
    fn finish(self, outcome: Result<Rc<Found>, Failure>) {
        if let Some(promise) = self.promise {
            promise.finish(outcome);
        }
    }
}

/// What a reply means.
pub enum Replied {
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
    /// The store is down, in its own words. The command is still owed its reply.
    Down(Pending, String),
    /// No reply to this command. The command is still owed its reply.
    Nonsense(Pending),
}

impl Pending {
    /// Takes a reply of those that it is owed.
    pub fn take(self, reply: Reply) -> Replied {
        match self {
            Pending::Step(step) => step_replied(step, reply),
            Pending::Lookup(mut lookup) => match lookup.pttl.take() {
                None => pttl_replied(lookup, reply),
                Some(pttl) => hmget_replied(lookup, pttl, reply),
            },
            Pending::Change(kind, promise) => change_replied(kind, promise, reply),
        }
    }

    /// A lookup that begins now.
    pub fn lookup(promise: Promise<Rc<Found>>, turn: Option<Turn>) -> Pending {
        Pending::Lookup(PendingLookup {
            promise: Some(promise),
            since: now_msec(),
            pttl: None,
            turn,
        })
    }

    /// Ends the wait for a lookup that began before `time` and whose reply hasn't begun.
    pub fn expire(&mut self, time: u64) {
        if let Pending::Lookup(lookup) = self
            && lookup.pttl.is_none()
            && lookup.since < time
            && let Some(promise) = lookup.promise.take()
        {
            promise.finish(Err(Failure {
                error: StoreError::Timeout,
                retry: Retry::No,
            }));
        }
    }

    /// Whether nobody waits for what is looked up any more.
    pub fn is_unwanted(&self) -> bool {
        match self {
            Pending::Lookup(lookup) => {
                let promise = lookup.promise.as_ref();
                !promise.is_some_and(Promise::is_wanted)
            }
            Pending::Step(_) | Pending::Change(..) => false,
        }
    }

    /// Ends it without a reply. `retry`: whether another connection may do better.
    pub fn fail(self, error: StoreError, retry: Retry) {
        match self {
            Pending::Step(_) => {}
            Pending::Lookup(lookup) => lookup.finish(Err(Failure { error, retry })),
            Pending::Change(_, promise) => promise.finish(Err(Failure { error, retry })),
        }
    }

    /// Whether a large reply is expected.
    pub fn is_large(&self) -> bool {
        matches!(self, Pending::Lookup(PendingLookup { turn: Some(_), .. }))
    }

    /// Whether it is a lookup.
    pub fn is_lookup(&self) -> bool {
        matches!(self, Pending::Lookup(..))
    }

    /// Whether a future may wait for it.
    pub fn is_command(&self) -> bool {
        !matches!(self, Pending::Step(_))
    }
}

fn step_replied(step: Step, reply: Reply) -> Replied {
    match reply {
        Reply::Status(_) => Replied::Step(step),
        Reply::Error(text) => match (step, Refusal::parse(&text)) {
            // A server that can't save to disk refuses PING with MISCONF, and a user may lack the
            // permission for it (NOPERM): both serve lookups.
            (Step::Ping, Refusal::Command(StoreError::Refused(words)))
                if words.starts_with("MISCONF ") || words.starts_with("NOPERM ") =>
            {
                Replied::Step(step)
            }
            (_, Refusal::Down(words) | Refusal::Command(StoreError::Refused(words))) => {
                Replied::Down(Pending::Step(step), words)
            }
            (_, Refusal::Command(_)) => Replied::Nonsense(Pending::Step(step)),
        },
        _ => Replied::Nonsense(Pending::Step(step)),
    }
}

fn pttl_replied(mut lookup: PendingLookup, reply: Reply) -> Replied {
    let pttl = match reply {
        Reply::Integer(pttl) => Ok(pttl),
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => return Replied::Down(Pending::Lookup(lookup), words),
            Refusal::Command(error) => Err(error),
        },
        _ => return Replied::Nonsense(Pending::Lookup(lookup)),
    };
    lookup.pttl = Some(pttl);
    Replied::More(Pending::Lookup(lookup))
}

fn hmget_replied(
    mut lookup: PendingLookup,
    pttl: Result<i64, StoreError>,
    reply: Reply,
) -> Replied {
    let fields = match reply {
        Reply::Array(Some(elements)) => fields::<FIELDS>(elements),
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => {
                lookup.pttl = Some(pttl);
                return Replied::Down(Pending::Lookup(lookup), words);
            }
            Refusal::Command(error) => return refuse_lookup(lookup, error),
        },
        _ => None,
    };
    let Some([status, headers, body, meta, variants]) = fields else {
        lookup.pttl = Some(pttl);
        return Replied::Nonsense(Pending::Lookup(lookup));
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
            lookup.finish(Ok(Rc::new(Found::new(record, variants))));
            Replied::Found(size)
        }
        Err(error) => refuse_lookup(lookup, error),
    }
}

fn refuse_lookup(lookup: PendingLookup, error: StoreError) -> Replied {
    let replied = refusal(Kind::Lookup, &error);
    let retry = Retry::No;
    lookup.finish(Err(Failure { error, retry }));
    replied
}

fn change_replied(kind: Kind, promise: Promise<ChangeReply>, reply: Reply) -> Replied {
    let changed = match reply {
        Reply::Integer(1) => Some(ChangeReply::Done),
        Reply::Integer(0) => Some(ChangeReply::Nothing),
        Reply::Array(Some(elements)) if kind == Kind::Write => {
            base(elements).map(ChangeReply::Variants)
        }
        Reply::Error(text) => match Refusal::parse(&text) {
            Refusal::Down(words) => return Replied::Down(Pending::Change(kind, promise), words),
            Refusal::Command(error) => return refuse(kind, promise, error),
        },
        _ => None,
    };
    match changed {
        Some(changed) => {
            promise.finish(Ok(changed));
            Replied::Changed(kind)
        }
        None => Replied::Nonsense(Pending::Change(kind, promise)),
    }
}

fn refuse<T>(kind: Kind, promise: Promise<T>, error: StoreError) -> Replied {
    let replied = refusal(kind, &error);
    let retry = Retry::No;
    promise.finish(Err(Failure { error, retry }));
    replied
}

fn refusal(kind: Kind, error: &StoreError) -> Replied {
    match error {
        StoreError::Refused(words) => Replied::Refused(kind, words.clone()),
        _ => Replied::Failed,
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

/// The fields of a record in the order in which HMGET names them.
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
