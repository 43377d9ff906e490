//! What a fill writes to the store: the record that its response makes, in its place among the key's variants.

use bytes::Bytes;
use cache_core::policy::Plan;
use cache_core::record::{self, New, Tie, Unsent};
use cache_core::vary::{self, choose_slot, slot_key};
use ngx::ffi::ngx_random;

use super::compress::Compressed;
use super::stream::Stream;
use crate::store::lookup::{Lookup, Variants};
use crate::store::redis::{RecordWrite, VariantWrite};
use crate::store::refresh::new_generation;

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
    let left_out = [head.connection.as_slice(), &head.withheld].concat();
    let mut headers = record::strip_for_storage(&head.headers, &left_out);
    headers.push("Content-Length", stream.total().to_string());
    let (body, coded) = match compressed {
        Some(compressed) => {
            let coded = compressed.coded(&headers);
            (compressed.body, Some(coded))
        }
        None => (stream.body(), None),
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
        unsent: Unsent {
            hidden: record::without(&head.unsent.hidden, &head.withheld),
            ..head.unsent.clone()
        },
    };
    let fields = record::encode(head.status, &headers, length as u64, plan, new);
    Some(RecordWrite {
        key: lookup.key.redis.clone(),
        status: head.status,
        headers: Bytes::from(fields.headers),
        body,
        meta: Bytes::from(fields.meta),
        labels: head.labels.clone(),
        expiry: plan.expiry,
        fence: None,
        variant,
    })
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
