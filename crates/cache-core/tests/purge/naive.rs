//! A log that keeps everything and asks each entry: what [`cache_core::purge::Log`] is compared with.

use cache_core::purge::{Entry, Labels, Mode, Verdict};

#[derive(Default)]
pub struct Naive(Vec<(Entry, u64)>);

impl Naive {
    pub fn add(&mut self, entry: Entry, number: u64) {
        self.0.push((entry, number));
    }

    pub fn judge(&self, record: u64, labels: Option<&Labels<'_>>) -> Verdict {
        self.0
            .iter()
            .filter(|(entry, number)| *number > record && entry.selector.selects(labels))
            .map(|(entry, _)| match entry.mode {
                Mode::Soft => Verdict::Soft,
                Mode::Hard => Verdict::Hard,
            })
            .max()
            .unwrap_or(Verdict::Kept)
    }
}
