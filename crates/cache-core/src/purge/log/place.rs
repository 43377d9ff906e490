//! Entries by the place that they are about, and the numbers of entries that differ in their mode alone.

use std::collections::HashMap;

use super::Verdict;
use crate::purge::kind::{Kind, Mode};
use crate::purge::labels::Labels;
use crate::purge::prefixes::Prefixes;
use crate::purge::selector::authority;

/// The highest number of a selector's entries in each mode, 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    soft: u64,
    hard: u64,
}

impl Numbers {
    /// An entry more. Whether it is the first of its mode.
    pub fn raise(&mut self, mode: Mode, number: u64) -> bool {
        let place = match mode {
            Mode::Soft => &mut self.soft,
            Mode::Hard => &mut self.hard,
        };
        let is_first = *place == 0 && number > 0;
        *place = number.max(*place);
        is_first
    }

    /// Whether an entry of this number adds nothing, if all of its records are among those of these numbers.
    pub const fn covers(&self, mode: Mode, number: u64) -> bool {
        number <= self.hard || matches!(mode, Mode::Soft) && number <= self.soft
    }

    /// What becomes of a record with this number.
    pub const fn verdict(&self, number: u64) -> Verdict {
        if self.hard > number {
            Verdict::Hard
        } else if self.soft > number {
            Verdict::Soft
        } else {
            Verdict::Kept
        }
    }

    /// Calls `take` with each mode that has a number.
    pub fn each(&self, mut take: impl FnMut(Mode, u64)) {
        for (mode, number) in [(Mode::Soft, self.soft), (Mode::Hard, self.hard)] {
            if number > 0 {
                take(mode, number);
            }
        }
    }

    /// Forgets what isn't to be kept. Whether something is left.
    pub fn retain(&mut self, keep: impl Fn(Mode, u64) -> bool) -> bool {
        if !keep(Mode::Soft, self.soft) {
            self.soft = 0;
        }
        if !keep(Mode::Hard, self.hard) {
            self.hard = 0;
        }
        *self != Self::default()
    }
}

/// The entries about one scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// About all of it.
    pub whole: Numbers,
    /// About what begins so.
    pub below: Prefixes<Numbers>,
    /// About single URIs.
    pub at: HashMap<Box<[u8]>, Numbers>,
    /// The highest of those in `below` and `at` that name arguments, by their paths.
    pub with_arguments: HashMap<Box<[u8]>, Numbers>,
}

impl Place {
    /// The numbers of those that select a record of this scope.
    pub fn of<'a>(&'a self, labels: &Labels<'a>) -> impl Iterator<Item = &'a Numbers> {
        let target = labels.target();
        let paths = labels.any_arguments().then_some(&self.with_arguments);
        std::iter::once(&self.whole)
            .chain(self.at.get(target))
            .chain(self.below.of(target))
            .chain(paths.and_then(|paths| paths.get(target)))
    }

    /// Calls `take` with kind, path, mode and number of each.
    pub fn each(&self, scope: &[u8], mut take: impl FnMut(Kind, &[u8], Mode, u64)) {
        let whole = if authority(scope).is_some() {
            Kind::Origin
        } else {
            Kind::Host
        };
        self.whole
            .each(|mode, number| take(whole, &[], mode, number));
        for (text, numbers) in &self.at {
            numbers.each(|mode, number| take(Kind::Uri, text, mode, number));
        }
        for (text, numbers) in &self.below.0 {
            numbers.each(|mode, number| take(Kind::Prefix, text, mode, number));
        }
    }

    /// Forgets what isn't to be kept. Whether something is left.
    pub fn retain(&mut self, keep: impl Fn(Mode, u64) -> bool) -> bool {
        let whole = self.whole.retain(&keep);
        self.at.retain(|_, numbers| numbers.retain(&keep));
        self.with_arguments
            .retain(|_, numbers| numbers.retain(&keep));
        self.below.0.retain(|_, numbers| numbers.retain(&keep));
        whole || !self.at.is_empty() || !self.below.0.is_empty()
    }
}
