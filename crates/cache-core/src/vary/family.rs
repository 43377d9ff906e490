//! Where the variants of a key live.
//!
//! The key itself, the base, holds one variant, so that a lookup of the commonest is one round trip and the Lua
//! script finds a record where it looks for one. Further variants have slots, keys beside it in the same
//! Redis slot. The base's field `variants` says which variant is where; together they are a family, which ends
//! when the base goes.

use bytes::Bytes;

use super::{Names, VariantId};

/// Most variants that a key may have.
pub const MAX_VARIANTS: usize = 256;

const VERSION: &[u8] = b"1";
/// Longest token of a family, in bytes.
const MAX_TOKEN: usize = 64;

/// The variants of a key: text of the base's field `variants`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Ties the records of the family together: each of them carries it.
    pub token: Bytes,
    /// What they vary on.
    pub on: Names,
    /// The slot whose variant is the oldest, and goes next when there is no room; 0 is the base.
    pub cursor: usize,
    /// The variants: the first is the base's, the n-th further one has slot n.
    pub ids: Vec<VariantId>,
}

impl Family {
    /// A family of one.
    #[must_use]
    pub fn new(token: Bytes, on: Names, id: VariantId) -> Self {
        Self {
            token,
            on,
            cursor: 0,
            ids: vec![id],
        }
    }

    /// Where a variant lives: 0 is the base. It may have expired there.
    #[must_use]
    pub fn slot_of(&self, id: VariantId) -> Option<usize> {
        self.ids.iter().position(|known| *known == id)
    }

    /// Writes the field: `1 <token> <on> <cursor> <id> <id> ...`. Bytes of the token that would end it are left out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut decimal = itoa::Buffer::new();
        let mut text = Vec::with_capacity(64 + self.on.as_bytes().len() + self.ids.len() * 33);
        text.extend_from_slice(VERSION);
        text.push(b' ');
        text.extend(self.token.iter().filter(|b| b.is_ascii_graphic()));
        text.push(b' ');
        text.extend_from_slice(self.on.as_bytes());
        text.push(b' ');
        text.extend_from_slice(decimal.format(self.cursor).as_bytes());
        for id in &self.ids {
            text.push(b' ');
            text.extend_from_slice(&id.to_hex());
        }
        text
    }

    /// Reads the field. `None` for another version or a text that isn't one: there is no family then.
    #[must_use]
    pub fn parse(text: &Bytes) -> Option<Self> {
        let mut parts = text.split(|&b| b == b' ');
        if parts.next() != Some(VERSION) {
            return None;
        }
        let token = parts.next().filter(|token| {
            (1..=MAX_TOKEN).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic)
        })?;
        let on = Names::from_text(parts.next()?)?;
        let cursor = number(parts.next()?).filter(|cursor| *cursor < MAX_VARIANTS)?;
        let mut ids = Vec::new();
        for part in parts {
            let id = VariantId::from_hex(part)?;
            if ids.len() == MAX_VARIANTS || ids.contains(&id) {
                return None;
            }
            ids.push(id);
        }
        if ids.is_empty() {
            return None;
        }
        Some(Self {
            token: text.slice_ref(token),
            on,
            cursor,
            ids,
        })
    }
}

/// A decimal number as [`Family::encode`] writes it.
fn number(text: &[u8]) -> Option<usize> {
    let canonical = matches!(text, [b'0'] | [b'1'..=b'9', ..]);
    if !canonical || text.len() > 3 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The slot that a new response goes to, and the family as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// 0 is the base.
    pub slot: usize,
    /// What the base's field says afterwards.
    pub family: Family,
}

/// Chooses the slot for a response that varies on `on` and is the variant `id`: into its own place if it has one,
/// else into a new slot, else into that of the oldest. Without a family, or with one that varies on
/// something else, it becomes the base of a new one, named by `token`.
///
/// `most` is how many variants `key` may have; see also [`slot_key`].
#[must_use]
pub fn choose_slot(
    key: &[u8],
    family: Option<&Family>,
    on: &Names,
    id: VariantId,
    most: usize,
    token: impl FnOnce() -> Bytes,
) -> Placement {
    let most = if slot_key(key, 1).is_some() {
        most.clamp(1, MAX_VARIANTS)
    } else {
        1
    };
    let Some(family) = family.filter(|family| family.on == *on) else {
        return Placement {
            slot: 0,
            family: Family::new(token(), on.clone(), id),
        };
    };
    let mut family = family.clone();
    if let Some(slot) = family.slot_of(id) {
        return Placement { slot, family };
    }
    let slot = if family.ids.len() < most {
        family.ids.push(id);
        family.ids.len() - 1
    } else {
        let oldest = family.cursor % most;
        if let Some(replaced) = family.ids.get_mut(oldest) {
            *replaced = id;
        }
        family.cursor = (oldest + 1) % most;
        oldest
    };
    Placement { slot, family }
}

/// The Redis key of a slot. Redis Cluster hashes the part of a key between its first `{` and the next `}`, unless
/// that is empty: the name is made so that this part is the same as the key's, or all of the key. `None` if
/// no name is: such a key has its base only.
#[must_use]
pub fn slot_key(key: &[u8], slot: usize) -> Option<Vec<u8>> {
    let mut decimal = itoa::Buffer::new();
    let number = decimal.format(slot).as_bytes();
    if has_tag(key) {
        Some([key, b":v", number].concat())
    } else if key.is_empty() || key.contains(&b'}') {
        None
    } else {
        Some([b"{", key, b"}:v", number].concat())
    }
}

/// Whether a key, or that of which it is a slot, begins so.
#[must_use]
pub fn begins_with(key: &[u8], prefix: &[u8]) -> bool {
    key.starts_with(prefix)
        || key
            .strip_prefix(b"{")
            .is_some_and(|key| key.starts_with(prefix))
}

/// What the slots of keys begin with that begin so, if that is something else.
#[must_use]
pub fn slot_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let slots = [b"{", prefix].concat();
    (!slots.starts_with(prefix)).then_some(slots)
}

/// Whether a key says itself which part of it is hashed.
fn has_tag(key: &[u8]) -> bool {
    let mut parts = key.splitn(2, |&b| b == b'{');
    let behind = parts.nth(1).unwrap_or_default();
    behind
        .iter()
        .position(|&b| b == b'}')
        .is_some_and(|length| length > 0)
}
