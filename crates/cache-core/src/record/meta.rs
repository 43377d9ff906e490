//! The field `meta`: what this module writes beside the fields of the Lua script.

use bytes::Bytes;

use super::unsent::{self, Unsent};
use crate::coding::Coded;
use crate::http_date::LAST;
use crate::slices::Sliced;
use crate::units::MAX_SECONDS;
use crate::vary::{MAX_VARIANTS, VariantId};

const VERSION: &[u8] = b"1";
const BY_ACCEL_EXPIRES: &[u8] = b"x-accel-expires";
const LOG: &[u8] = b" log=";

/// What the module wrote beside a record. The Lua script's HMSET leaves it in place when it overwrites
/// the record, hence the fingerprint: without a match it belongs to another record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Age of the response when it was stored, in seconds.
    pub age: u32,
    /// Expiry that the record was given, in seconds.
    pub expiry: u32,
    /// Seconds of that expiry past the record's freshness, where `redis_cache_stale` has an `error=`: other machines, and
    /// this one by another configuration, then know when it goes stale. `None`: as long as `redis_cache_stale` says.
    pub kept: Option<u32>,
    /// Names this very write: a later one has another.
    pub generation: Bytes,
    /// [`fingerprint`] of the record.
    pub sum: u64,
    /// When the origin made the response, or it was received if that said nothing, in unix seconds: its Date
    /// (RFC 9110 6.6.1), which nginx keeps out of the header.
    pub date: Option<u64>,
    /// Its Location is a path that is to be made absolute for each client. Another path is to be sent as it
    /// stands.
    pub own_location: bool,
    /// X-Accel-Expires, which isn't stored, governed the response (see
    /// [`crate::targeted::Governing::under_accel_expires`]).
    pub accel_expires: bool,
    /// The last number of the store's log of purges that was known when the backend was asked (see [`crate::purge`]). 0: none.
    pub log: u64,
    /// Which variant of its key the record is, if it varies.
    pub tie: Option<Tie>,
    /// That the body was compressed to be stored.
    pub coded: Option<Coded>,
    /// The slices of the object whose head the record is, if it is one (see [`crate::slices`]).
    pub slices: Option<Sliced>,
    /// What the backend said that clients aren't sent.
    pub unsent: Unsent,
}

/// What ties a record to the variants of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The family's token.
    pub family: Bytes,
    /// The variant.
    pub id: VariantId,
    /// Where it lives, 0 for the key itself: so that a client who asks for a key that is named as a slot doesn't
    /// get another key's variant.
    pub slot: usize,
}

impl Meta {
    /// Whether it was written with this record, of which `pttl` milliseconds are left.
    pub(super) fn belongs_to(
        &self,
        pttl: i64,
        status: &[u8],
        headers: &[u8],
        body_len: u64,
    ) -> bool {
        self.sum == fingerprint(status, headers, body_len) && pttl <= i64::from(self.expiry) * 1000
    }
}

/// Writes the field: `1 age=<s> expiry=<s> gen=<token> sum=<hex>`, ` kept=<s>` and ` date=<s>` where they are known, and
/// ` location=own` and ` by=x-accel-expires` where that holds; ` log=<number>` unless it is 0; of a variant ` fam=<token>
/// id=<hex>`, and ` slot=<n>` unless it is 0; of a compressed one what [`Coded`] has; of a head
/// ` slices=<size>/<total>/<token>`; what [`Unsent`] has. A byte that would end a token is left out.
#[must_use]
pub fn encode_meta(meta: &Meta) -> Vec<u8> {
    let mut decimal = itoa::Buffer::new();
    let mut text = Vec::with_capacity(64 + meta.generation.len());
    text.extend_from_slice(VERSION);
    text.extend_from_slice(b" age=");
    text.extend_from_slice(decimal.format(meta.age).as_bytes());
    text.extend_from_slice(b" expiry=");
    text.extend_from_slice(decimal.format(meta.expiry).as_bytes());
    text.extend_from_slice(b" gen=");
    text.extend(meta.generation.iter().filter(|b| b.is_ascii_graphic()));
    text.extend_from_slice(b" sum=");
    text.extend_from_slice(crate::hex::encode(&meta.sum.to_be_bytes()).as_bytes());
    if let Some(kept) = meta.kept {
        text.extend_from_slice(b" kept=");
        text.extend_from_slice(decimal.format(kept).as_bytes());
    }
    if let Some(date) = meta.date {
        text.extend_from_slice(b" date=");
        text.extend_from_slice(decimal.format(date).as_bytes());
    }
    if meta.own_location {
        text.extend_from_slice(b" location=own");
    }
    if meta.accel_expires {
        text.extend_from_slice(b" by=");
        text.extend_from_slice(BY_ACCEL_EXPIRES);
    }
    if meta.log > 0 {
        text.extend_from_slice(LOG);
        text.extend_from_slice(decimal.format(meta.log).as_bytes());
    }
    if let Some(tie) = &meta.tie {
        text.extend_from_slice(b" fam=");
        text.extend(tie.family.iter().filter(|b| b.is_ascii_graphic()));
        text.extend_from_slice(b" id=");
        text.extend_from_slice(&tie.id.to_hex());
        if tie.slot > 0 {
            text.extend_from_slice(b" slot=");
            text.extend_from_slice(decimal.format(tie.slot).as_bytes());
        }
    }
    if let Some(coded) = &meta.coded {
        coded.encode(&mut text);
    }
    if let Some(slices) = &meta.slices {
        text.extend_from_slice(b" slices=");
        text.extend_from_slice(slices.encode().as_bytes());
    }
    meta.unsent.encode(&mut text);
    text
}

/// Reads the field. `None` for another version or a text that isn't one: the record is then read as one of
/// the Lua script. Parts of other names are left to later versions.
#[must_use]
pub fn parse_meta(text: &Bytes) -> Option<Meta> {
    let mut parts = text.split(|&b| b == b' ');
    if parts.next() != Some(VERSION) {
        return None;
    }
    let (mut age, mut expiry, mut generation, mut sum) = (None, None, None, None);
    let (mut date, mut kept) = (None, None);
    let mut own_location = false;
    let mut accel_expires = false;
    let mut log = 0;
    let (mut family, mut id, mut slot) = (None, None, 0);
    let mut coded = None;
    let mut slices = None;
    let mut unsent = Unsent::default();
    for part in parts {
        let at = part.iter().position(|&b| b == b'=')?;
        match part.split_at(at) {
            (b"age", [_, value @ ..]) => age = Some(decimal(value)?),
            (b"expiry", [_, value @ ..]) => expiry = Some(decimal(value)?),
            (b"gen", [_, value @ ..]) => generation = Some(text.slice_ref(value)),
            (b"sum", [_, value @ ..]) => sum = Some(hexadecimal(value)?),
            (b"kept", [_, value @ ..]) => kept = Some(decimal(value)?),
            (b"date", [_, value @ ..]) => date = Some(decimal(value).filter(|&s| s <= LAST)?),
            (b"location", [_, value @ ..]) => own_location = value == b"own",
            (b"by", [_, value @ ..]) => accel_expires = value == BY_ACCEL_EXPIRES,
            (b"log", [_, value @ ..]) => log = decimal(value)?,
            (b"fam", [_, value @ ..]) => family = Some(text.slice_ref(value)),
            (b"id", [_, value @ ..]) => id = Some(VariantId::from_hex(value)?),
            (b"slot", [_, value @ ..]) => slot = slot_number(value)?,
            (b"coded", [_, value @ ..]) => coded = Some(Coded::parse(value)?),
            (b"slices", [_, value @ ..]) => slices = Some(Sliced::parse(value)?),
            (b"hidden", [_, value @ ..]) => unsent.hidden = unsent::parse_hidden(value)?,
            (b"ignored", [_, value @ ..]) => unsent.ignored = unsent::parse_ignored(value),
            (b"rate", [_, value @ ..]) => unsent.limit_rate = unsent::parse_rate(value),
            (b"charset", [_, value @ ..]) => unsent.charset = unsent::parse_charset(value),
            (b"phrase", [_, value @ ..]) => unsent.phrase = unsent::parse_phrase(value),
            _ => {}
        }
    }
    let seconds = |value: u64| u32::try_from(value).ok().filter(|&s| s <= MAX_SECONDS);
    Some(Meta {
        age: seconds(age?)?,
        expiry: seconds(expiry?)?,
        kept: match kept {
            Some(kept) => Some(seconds(kept)?),
            None => None,
        },
        generation: generation?,
        sum: sum?,
        date,
        own_location,
        accel_expires,
        log,
        tie: family.zip(id).map(|(family, id)| Tie { family, id, slot }),
        coded,
        slices,
        unsent,
    })
}

/// The number of the log of purges in the field, as it stands there, whether or not the field belongs to its record. 0: there is
/// none.
#[must_use]
pub fn log_of(text: &[u8]) -> u64 {
    let at = text.windows(LOG.len()).position(|part| part == LOG);
    let rest = at.and_then(|at| text.get(at + LOG.len()..));
    let value = rest.and_then(|rest| rest.split(|&b| b == b' ').next());
    value.and_then(decimal).unwrap_or(0)
}

fn slot_number(text: &[u8]) -> Option<usize> {
    let slot = usize::try_from(decimal(text)?).ok()?;
    (slot < MAX_VARIANTS).then_some(slot)
}

/// A decimal number without a sign. Every hit reads three.
fn decimal(text: &[u8]) -> Option<u64> {
    // With so few digits nothing overflows.
    if !(1..=19).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// A number in hex, as [`crate::hex`] writes it.
fn hexadecimal(text: &[u8]) -> Option<u64> {
    if !(1..=16).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

/// Fingerprint of a record by what the Lua script would change: status, headers and length of the body. In the way of
/// FNV-1a, but eight bytes at a time, since every hit computes it; it is the same on every machine and in every
/// version. It is no guard against collisions made on purpose: a client that can write records needs none.
#[must_use]
pub fn fingerprint(status: &[u8], headers: &[u8], body_len: u64) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    let sum = mix_bytes(OFFSET, status);
    let sum = mix_bytes(sum, headers);
    mix(sum, body_len)
}

/// Mixes a text in, and its length, so that no two lists of texts are the same.
fn mix_bytes(sum: u64, text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let sum = words
        .iter()
        .fold(sum, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    mix(mix(sum, u64::from_le_bytes(last)), text.len() as u64)
}

fn mix(sum: u64, word: u64) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let sum = (sum ^ word).wrapping_mul(PRIME);
    // the high half has a say in the next step, too
    sum ^ (sum >> 32)
}
