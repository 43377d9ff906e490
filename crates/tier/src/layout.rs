//! Where what lies: control words first, then the arena.

/// Bytes of a unit of the arena.
pub const UNIT: usize = 512;

/// The fewest units of an arena.
const LEAST_UNITS: u32 = 64;

/// The most units of an arena (512 GiB).
const MOST_UNITS: u32 = 1 << 30;

/// How many nodes (servers) of a store have words of their own.
pub(crate) const NODES: u32 = 512;

/// Words of a node.
pub(crate) const NODE_WORDS: usize = 4;

/// Words of an entry.
pub(crate) const ENTRY_WORDS: usize = 16;

/// How many workers can pin at once.
pub(crate) const ROWS: u32 = 64;

/// Entries that were killed without the mutex and are not unlinked yet.
pub(crate) const RING: u32 = 256;

/// Words at the start.
pub(crate) mod header {
    /// Tells this layout from others.
    pub const MAGIC: usize = 0;
    /// Bytes that it was laid out for.
    pub const BYTES: usize = 1;
    /// The process that holds the mutex. 0: nobody.
    pub const MUTEX: usize = 2;
    /// Not 0: the index contradicts itself, and is to be made anew.
    pub const BROKEN: usize = 3;
    /// Epoch of the whole store.
    pub const EPOCH: usize = 4;
    /// The unit where the search for free ones begins.
    pub const CURSOR: usize = 5;
    /// Free units of the arena.
    pub const FREE_UNITS: usize = 6;
    /// The entry that the sweep looks at next.
    pub const SWEEP: usize = 7;
    /// Entries ever put into the ring of the killed, and ever taken from it.
    pub const RING_TAIL: usize = 8;
    pub const RING_HEAD: usize = 9;
    /// Keys ever put into the tables of seen keys and of ghosts.
    pub const SEEN_STAMP: usize = 10;
    pub const GHOST_STAMP: usize = 11;
    /// Statistics.
    pub const INSERTED: usize = 12;
    pub const EVICTED: usize = 13;
    pub const KILLED: usize = 14;
    pub const REFUSED: usize = 15;
    pub const REPAIRED: usize = 16;
    /// Reservations ever asked for.
    pub const ASKED: usize = 17;
    /// For how many units the last search in vain was, and how many are to be free before the next one.
    pub const IN_VAIN: usize = 18;
    /// How far the index has been made anew. 0: it is whole.
    pub const REPAIR: usize = 19;
    /// Queues: four words each.
    pub const QUEUES: usize = 24;
    /// All of them.
    pub const WORDS: usize = 64;
}

/// Where everything lies in a piece of memory, computed from its size alone. Offsets are in words, but for the arena's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    bytes: usize,
    arena: usize,
    pub(crate) units: u32,
    pub(crate) entries: u32,
    /// Powers of two.
    pub(crate) buckets: u32,
    pub(crate) keys: u32,
    pub(crate) slots: u32,
    pub(crate) generations: u32,
    pub(crate) nodes_at: usize,
    pub(crate) generations_at: usize,
    pub(crate) ring_at: usize,
    pub(crate) rows_at: usize,
    pub(crate) buckets_at: usize,
    pub(crate) seen_at: usize,
    pub(crate) ghosts_at: usize,
    pub(crate) entries_at: usize,
    pub(crate) bitmap_at: usize,
    pub(crate) runs_at: usize,
}

impl Layout {
    /// The largest arena, with its control words, in so many bytes. `None` if they are too few: about 256 kB.
    ///
    /// All workers compute it from the same size.
    pub fn of(bytes: usize) -> Option<Layout> {
        let (mut least, mut most) = (LEAST_UNITS, MOST_UNITS);
        let fits = |units| Layout::with_units(units).filter(|layout| layout.bytes <= bytes);
        fits(least)?;
        while least < most {
            let middle = least + (most - least).div_ceil(2);
            match fits(middle) {
                Some(_) => least = middle,
                None => most = middle - 1,
            }
        }
        let layout = fits(least)?;
        (layout.arena_bytes() >= bytes / 4).then_some(layout)
    }

    /// The layout of an arena of so many units, for measurements and tests. `None` out of 64 to 2^30.
    pub fn with_units(units: u32) -> Option<Layout> {
        if !(LEAST_UNITS..=MOST_UNITS).contains(&units) {
            return None;
        }
        let entries = (units / 4).max(64);
        let buckets = entries.checked_next_power_of_two()?;
        let slots = (entries / 16).clamp(64, 1024).next_power_of_two();
        let generations = (units / 2).clamp(1024, 1 << 16).next_power_of_two();
        let mut at = header::WORDS;
        let mut take = |words: usize| {
            let start = at;
            at += words;
            start
        };
        let nodes_at = take(NODES as usize * NODE_WORDS);
        let generations_at = take(generations as usize);
        let ring_at = take(RING as usize);
        let rows_at = take(ROWS as usize * (1 + slots as usize));
        let buckets_at = take(buckets as usize);
        let seen_at = take(buckets as usize);
        let ghosts_at = take(buckets as usize);
        let entries_at = take(entries as usize * ENTRY_WORDS);
        let bitmap_at = take(units.div_ceil(64) as usize);
        let runs_at = take(units as usize);
        let arena = (at * 8).next_multiple_of(UNIT);
        Some(Layout {
            bytes: arena + units as usize * UNIT,
            arena,
            units,
            entries,
            buckets,
            keys: buckets,
            slots,
            generations,
            nodes_at,
            generations_at,
            ring_at,
            rows_at,
            buckets_at,
            seen_at,
            ghosts_at,
            entries_at,
            bitmap_at,
            runs_at,
        })
    }

    /// Bytes of all of it: control words and arena.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Words before the arena: so many [`crate::Tier`] needs.
    pub fn control_words(&self) -> usize {
        self.arena / 8
    }

    /// Where the arena begins, in bytes from the start: a multiple of [`UNIT`].
    pub fn arena_offset(&self) -> usize {
        self.arena
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.units as usize * UNIT
    }

    /// Units of the arena.
    pub fn units(&self) -> u32 {
        self.units
    }

    /// Entries of the index: the most records at a time.
    pub fn entries(&self) -> u32 {
        self.entries
    }
}
