//! How much memory a connection reads its replies into.

/// What is read at once where replies are small. A small reply that is kept keeps this much memory.
const LEAST: usize = 16 << 10;

/// A reply up to this size finds room for all of it before it has begun, if the last ones were as large. The memory of a
/// longer one is made when its length is known, and serves no other.
const MOST: usize = 64 << 10;

/// With less room than this a read isn't worth its system call. What stands beside the body of a record is rarely longer.
const WORTH: usize = 2 << 10;

/// What follows the body of a record within its reply. The next reply, with its headers, doesn't fit in there: it would
/// keep the memory of a large body.
const TAIL: usize = 256;

/// Decides when a connection's buffer is to be replaced, and how large the next is.
///
/// Bodies aren't copied: they stay where they were read. So a reply should find room for all of it at once, in one
/// system call. What has come of one is copied if it doesn't.
#[derive(Debug, Default)]
pub struct Room {
    /// How large the buffer was made.
    size: usize,
    /// The longest reply since.
    longest: usize,
    /// The longest reply to the buffer before.
    before: usize,
}

impl Room {
    /// How many bytes there must be room for at least, with so many `held` of a reply under way, of which so many are known
    /// to be `missing` (0: none is under way).
    #[must_use]
    pub const fn needed(held: usize, missing: usize) -> usize {
        let more_than_a_line = missing > 1;
        // To read what is missing costs less than to copy what is here.
        if missing < WORTH && !(more_than_a_line && held > LEAST) {
            return WORTH;
        }
        missing
    }

    /// Whether the buffer may be used again for other replies, once nobody has a part of it.
    #[must_use]
    pub const fn is_reusable(&self) -> bool {
        self.size <= MOST + WORTH
    }

    /// How large the next buffer is, in bytes; with `held` and `missing` as above.
    pub fn next(&mut self, held: usize, missing: usize) -> usize {
        let usual = self.longest.max(self.before);
        self.before = self.longest;
        self.longest = 0;
        let known = held.saturating_add(missing);
        self.size = if missing <= 1 && held > 0 {
            // A line, of any length.
            known.saturating_add(LEAST)
        } else if known > MOST {
            known.saturating_add(TAIL)
        } else {
            // What is longer than that gets its memory when it has come to be known.
            let usual = if usual > MOST { 0 } else { usual };
            known.max(usual).saturating_add(WORTH).max(LEAST)
        };
        self.size
    }

    /// A reply of so many bytes is whole.
    pub fn taken(&mut self, bytes: usize) {
        self.longest = self.longest.max(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_replies_share_a_small_buffer() {
        let mut room = Room::default();
        for _ in 0..3 {
            assert_eq!(room.next(0, 0), LEAST);
            room.taken(10);
            room.taken(1500);
        }
        assert!(room.is_reusable());
    }

    #[test]
    fn a_reply_finds_room_if_the_last_was_as_long() {
        let mut room = Room::default();
        assert_eq!(room.next(0, 0), LEAST);
        // a body of 32 kB behind 1 kB of headers: its length is known when the first buffer is full
        assert_eq!(room.next(15 << 10, 17 << 10), (32 << 10) + WORTH);
        room.taken(33 << 10);
        for _ in 0..3 {
            let size = room.next(0, 0);
            assert_eq!(size, (33 << 10) + WORTH);
            room.taken(10);
            room.taken(33 << 10);
        }
        assert!(room.is_reusable());
        // They were small again for the whole life of a buffer.
        assert_eq!(room.next(0, 0), (33 << 10) + WORTH);
        room.taken(1500);
        assert_eq!(room.next(0, 0), (33 << 10) + WORTH);
        room.taken(1500);
        assert_eq!(room.next(0, 0), LEAST);
    }

    #[test]
    fn a_large_body_has_a_buffer_of_its_own() {
        let mut room = Room::default();
        let megabyte = 1 << 20;
        assert_eq!(room.next(0, 0), LEAST);
        assert_eq!(room.next(LEAST, megabyte), LEAST + megabyte + TAIL);
        assert!(!room.is_reusable());
        room.taken(megabyte);
        // It says nothing of the next buffer.
        assert_eq!(room.next(0, 0), LEAST);
        assert!(room.is_reusable());
    }

    #[test]
    fn the_end_of_a_long_reply_is_read_where_its_beginning_is() {
        assert_eq!(Room::needed(0, 0), WORTH);
        assert_eq!(Room::needed(1 << 20, 100), 100);
        // a line, which may be longer
        assert_eq!(Room::needed(1 << 20, 1), WORTH);
        assert_eq!(Room::needed(1000, 100), WORTH);
        assert_eq!(Room::needed(1000, 5000), 5000);
    }

    #[test]
    fn a_line_of_any_length_is_not_copied_often() {
        let mut room = Room::default();
        assert_eq!(room.next(40 << 10, 1), (56 << 10) + 1);
        assert_eq!(room.next(100 << 10, 1), (116 << 10) + 1);
    }

    #[test]
    fn no_announcement_overflows() {
        let mut room = Room::default();
        assert_eq!(room.next(1, usize::MAX), usize::MAX);
    }
}
