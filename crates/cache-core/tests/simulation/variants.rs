//! Requests and answers that vary: two fields, a few values of each.

use std::sync::LazyLock;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::key::LockKey;
use cache_core::vary::{Family, Names, RequestFields, VariantId, parse};

use super::config::Key;
use super::rng::Rng;

/// Locks of keys have numbers below this; those of their variants follow, in steps of it.
const KEYS: usize = 8;

/// What a request says in the fields that answers may vary on. 0: it doesn't have the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldValues {
    pub a: u8,
    pub b: u8,
    /// By what its sender is told from others; 0 if it sends nothing of its own.
    pub sender: u64,
}

const A: u8 = 4;
const B: u8 = 2;

/// What answers vary on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum On {
    #[default]
    Nothing,
    A,
    B,
    Both,
    /// More than fields.
    Any,
}

impl FieldValues {
    pub fn random(rng: &mut Rng) -> FieldValues {
        let below =
            |rng: &mut Rng, end: u8| u8::try_from(rng.range(0, u64::from(end) - 1)).unwrap();
        FieldValues {
            a: below(rng, A),
            b: below(rng, B),
            sender: 0,
        }
        .sent_by(rng)
    }

    /// The same of one of three kinds of senders.
    pub fn sent_by(self, rng: &mut Rng) -> FieldValues {
        let sender = if rng.chance(40) { rng.range(1, 2) } else { 0 };
        FieldValues { sender, ..self }
    }

    fn all() -> impl Iterator<Item = FieldValues> {
        (0..A).flat_map(|a| (0..B).map(move |b| FieldValues { a, b, sender: 0 }))
    }

    /// Whether an answer that varies on `on`, made for these, is right for those.
    pub fn selects(self, on: On, other: FieldValues) -> bool {
        match on {
            On::Nothing => true,
            On::A => self.a == other.a,
            On::B => self.b == other.b,
            On::Both => (self.a, self.b) == (other.a, other.b),
            On::Any => false,
        }
    }
}

impl RequestFields for FieldValues {
    fn lines(&self, name: &[u8], take: &mut dyn FnMut(&[u8])) {
        let value = match name {
            b"a" => self.a,
            b"b" => self.b,
            _ => 0,
        };
        if value > 0 {
            take(&[b'0' + value]);
        }
    }
}

impl On {
    /// The line that an answer has.
    pub fn line(self) -> Option<&'static str> {
        match self {
            On::Nothing => None,
            On::A => Some("A"),
            On::B => Some("b"),
            On::Both => Some("B, a"),
            On::Any => Some("A, *"),
        }
    }
}

/// What an answer with these headers varies on.
pub fn names(headers: &Headers) -> Names {
    parse(headers.get_all("Vary")).unwrap_or_default()
}

/// All variants that there can be.
static ALL: LazyLock<Vec<VariantId>> = LazyLock::new(|| {
    let mut known: Vec<VariantId> = Vec::new();
    for list in ["a", "b", "a,b"] {
        let names = parse([list.as_bytes()].into_iter()).unwrap();
        for fields in FieldValues::all() {
            let id = VariantId::of(&names, &fields);
            if !known.contains(&id) {
                known.push(id);
            }
        }
    }
    known
});

/// The number of the lock of a variant of a key.
pub fn lock_of(key: Key, id: VariantId) -> Key {
    let place = ALL.iter().position(|known| *known == id).unwrap();
    key + KEYS * (place + 1)
}

/// Locks of keys and variants have numbers below this; those of one worker alone follow, in steps of it.
const LOCKS: usize = 256;

/// The number of a lock in one worker alone.
pub fn lock_in_worker(lock: Key, pid: i32) -> Key {
    lock % LOCKS + LOCKS * usize::try_from(pid).unwrap()
}

/// The number of a lock by what the table calls it.
pub fn lock_of_id(id: LockKey) -> Key {
    let mut worker = [0; 4];
    worker.copy_from_slice(&id.0[1..5]);
    usize::from(id.0[0]) - 1 + LOCKS * u32::from_le_bytes(worker) as usize
}

/// The key whose lock, or that of a variant, has this number.
pub fn key_of(lock: Key) -> Key {
    lock % KEYS
}

/// What the lock table calls a lock. All that workers share begin their search at the same place.
pub fn id_of(lock: Key) -> LockKey {
    let mut bytes = [0; 16];
    bytes[0] = u8::try_from(lock % LOCKS).unwrap() + 1;
    let worker = u32::try_from(lock / LOCKS).unwrap();
    bytes[1..5].copy_from_slice(&worker.to_le_bytes());
    // Each has a counter of invalidations of its own.
    bytes[8] = bytes[0];
    LockKey(bytes)
}

/// What is known of the variants of a key.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    pub text: Bytes,
    pub family: Option<Family>,
}
