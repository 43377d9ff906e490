//! What the purges of a store leave of a record that was found there.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::purge::Verdict;
use cache_core::record::{Record, log_of};

use super::Lookup;
use crate::store::memory::Judge;
use crate::store::redis::{Change, Found};
use crate::store::{Store, background, refresh};

/// What the purges leave of a record that was found under a key: stale from now on, or nothing; what is gone is deleted.
pub(super) async fn judged(
    lookup: &Lookup,
    key: &Bytes,
    found: &Found,
    record: Option<Rc<Record>>,
) -> Option<Rc<Record>> {
    match judged_now(lookup, key, found, record?) {
        Ok(record) => record,
        // Boxed to keep the future of other lookups small.
        Err(record) => Box::pin(judged_later(lookup, key, found, record)).await,
    }
}

/// The same after the log was read on.
async fn judged_later(
    lookup: &Lookup,
    key: &Bytes,
    found: &Found,
    record: Rc<Record>,
) -> Option<Rc<Record>> {
    lookup.store.purges()?.catch_up().await;
    judged_now(lookup, key, found, record).unwrap_or(None)
}

/// The same where the log is read as far as it is known to go.
///
/// # Errors
///
/// The log must be read on first.
fn judged_now(
    lookup: &Lookup,
    key: &Bytes,
    found: &Found,
    record: Rc<Record>,
) -> Result<Option<Rc<Record>>, Rc<Record>> {
    let Store::Redis(client) = &lookup.store else {
        return Ok(Some(record));
    };
    let Some(purges) = client.purges().filter(|purges| purges.last() > 0) else {
        return Ok(Some(record));
    };
    let last = purges.last();
    // It counts also where the Lua script has written over the record since, and has left the field.
    let number = found.record.meta.as_ref().map_or(0, |meta| log_of(meta));
    // So it does with this one, which says nothing then.
    let labels = found.labels.as_deref().filter(|_| record.meta.is_some());
    Ok(match purges.judge_now(number, labels) {
        None => return Err(record),
        Some(Verdict::Kept) => {
            client.keep_judged(key, found, last);
            Some(record)
        }
        Some(Verdict::Soft) => Some(soften(lookup, (key, found.variants.is_some()), &record)),
        Some(Verdict::Hard) => {
            // The key of other variants stays: they may be fresh, and it is written over by the fill that this request begins.
            if found.variants.is_none() {
                change(lookup, refresh::removal(key.clone(), &record));
            }
            None
        }
    })
}

/// A record that a purge has made stale: no more is left of it than the time for which it may be served stale. That counts from
/// when the record is first found so, and is stored. `key`: where it was found, and whether that has other variants, too.
pub(super) fn soften(
    lookup: &Lookup,
    (key, has_variants): (&Bytes, bool),
    record: &Record,
) -> Rc<Record> {
    let seconds = record.standing().kept(lookup.rules.stale);
    let window = i64::from(seconds).saturating_mul(1000);
    if record.ttl_ms > window {
        match seconds {
            // They may be fresh.
            0 if has_variants => {}
            0 => change(lookup, refresh::removal(key.clone(), record)),
            seconds => change(lookup, refresh::shortening(key.clone(), record, seconds)),
        }
    }
    Rc::new(Record {
        ttl_ms: record.ttl_ms.min(window),
        ..record.clone()
    })
}

/// Changes what is stored, behind the request's back.
fn change(lookup: &Lookup, change: Option<Change>) {
    if let Some(change) = change {
        let sent = lookup.store.change(change);
        background::spawn(async move {
            let _ = sent.await;
        });
    }
}
