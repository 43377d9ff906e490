//! Slots: the parts that the keys of a cluster are divided into.

use crc::{CRC_16_XMODEM, Crc};

/// How many slots there are.
pub const SLOTS: usize = 16_384;

/// Redis Cluster calls this CRC16-CCITT (XMODEM): polynomial 0x1021, initial value 0.
const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The number of a slot, below [`SLOTS`]. The default is slot 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of this number. `None` if there is none.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if (number as usize) < SLOTS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Reads a number in decimal.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(text)
            .ok()?
            .parse()
            .ok()
            .and_then(Self::new)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its number, to index with.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS as u16).map(Self)
    }
}

/// The slot of a key: that of its hash tag if it has one, else that of all of it.
///
/// A hash tag is what stands between the first `{` and the first `}` behind it, unless that is empty (Redis Cluster
/// specification, "Hash tags").
#[must_use]
pub fn slot_of(key: &[u8]) -> Slot {
    // 16384 is a power of 2: the remainder is the lower 14 bits.
    Slot(CHECKSUM.checksum(hashed(key)) % SLOTS as u16)
}

/// The part of a key that is hashed.
fn hashed(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let behind = key.get(open + 1..).unwrap_or_default();
    match memchr::memchr(b'}', behind) {
        None | Some(0) => key,
        Some(length) => behind.get(..length).unwrap_or(key),
    }
}
