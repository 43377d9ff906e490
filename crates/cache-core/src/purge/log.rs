//! What one worker knows of a store's log, and what that means for a record.

mod place;

use std::collections::{HashMap, HashSet};

use super::entry::{Entry, Member, member};
use super::kind::{Kind, Mode};
use super::labels::Labels;
use super::selector::{ANYWHERE, Selector};
use super::tag_id::TagId;
use place::{Numbers, Place};

/// Most entries that are kept, in the store and in a worker.
pub const MAX_ENTRIES: usize = 16_384;

/// Most bytes that they take in a worker, about.
const MAX_BYTES: usize = 4 << 20;

/// What an entry takes beside its text, about.
const ENTRY_BYTES: usize = 64;

/// What the purges mean for a record. A later one includes what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It stays as it is.
    Kept,
    /// It is stale.
    Soft,
    /// It is gone.
    Hard,
}

/// The purges of a store that are known.
#[derive(Clone, Debug)]
pub struct Log {
    /// The highest number up to which all is in,
    last: u64,
    /// and the members that had it.
    last_members: Vec<Box<[u8]>>,
    /// The same of what is in, if it is read to its end.
    seen: u64,
    seen_members: Vec<Box<[u8]>>,
    /// The server that has given the newest number, and that number.
    server: (Box<[u8]>, u64),
    /// The highest numbers of any entry. They concern records without labels.
    newest: Numbers,
    /// The highest numbers of entries that concern all records, and of those that were dropped.
    floor: Numbers,
    /// What of that are entries for all records,
    all: Numbers,
    /// and entries that were dropped to make room. What is above both nobody knows any more: see [`Log::complete`].
    dropped: Numbers,
    /// The highest numbers of entries by tag or group. They concern records that have more tags than are known.
    newest_tags: Numbers,
    /// By tag or group. Their identifiers differ; the kind is for [`Log::members`].
    tags: HashMap<TagId, (Kind, Numbers)>,
    /// By the text of the scope.
    places: HashMap<Box<[u8]>, Place>,
    entries: usize,
    bytes: usize,
    max_entries: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self::bounded(MAX_ENTRIES)
    }
}

impl Log {
    /// A log that keeps so many entries at most.
    #[must_use]
    pub fn bounded(max_entries: usize) -> Self {
        Self {
            last: 0,
            last_members: Vec::new(),
            seen: 0,
            seen_members: Vec::new(),
            server: (Box::default(), 0),
            newest: Numbers::default(),
            floor: Numbers::default(),
            all: Numbers::default(),
            dropped: Numbers::default(),
            newest_tags: Numbers::default(),
            tags: HashMap::new(),
            places: HashMap::new(),
            entries: 0,
            bytes: 0,
            max_entries: max_entries.max(2),
        }
    }

    /// The highest number up to which all is in ([`Log::complete`]): the log is to be read from there on. While it is being read, what
    /// was read says nothing: an entry that is added again gets a higher number, behind what was read so far.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// How many entries are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether none is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Takes in a member of the store's log with its number. They may come in any order; [`Log::complete`] says that all are in.
    pub fn apply(&mut self, text: &[u8], number: u64) {
        if let Member::Server(name) = Member::parse(text) {
            if number >= self.server.1 {
                self.server = (name.into(), number);
            }
            return;
        }
        if number > self.seen {
            self.seen_members.clear();
        }
        if number > 0
            && number >= self.seen
            && !self.seen_members.iter().any(|known| **known == *text)
        {
            self.seen_members.push(text.into());
        }
        match Member::parse(text) {
            Member::Entry(entry) => self.add(&entry, number),
            Member::Floor(mode) => self.drop_to(mode, number),
            Member::Unknown => self.drop_to(Mode::Hard, number),
            Member::Server(_) => {}
        }
    }

    /// Takes in a purge.
    pub fn add(&mut self, entry: &Entry, number: u64) {
        let Entry { mode, selector } = entry;
        if *selector == Selector::all() {
            self.all.raise(*mode, number);
            return self.add_floor(*mode, number);
        }
        self.saw(*mode, number);
        if self.floor.covers(*mode, number) {
            return;
        }
        if matches!(selector, Selector::Tag(_) | Selector::Group(_)) {
            self.newest_tags.raise(*mode, number);
        }
        self.note_path(selector, *mode, number);
        let (numbers, length) = self.numbers_of(selector);
        if numbers.raise(*mode, number) {
            self.entries += 1;
            self.bytes += ENTRY_BYTES + length;
        }
        while self.entries > self.max_entries || self.bytes > MAX_BYTES {
            self.drop_oldest();
        }
    }

    /// Entries up to this number were dropped.
    fn drop_to(&mut self, mode: Mode, number: u64) {
        self.dropped.raise(mode, number);
        self.add_floor(mode, number);
    }

    /// All records with a lower number are purged.
    fn add_floor(&mut self, mode: Mode, number: u64) {
        self.saw(mode, number);
        self.floor.raise(mode, number);
    }

    /// Whether the store may have lost something: another server gives the numbers now, which may lack the newest of its master; or of
    /// what was read of the log before, the newest isn't in what was read now, from the number [`Log::last`] on.
    #[must_use]
    pub fn is_lost<'a>(&self, read: impl Iterator<Item = (&'a [u8], u64)> + Clone) -> bool {
        let servers = read
            .clone()
            .filter_map(|(member, number)| match Member::parse(member) {
                Member::Server(name) => Some((number, name)),
                _ => None,
            });
        let newest = servers.max();
        if self.server.1 > 0 && newest.is_some_and(|(_, name)| *name != *self.server.0) {
            return true;
        }
        // What is below a floor was dropped to make room.
        let has_floor = read.clone().any(|(member, number)| {
            number >= self.last && matches!(Member::parse(member), Member::Floor(_))
        });
        let there: HashSet<&[u8]> = read.map(|(member, _)| member).collect();
        let is_lost = |member: &[u8]| {
            !there.contains(member) && !matches!(Member::parse(member), Member::Floor(_))
        };
        !has_floor && self.last_members.iter().any(|member| is_lost(member))
    }

    /// What is to be put back into a store that has lost something, of whose log this is all: what is known here, and what the store
    /// has given numbers to meanwhile that are no higher than those which are known here. All of it gets new numbers, but floors. So
    /// where nobody knows any more what was purged that becomes a purge of all: others have read past the number of a floor, and
    /// what it covers couldn't be put back by those that know it.
    #[must_use]
    pub fn lost<'a>(
        &self,
        all: impl Iterator<Item = (&'a [u8], u64)> + Clone,
    ) -> Vec<(Vec<u8>, u64)> {
        let there: HashMap<&[u8], u64> = all.clone().collect();
        let mut all_records = self.all;
        self.floor.each(|mode, number| {
            if !self.dropped.covers(mode, number) {
                all_records.raise(mode, number);
            }
        });
        let mut members = self.members_with(self.dropped, all_records);
        let known: HashMap<Vec<u8>, u64> = members.iter().cloned().collect();
        members.retain(|(member, number)| there.get(&member[..]).is_none_or(|is| is < number));
        for (member, number) in all {
            let may_be_missed = match Member::parse(member) {
                // What a purge of all includes isn't kept here.
                Member::Entry(entry) => !all_records.covers(entry.mode, number),
                Member::Unknown => true,
                Member::Floor(_) | Member::Server(_) => false,
            };
            if may_be_missed && number <= self.last && known.get(member) != Some(&number) {
                members.push((member.to_vec(), self.last + 1));
            }
        }
        members
    }

    /// All that the store has is in, and there was a purge of this number. If it isn't among them the store has lost it: then all
    /// records from before it count as purged, because nobody knows which it concerned.
    pub fn complete(&mut self, last: u64) {
        if self.seen < last {
            self.add_floor(Mode::Hard, last);
            // There is none that the store must have.
            self.seen_members.clear();
        }
        self.last = self.seen;
        self.last_members.clone_from(&self.seen_members);
    }

    fn saw(&mut self, mode: Mode, number: u64) {
        self.seen = self.seen.max(number);
        self.newest.raise(mode, number);
    }

    /// An entry about a path with arguments concerns the records of that path that are for several arguments.
    fn note_path(&mut self, selector: &Selector, mode: Mode, number: u64) {
        if let Selector::Prefix(scope, _) | Selector::Uri(scope, _) = selector
            && let Some(path) = selector.path_with_arguments()
        {
            let place = self.places.entry(scope.text().into()).or_default();
            let numbers = place.with_arguments.entry(path.into()).or_default();
            if *numbers == Numbers::default() {
                self.bytes += ENTRY_BYTES + path.len();
            }
            numbers.raise(mode, number);
        }
    }

    /// The numbers of a selector, and how long its text is.
    fn numbers_of(&mut self, selector: &Selector) -> (&mut Numbers, usize) {
        let (scope, text) = match selector {
            Selector::Tag(id) | Selector::Group(id) => {
                let new = || (selector.kind(), Numbers::default());
                let (_, numbers) = self.tags.entry(*id).or_insert_with(new);
                return (numbers, 0);
            }
            Selector::Within(scope) => (scope, &[][..]),
            Selector::Prefix(scope, text) | Selector::Uri(scope, text) => (scope, &**text),
        };
        let scope = scope.text();
        let length = scope.len() + text.len();
        let place = self.places.entry(scope.into()).or_default();
        let numbers = match selector {
            Selector::Prefix(..) => place.below.0.entry(text.into()).or_default(),
            Selector::Uri(..) => place.at.entry(text.into()).or_default(),
            _ => &mut place.whole,
        };
        (numbers, length)
    }

    /// Drops what the floor covers, and if that isn't enough the older half: the floor rises to it.
    fn drop_oldest(&mut self) {
        self.drop_covered();
        if self.entries <= self.max_entries / 2 && self.bytes <= MAX_BYTES / 2 {
            return;
        }
        let mut kept: Vec<(u64, Mode)> = Vec::with_capacity(self.entries);
        self.each(|_, _, mode, number| kept.push((number, mode)));
        kept.sort_unstable();
        let half = kept.len().div_ceil(2);
        let cut = kept
            .get(half.saturating_sub(1))
            .map_or(0, |(number, _)| *number);
        for (number, mode) in kept {
            if number <= cut {
                self.drop_to(mode, number);
            }
        }
        self.drop_up_to(cut);
    }

    fn drop_covered(&mut self) {
        let floor = self.floor;
        self.retain(|mode, number| !floor.covers(mode, number));
    }

    fn drop_up_to(&mut self, cut: u64) {
        let floor = self.floor;
        self.retain(|mode, number| number > cut && !floor.covers(mode, number));
    }

    fn retain(&mut self, keep: impl Fn(Mode, u64) -> bool) {
        self.tags.retain(|_, (_, numbers)| numbers.retain(&keep));
        self.places.retain(|_, place| place.retain(&keep));
        let (mut entries, mut bytes) = (0, 0);
        self.each(|_, text, _, _| {
            entries += 1;
            bytes += ENTRY_BYTES + text.len();
        });
        let places = self.places.values();
        let paths = places.flat_map(|place| place.with_arguments.keys());
        bytes += paths.map(|path| ENTRY_BYTES + path.len()).sum::<usize>();
        (self.entries, self.bytes) = (entries, bytes);
    }

    /// Calls `take` with kind, text, mode and number of each entry that is kept.
    fn each(&self, mut take: impl FnMut(Kind, Text<'_>, Mode, u64)) {
        for (id, (kind, numbers)) in &self.tags {
            numbers.each(|mode, number| take(*kind, Text::Tag(*id), mode, number));
        }
        for (scope, place) in &self.places {
            place.each(scope, |kind, path, mode, number| {
                take(kind, Text::Place(scope, path), mode, number);
            });
        }
    }

    /// All that is known, as members of a log with their numbers: to be added again where the store has lost its own.
    #[must_use]
    pub fn members(&self) -> Vec<(Vec<u8>, u64)> {
        self.members_with(self.floor, self.all)
    }

    fn members_with(&self, floor: Numbers, all: Numbers) -> Vec<(Vec<u8>, u64)> {
        let mut members = Vec::with_capacity(self.entries + 4);
        floor.each(|mode, number| members.push((Member::Floor(mode).encode(), number)));
        all.each(|mode, number| members.push((member(Kind::All, mode, &[]), number)));
        self.each(|kind, text, mode, number| {
            members.push((member(kind, mode, &text.write()), number));
        });
        // The oldest first, as they were given: what is put back keeps its order.
        members
            .sort_unstable_by(|(one, first), (other, second)| (first, one).cmp(&(second, other)));
        members
    }

    /// What becomes of a record that carries this number: the last that was known when its fill began. Of a record without
    /// labels nothing is known: each later entry concerns it.
    #[must_use]
    pub fn judge(&self, number: u64, labels: Option<&Labels<'_>>) -> Verdict {
        let Some(labels) = labels else {
            return self.newest.verdict(number);
        };
        let places = [ANYWHERE, labels.host(), labels.origin()]
            .into_iter()
            .filter_map(|scope| self.places.get(scope))
            .flat_map(|place| place.of(labels));
        let tags = labels.tags().filter_map(|id| self.tags.get(&id));
        let selecting = std::iter::once(&self.floor)
            .chain(labels.has_more_tags().then_some(&self.newest_tags))
            .chain(places)
            .chain(tags.map(|(_, numbers)| numbers));
        let mut worst = Verdict::Kept;
        for numbers in selecting {
            worst = worst.max(numbers.verdict(number));
            if worst == Verdict::Hard {
                break;
            }
        }
        worst
    }
}

/// By what an entry selects.
enum Text<'a> {
    Tag(TagId),
    /// Scope and path.
    Place(&'a [u8], &'a [u8]),
}

impl Text<'_> {
    /// Bytes that are kept of it.
    const fn len(&self) -> usize {
        match self {
            Self::Tag(_) => 0,
            Self::Place(scope, path) => scope.len() + path.len(),
        }
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::Tag(id) => id.to_hex().into_bytes(),
            Self::Place(scope, path) => [*scope, *path].concat(),
        }
    }
}
