//! Commands that are owed a reply, and what their replies mean.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::attempts::Next;
use cache_core::claim;
use cache_core::purge::{Purged, number};
use cache_core::record::{Base, RawRecord};
use cache_core::resp::{Limits, Received, Reply};

use super::command::{FIELDS, Step};
use super::kind::Kind;
use crate::ngx::event::now_msec;
use crate::store::redis::call::{Failure, Promise, stopped};
use crate::store::redis::change::ChangeReply;
use crate::store::redis::error::{Refusal, StoreError, words};
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
    /// A question about the server itself, whose reply is given as it is.
    Question(Limits, Promise<Reply>),
    /// A subscription, which is owed nothing and takes all that comes, pushes too. It is told of its end by nothing.
    Feed(Limits, Heard),
    /// ASKING, which goes before each command that an ASK has redirected.
    Asking,
}

/// Takes what comes on a connection that is kept for that; nothing: the connection has ended.
pub type Heard = Box<dyn Fn(Option<Received>)>;

/// A lookup that is owed its replies.
pub struct PendingLookup {
    /// Absent once it was given up: its replies are discarded.
    promise: Option<Promise<Rc<Found>>>,
    /// When it began, in milliseconds.
    since: u64,
    /// What came for PTTL.
    pttl: Option<Result<i64, Failure>>,
    /// If the record was large before.
    turn: Option<Turn>,
    /// How many replies to ASKING are to come before each of the two others: 0 or 1,
    askings: u8,
    /// and before the next.
    before: u8,
}

impl PendingLookup {
    fn take_pttl(&mut self, pttl: Result<i64, Failure>) {
        self.pttl = Some(pttl);
        self.before = self.askings;
    }

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
    /// The question has its reply.
    Answered,
    /// The server said that another has the key, or that it can't serve the command for now.
    Redirected,
    /// The server is down, in its own words. The command is still owed its reply.
    Down(Pending, String),
    /// No reply to this command. The command is still owed its reply.
    Nonsense(Pending),
}

impl Pending {
    /// Takes the first of a lookup's two replies where it stands in the queue, if it is the usual one. Gives any other
    /// reply back.
    pub fn take_first(&mut self, reply: Reply) -> Option<Reply> {
        match (self, reply) {
            (Pending::Lookup(lookup), Reply::Integer(pttl))
                if lookup.pttl.is_none() && lookup.before == 0 =>
            {
                lookup.take_pttl(Ok(pttl));
                None
            }
            (_, reply) => Some(reply),
        }
    }

    /// Takes a reply of those that it is owed. `from`: what the memory tier calls the server that has sent it.
    pub fn take(self, reply: Reply, from: u64) -> Replied {
        match self {
            Pending::Step(step) => step_replied(step, reply),
            Pending::Lookup(mut lookup) if lookup.before > 0 => {
                // A refusal is told by the command behind it, too.
                lookup.before -= 1;
                Replied::More(Pending::Lookup(lookup))
            }
            Pending::Lookup(mut lookup) => match lookup.pttl.take() {
                None => pttl_replied(lookup, reply),
                Some(pttl) => hmget_replied(lookup, pttl, reply, from),
            },
            Pending::Change(kind, promise) => change_replied(kind, promise, reply),
            Pending::Question(_, promise) => {
                promise.finish(Ok(reply));
                Replied::Answered
            }
            Pending::Feed(limits, heard) => {
                heard(Some(Received::Reply(reply)));
                Replied::More(Pending::Feed(limits, heard))
            }
            // A refusal is told by the command behind it, too.
            Pending::Asking => Replied::Redirected,
        }
    }

    /// A lookup that begins now.
    pub fn lookup(promise: Promise<Rc<Found>>, turn: Option<Turn>) -> Pending {
        Pending::Lookup(PendingLookup {
            promise: Some(promise),
            since: now_msec(),
            pttl: None,
            turn,
            askings: 0,
            before: 0,
        })
    }

    /// The same for a lookup whose two commands stand behind an ASKING each.
    pub fn lookup_asking(promise: Promise<Rc<Found>>) -> Pending {
        Pending::Lookup(PendingLookup {
            promise: Some(promise),
            since: now_msec(),
            pttl: None,
            turn: None,
            askings: 1,
            before: 1,
        })
    }

    /// Ends the wait for a lookup that began before `time` and whose reply hasn't begun.
    pub fn expire(&mut self, time: u64) {
        if let Pending::Lookup(lookup) = self
            && lookup.pttl.is_none()
            && lookup.since < time
            && let Some(promise) = lookup.promise.take()
        {
            promise.finish(Err(stopped(StoreError::Timeout)));
        }
    }

    /// Whether nobody waits for what is looked up any more.
    pub fn is_unwanted(&self) -> bool {
        match self {
            Pending::Lookup(lookup) => {
                let promise = lookup.promise.as_ref();
                !promise.is_some_and(Promise::is_wanted)
            }
            Pending::Step(_)
            | Pending::Change(..)
            | Pending::Question(..)
            | Pending::Feed(..)
            | Pending::Asking => false,
        }
    }

    /// Ends it without a reply.
    pub fn fail(self, failure: Failure) {
        match self {
            Pending::Step(_) | Pending::Asking => {}
            Pending::Lookup(lookup) => lookup.finish(Err(failure)),
            Pending::Change(_, promise) => promise.finish(Err(failure)),
            Pending::Question(_, promise) => promise.finish(Err(failure)),
            Pending::Feed(_, heard) => heard(None),
        }
    }

    /// How much of the worker's memory its reply may take.
    pub fn limits(&self) -> Limits {
        match self {
            Pending::Step(_) | Pending::Asking => Limits::GREETING,
            Pending::Change(Kind::Purges, _) => Limits::PURGES,
            Pending::Lookup(_) | Pending::Change(..) => Limits::LOOKUP,
            Pending::Question(limits, _) | Pending::Feed(limits, _) => *limits,
        }
    }

    /// Whether a large reply is expected.
    pub fn is_large(&self) -> bool {
        matches!(self, Pending::Lookup(PendingLookup { turn: Some(_), .. }))
    }

    /// Whether it is a write, to which a server that pauses writes doesn't reply: see [`Kind::is_write`].
    pub fn is_write(&self) -> bool {
        matches!(self, Pending::Change(kind, _) if kind.is_write())
    }

    /// Whether it is a lookup.
    pub fn is_lookup(&self) -> bool {
        matches!(self, Pending::Lookup(..))
    }

    /// Whether it is for the log of purges.
    pub fn is_of_purges(&self) -> bool {
        matches!(self, Pending::Change(Kind::Purges, _))
    }

    /// Whether a future may wait for it.
    pub fn is_command(&self) -> bool {
        !matches!(self, Pending::Step(_) | Pending::Feed(..) | Pending::Asking)
    }
}

fn step_replied(step: Step, reply: Reply) -> Replied {
    let text = match reply {
        Reply::Status(_) => return Replied::Step(step),
        Reply::Error(text) => text,
        _ => return Replied::Nonsense(Pending::Step(step)),
    };
    match (step, Refusal::parse(&text)) {
        // A server that can't save to disk refuses PING with MISCONF, and a user may lack the
        // permission for it (NOPERM): both serve lookups.
        (Step::Ping, Refusal::Command(StoreError::Refused(words)))
            if words.starts_with("MISCONF ") || words.starts_with("NOPERM ") =>
        {
            Replied::Step(step)
        }
        // A user may lack the permission for ASKING, and a server may not know it: it is needed only while slots
        // move.
        (Step::Asking, Refusal::Command(StoreError::Refused(words)))
            if words.starts_with("NOPERM ") || words.starts_with("ERR unknown command") =>
        {
            Replied::Step(step)
        }
        (
            _,
            Refusal::Down(words)
            | Refusal::Command(StoreError::Refused(words))
            | Refusal::Elsewhere(_, StoreError::Refused(words)),
        ) => Replied::Down(Pending::Step(step), words),
        (_, Refusal::Command(_) | Refusal::Elsewhere(..)) => Replied::Nonsense(Pending::Step(step)),
    }
}

/// What an error reply says of the command it came for, unless the server is down: these are its words then.
fn refused(text: &[u8]) -> Result<Failure, String> {
    match Refusal::parse(text) {
        Refusal::Down(words) => Err(words),
        Refusal::Command(error) => Ok(stopped(error)),
        Refusal::Elsewhere(next, error) => Ok(Failure {
            error,
            next,
            unsure: false,
        }),
    }
}

fn pttl_replied(mut lookup: PendingLookup, reply: Reply) -> Replied {
    let pttl = match reply {
        Reply::Integer(pttl) => Ok(pttl),
        Reply::Error(text) => match refused(&text) {
            Ok(failure) => Err(failure),
            Err(words) => return Replied::Down(Pending::Lookup(lookup), words),
        },
        _ => return Replied::Nonsense(Pending::Lookup(lookup)),
    };
    lookup.take_pttl(pttl);
    Replied::More(Pending::Lookup(lookup))
}

fn hmget_replied(
    mut lookup: PendingLookup,
    pttl: Result<i64, Failure>,
    reply: Reply,
    from: u64,
) -> Replied {
    let fields = match reply {
        Reply::Array(Some(elements)) => fields::<FIELDS>(elements),
        Reply::Error(text) => match refused(&text) {
            Ok(failure) => return refuse_lookup(lookup, failure),
            Err(words) => {
                lookup.pttl = Some(pttl);
                return Replied::Down(Pending::Lookup(lookup), words);
            }
        },
        _ => None,
    };
    let Some([status, headers, body, meta, variants, labels]) = fields else {
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
            let found = Found {
                from,
                ..Found::new(record, variants, labels)
            };
            lookup.finish(Ok(Rc::new(found)));
            Replied::Found(size)
        }
        Err(failure) => refuse_lookup(lookup, failure),
    }
}

fn refuse_lookup(lookup: PendingLookup, failure: Failure) -> Replied {
    let replied = refusal(Kind::Lookup, &failure);
    lookup.finish(Err(failure));
    replied
}

fn change_replied(kind: Kind, promise: Promise<ChangeReply>, reply: Reply) -> Replied {
    let changed = match reply {
        Reply::Integer(1) => Some(ChangeReply::Done),
        Reply::Integer(0) => Some(ChangeReply::Nothing),
        Reply::Integer(-1) if kind == Kind::Write => Some(ChangeReply::Invalidated),
        Reply::Integer(2) if kind == Kind::Invalidate => Some(ChangeReply::Overtaken),
        Reply::Bulk(Some(text)) if kind == Kind::Purges => purge_number(&text),
        Reply::Array(Some(elements)) if kind == Kind::Purges => members(elements),
        Reply::Integer(-2) if kind == Kind::Write => Some(ChangeReply::ClaimLost),
        // Whatever somebody else has put in the lease's place: it is no trouble of the server.
        Reply::Array(_) if kind == Kind::Claim => {
            let claimed = claim::parse(&reply);
            Some(claimed.map_or(ChangeReply::Nothing, ChangeReply::Claimed))
        }
        Reply::Bulk(token) if kind == Kind::Fence => Some(ChangeReply::Fence(token)),
        Reply::Bulk(Some(text)) if kind == Kind::Invalidate => {
            let words = words(&text);
            promise.finish(Ok(ChangeReply::Unfenced(words.clone())));
            return Replied::Refused(Kind::SetFence, words);
        }
        Reply::Array(Some(elements)) if kind == Kind::Write => {
            base(elements).map(ChangeReply::Variants)
        }
        Reply::Error(text) => match refused(&text) {
            Ok(failure) => {
                let replied = refusal(kind, &failure);
                promise.finish(Err(failure));
                return replied;
            }
            Err(words) => return Replied::Down(Pending::Change(kind, promise), words),
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

/// The number of a purge, and the last one before it where the script says so.
fn purge_number(text: &[u8]) -> Option<ChangeReply> {
    let mut numbers = text.split(|&b| b == b' ').map(number::parse);
    let number = numbers.next()??;
    Some(match numbers.next() {
        None => ChangeReply::Number(number),
        Some(before) => ChangeReply::Purged(Purged { number, before }),
    })
}

/// Members of the log of purges, each with its number behind it.
fn members(elements: Vec<Reply>) -> Option<ChangeReply> {
    let (pairs, rest) = elements.as_chunks::<2>();
    let pair = |pair: &[Reply; 2]| match pair {
        [Reply::Bulk(Some(member)), Reply::Bulk(Some(number))] => {
            Some((member.clone(), number::parse(number)?))
        }
        _ => None,
    };
    let members: Option<Vec<_>> = pairs.iter().map(pair).collect();
    members
        .filter(|_| rest.is_empty())
        .map(ChangeReply::Members)
}

fn refusal(kind: Kind, failure: &Failure) -> Replied {
    match (&failure.next, &failure.error) {
        // A replica that is to write is in trouble for a Sentinel or a Cluster to tell; for one server alone it is.
        (Next::Stop | Next::Refresh, StoreError::Refused(words)) => {
            Replied::Refused(kind, words.clone())
        }
        (Next::Stop, _) => Replied::Failed,
        _ => Replied::Redirected,
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
    if elements.len() != N {
        return None;
    }
    let mut fields = [const { None }; N];
    for (field, element) in fields.iter_mut().zip(elements) {
        let Reply::Bulk(bytes) = element else {
            return None;
        };
        *field = bytes;
    }
    Some(fields)
}
