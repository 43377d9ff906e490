//! A store in shared memory alone: the whole of a store without servers, for the workers of one nginx.
//!
//! Its records lie where a memory tier keeps those of other stores, but here they are the truth: they need nobody's lease, and
//! what a change compares is what it replaces. Records live through a reload, not through a restart.
//!
//! A tier whose server is down carries on in the same way ([`lookup`], [`apply`]), for a while.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::purge;
use cache_core::record::{Base, Kept, RawRecord, log_of};

use crate::ngx::event::exact_msec;
use crate::store::memory::{Entry, Expected, Memory, Own, OwnLog, Written};
use crate::store::redis::{
    Change, ChangeReply, Found, RecordRefresh, RecordWrite, StoreConfig, StoreError, VariantWrite,
};

/// How often a change is tried that another worker's came before.
const ATTEMPTS: usize = 8;

/// A store in shared memory, as one worker sees it. Clones share what the worker knows of it.
#[derive(Clone)]
pub struct Local {
    config: Rc<StoreConfig>,
    /// `None` only if the memory isn't there.
    memory: Option<Rc<Memory>>,
}

impl Local {
    /// The store of a block without servers.
    pub fn new(config: Rc<StoreConfig>) -> Local {
        let state = config.memory.and_then(|memory| memory.state());
        let tier = config.tier.as_ref();
        let memory = tier.and_then(|tier| Memory::of_store_alone(tier, state?));
        Local { config, memory }
    }

    /// Its configuration.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Its memory.
    pub fn memory(&self) -> Option<&Rc<Memory>> {
        self.memory.as_ref()
    }

    /// Gives up, for this worker's exit, what it has.
    pub fn leave(&self) {
        if let Some(memory) = &self.memory {
            memory.leave();
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// There is no memory to read from.
    pub fn lookup(&self, key: &Bytes) -> Result<Rc<Found>, StoreError> {
        let memory = self.memory.as_ref().ok_or(StoreError::Unavailable)?;
        Ok(lookup(&Own::without_servers(memory), key))
    }

    /// Puts purges into its log. They hold once this has returned.
    ///
    /// # Errors
    ///
    /// Why they don't: there is no memory, or other workers are always first.
    pub fn purge(&self, entries: &[purge::Entry]) -> Result<purge::Purged, StoreError> {
        let memory = self.memory.as_ref().ok_or(StoreError::Unavailable)?;
        let added = memory.log().and_then(|log| log.add(entries));
        added.ok_or_else(|| StoreError::Refused("other workers purge all the time".into()))
    }

    /// The last number of its log of purges. 0: none.
    pub fn purged(&self) -> u64 {
        let log = self.memory.as_ref().and_then(|memory| memory.log());
        log.map_or(0, OwnLog::last)
    }

    /// Changes what is stored, at once.
    ///
    /// # Errors
    ///
    /// Why it isn't done: there is no room, or other workers are always first.
    pub fn change(&self, change: &Change) -> Result<ChangeReply, StoreError> {
        let memory = self.memory.as_ref().ok_or(StoreError::Unavailable)?;
        apply(&Own::without_servers(memory), change)
    }
}

/// Reads a record.
pub fn lookup(own: &Own<'_>, key: &Bytes) -> Rc<Found> {
    let found = own.look(key).and_then(|entry| {
        if entry.is_soft() {
            // Whoever looks here is to get no stale record.
            return None;
        }
        let record = entry.raw().ok()?;
        // It was judged where it was found.
        Some(Found::new(record, entry.variants().cloned(), None))
    });
    Rc::new(found.unwrap_or_else(Found::nothing))
}

/// Changes what is stored, at once.
///
/// # Errors
///
/// As [`Local::change`].
pub fn apply(own: &Own<'_>, change: &Change) -> Result<ChangeReply, StoreError> {
    match change {
        Change::Write(record) => repeated(|| write(own, record)),
        Change::Refresh(refresh) => repeated(|| refreshed(own, refresh)),
        Change::Delete(key) | Change::Invalidate(key, ..) => Ok(delete(own, key)),
        // One nginx uses it, whose zone knows what was invalidated.
        Change::SetFence(..) => Ok(ChangeReply::Done),
        Change::ReadFence(_) => Ok(ChangeReply::Fence(None)),
        Change::Purges(_) => Err(StoreError::Unavailable),
        // Nobody else uses it.
        Change::Claim(_) | Change::Extend(..) | Change::Release(_) | Change::Forget(..) => {
            Ok(ChangeReply::Nothing)
        }
    }
}

/// What came of an attempt. `None`: another worker's change came first.
type Attempt = Result<Option<ChangeReply>, StoreError>;

fn repeated(mut attempt: impl FnMut() -> Attempt) -> Result<ChangeReply, StoreError> {
    for _ in 0..ATTEMPTS {
        if let Some(reply) = attempt()? {
            return Ok(reply);
        }
    }
    Err(StoreError::Refused(
        "other workers change the key all the time".into(),
    ))
}

/// What an attempt to put a record into the memory came to.
fn put(
    own: &Own<'_>,
    expected: Expected,
    expiry: u64,
    record: &Kept,
    body: &[Bytes],
) -> Result<Option<()>, StoreError> {
    match own.write(expected, expiry, record, body) {
        Written::Done => Ok(Some(())),
        Written::Late => Ok(None),
        Written::TooLarge => Err(StoreError::DoesNotFit),
        Written::NoRoom => Err(StoreError::Refused(
            "there is no room for the record in its memory".into(),
        )),
    }
}

/// When a record expires that is good for so many seconds, in milliseconds.
fn expires(seconds: u32) -> u64 {
    exact_msec().saturating_add(u64::from(seconds) * 1000)
}

/// The texts of a record that is written, under one of the keys that it goes to.
fn texts(record: &RecordWrite, key: &Bytes, variants: Option<Bytes>) -> Kept {
    Kept {
        key: key.clone(),
        status: Some(Bytes::from(record.status.to_string())),
        headers: Some(record.headers.clone()),
        meta: Some(record.meta.clone()),
        variants,
        labels: Some(record.labels.clone()),
        log: log_of(&record.meta),
    }
}

fn write(own: &Own<'_>, record: &RecordWrite) -> Attempt {
    let expected = own.expect(&record.key);
    if record.is_older && own.look(&record.key).is_some() {
        return Ok(Some(ChangeReply::Invalidated));
    }
    let written = match &record.variant {
        None => put_record(own, expected, record, &record.key, None)?,
        Some(variant) => {
            let base = own.look(&record.key);
            let is = base.as_ref().and_then(|base| base.variants());
            if is.map_or(b"".as_slice(), |is| is) != variant.seen {
                return Ok(Some(ChangeReply::Variants(base_of(base.as_deref()))));
            }
            write_variant(own, expected, record, variant, base.as_deref())?
        }
    };
    Ok(written.map(|()| ChangeReply::Done))
}

fn put_record(
    own: &Own<'_>,
    expected: Expected,
    record: &RecordWrite,
    key: &Bytes,
    variants: Option<Bytes>,
) -> Result<Option<()>, StoreError> {
    let (kept, expiry) = (texts(record, key, variants), expires(record.expiry));
    put(own, expected, expiry, &kept, &record.body)
}

/// Writes a variant to its place, which its key speaks of only afterwards: whoever reads between the two finds what was
/// there before. `base`: what the key has, as was expected.
fn write_variant(
    own: &Own<'_>,
    expected: Expected,
    record: &RecordWrite,
    variant: &VariantWrite,
    base: Option<&Entry>,
) -> Result<Option<()>, StoreError> {
    let variants = Some(variant.variants.clone());
    let Some(slot) = &variant.slot else {
        return put_record(own, expected, record, &record.key, variants);
    };
    let place = own.expect(slot);
    if put_record(own, place, record, slot, None)?.is_none() {
        return Ok(None);
    }
    if variant.variants == variant.seen {
        return Ok(Some(()));
    }
    let parts = base.map(|base| (base, base.kept(), base.body()));
    let Some((base, Ok(before), Ok(body))) = parts else {
        // A variant beside the key's own takes a key that has one.
        return Ok(None);
    };
    let kept = Kept { variants, ..before };
    let expected = own.expect_copy(expected, base);
    put(own, expected, base.expires(), &kept, &[body])
}

/// What a key says of its variants.
fn base_of(entry: Option<&Entry>) -> Base {
    let base = entry.and_then(|entry| {
        let base = entry.base(Bytes::new()).ok()?;
        Some(Base {
            variants: entry.variants().cloned(),
            ..base
        })
    });
    base.unwrap_or_else(|| Base {
        pttl: Found::NO_KEY,
        ..Base::default()
    })
}

fn refreshed(own: &Own<'_>, refresh: &RecordRefresh) -> Attempt {
    let expected = own.expect(&refresh.key);
    let Some(entry) = own.look(&refresh.key) else {
        return Ok(Some(ChangeReply::Nothing));
    };
    let Ok(before) = entry.kept() else {
        return Ok(None);
    };
    if !is_validated(&before, entry.length(), refresh) {
        return Ok(Some(ChangeReply::Nothing));
    }
    if refresh.expiry == 0 {
        return Ok(Some(delete(own, &refresh.key)));
    }
    let Ok(body) = entry.body() else {
        return Ok(None);
    };
    let kept = Kept {
        headers: Some(refresh.headers.clone()),
        meta: Some(refresh.meta.clone()),
        labels: if refresh.labels.is_empty() {
            before.labels.clone()
        } else {
            Some(refresh.labels.clone())
        },
        log: log_of(&refresh.meta),
        ..before
    };
    let written = put(own, expected, expires(refresh.expiry), &kept, &[body])?;
    Ok(written.map(|()| ChangeReply::Done))
}

/// Whether a record is the one that was validated.
fn is_validated(kept: &Kept, length: usize, refresh: &RecordRefresh) -> bool {
    let validated = &refresh.validated;
    let RawRecord {
        status,
        headers,
        meta,
        ..
    } = kept.record(0, None);
    let generation = [b" gen=", validated.generation.as_ref(), b" "].concat();
    let meta = meta.map(|meta| [meta.as_ref(), b" "].concat());
    meta.is_some_and(|meta| {
        meta.windows(generation.len())
            .any(|part| part == generation)
    }) && status.is_some_and(|status| status == validated.status.to_string())
        && headers.is_some_and(|headers| headers == validated.headers)
        && length == validated.length
}

fn delete(own: &Own<'_>, key: &Bytes) -> ChangeReply {
    let known = own.look(key).is_some();
    own.invalidate(key);
    if known {
        ChangeReply::Done
    } else {
        ChangeReply::Nothing
    }
}
