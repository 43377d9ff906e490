//! What a fill writes to the store: the record that its response makes, in its place among the key's variants.

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::policy::Plan;
use cache_core::record::{self, New, Tie, Unsent};
use cache_core::slices::{Brought, lifetime};
use cache_core::vary::{self, choose_slot, slot_key};
use ngx::ffi::ngx_random;

use super::compress::Compressed;
use super::stream::Stream;
use crate::store::lookup::{Lookup, Variants};
use crate::store::redis::{RecordWrite, VariantWrite};
use crate::store::refresh::new_generation;

/// The status of a slice in the store,
const WHOLE: u16 = 200;
/// and that of a head: see [`cache_core::slices`].
const PART: u16 = 206;

/// The record that a response makes which has been captured whole. `known`: what was last seen of the key's variants. `log`: the
/// last number of the store's log of purges that was known when the backend was asked.
/// `compressed`: its body as it is to be stored, if that isn't the body itself.
/// `None` if there is no response, or no place for it.
pub fn write(
    stream: &Stream,
    lookup: &Lookup,
    known: &Variants,
    (plan, log): (&Plan, u64),
    compressed: Option<Compressed>,
) -> Option<RecordWrite> {
    let head = stream.head()?;
    let slices = match &head.brought {
        Brought::First(object, _) => Some(*object),
        Brought::Slice => {
            let expiry = plan.expiry;
            return Some(slice(lookup.key.redis.clone(), stream.body(), expiry));
        }
        _ => None,
    };
    let left_out = [head.connection.as_slice(), &head.withheld].concat();
    let mut headers = record::strip_for_storage(&head.headers, &left_out);
    if slices.is_none() {
        headers.push("Content-Length", stream.total().to_string());
    }
    let (status, body, coded) = match (slices, compressed) {
        // The body is elsewhere, in slices.
        (Some(_), _) => (PART, Vec::new(), None),
        (None, Some(compressed)) => {
            let coded = compressed.coded(&headers);
            (head.status, compressed.body, Some(coded))
        }
        (None, None) => (head.status, stream.body(), None),
    };
    let length: usize = body.iter().map(Bytes::len).sum();
    let (tie, variant) = match &head.variant {
        Some(own) => {
            let (tie, variant) = placed(lookup, known, own)?;
            (Some(tie), Some(variant))
        }
        None => (None, None),
    };
    let new = New {
        generation: new_generation(),
        date: Some(head.date),
        own_location: head.own_location,
        log,
        tie,
        coded,
        slices,
        unsent: Unsent {
            hidden: record::without(&head.unsent.hidden, &head.withheld),
            ..head.unsent.clone()
        },
    };
    let fields = record::encode(status, &headers, length as u64, plan, new);
    Some(RecordWrite {
        key: lookup.key.redis.clone(),
        status,
        headers: Bytes::from(fields.headers),
        body,
        meta: Bytes::from(fields.meta),
        labels: head.labels.clone(),
        expiry: plan.expiry,
        fence: None,
        is_older: false,
        variant,
    })
}

/// The record of the first slice of an object, which a response has brought that has been captured whole.
pub fn first_slice(stream: &Stream, lookup: &Lookup, plan: &Plan) -> Option<RecordWrite> {
    let head = stream.head()?;
    let Brought::First(object, _) = &head.brought else {
        return None;
    };
    let name = Bytes::from(object.name(&lookup.key.redis, 0));
    let expiry = lifetime::expiry(i64::from(plan.expiry).saturating_mul(1000))?;
    Some(slice(name, stream.body(), expiry))
}

/// The record of a slice: no more than its bytes. Whatever purges it purges its head.
fn slice(key: Bytes, body: Vec<Bytes>, expiry: u32) -> RecordWrite {
    let length: usize = body.iter().map(Bytes::len).sum();
    let new = New {
        log: record::NEVER_PURGED,
        ..New::named(new_generation())
    };
    let plan = lifetime::plan(expiry);
    let fields = record::encode(WHOLE, &Headers::new(), length as u64, &plan, new);
    RecordWrite {
        key,
        status: WHOLE,
        headers: Bytes::from(fields.headers),
        body,
        meta: Bytes::from(fields.meta),
        labels: Bytes::new(),
        expiry,
        fence: None,
        is_older: false,
        variant: None,
    }
}

/// Where a response goes that varies.
fn placed(lookup: &Lookup, known: &Variants, own: &vary::Variant) -> Option<(Tie, VariantWrite)> {
    let (key, most) = (&lookup.key.redis, lookup.rules.variants);
    let target = choose_slot(key, known.family.as_ref(), &own.on, own.id, most, new_token);
    let slot = match target.slot {
        0 => None,
        slot => Some(Bytes::from(slot_key(key, slot)?)),
    };
    let tie = Tie {
        family: target.family.token.clone(),
        id: own.id,
        slot: target.slot,
    };
    let variant = VariantWrite {
        slot,
        seen: known.text.clone(),
        variants: Bytes::from(target.family.encode()),
    };
    Some((tie, variant))
}

/// A name for a family of variants.
fn new_token() -> Bytes {
    Bytes::from(format!("{:08x}{:08x}", ngx_random(), ngx_random()))
}
