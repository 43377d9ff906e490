//! Which slot map is believed.
//!
//! A node may have lost sight of the others, or belong to another cluster by now. A map that has lost slots counts once
//! a second node has lost the same (Nordix/hiredis-cluster#191, redisson/redisson#3587); one that has no node in common
//! with the known one doesn't count at all (redis/lettuce#1946).

use super::address::Address;
use super::map::{NOBODY, SlotMap};

/// What is made of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It says what is known.
    Same,
    /// It is the map from now on.
    Taken,
    /// It has lost slots: a second node must be asked.
    Unconfirmed,
    /// It is that of another cluster.
    Foreign,
}

/// What one who asks for maps remembers of them.
#[derive(Debug, Default)]
pub struct Acceptance {
    /// Who has lost which slots.
    pending: Option<(Address, Vec<usize>)>,
}

impl Acceptance {
    /// Judges a map that came from `asked`. `known` is the map in use; `None` if only the configured servers are known.
    pub fn judge(&mut self, known: Option<&SlotMap>, offered: &SlotMap, asked: &Address) -> Judged {
        let Some(known) = known else {
            return Judged::Taken;
        };
        if !known.has_in_common(offered) {
            return Judged::Foreign;
        }
        if known == offered {
            self.pending = None;
            return Judged::Same;
        }
        let lost = lost(known, offered);
        // One that is reached by a name that no map knows may be one that was asked by its address.
        let counts = known.find(asked).is_some() || offered.find(asked).is_some();
        let confirmed = counts && self.is_confirmed(asked, &lost);
        if lost.is_empty() || confirmed || !has_second(known, offered) {
            self.pending = None;
            return Judged::Taken;
        }
        if counts {
            self.pending = Some((asked.clone(), lost));
        }
        Judged::Unconfirmed
    }

    /// Whether another node has lost these slots, too.
    fn is_confirmed(&self, asked: &Address, lost: &[usize]) -> bool {
        let Some((first, slots)) = &self.pending else {
            return false;
        };
        first != asked && lost.iter().all(|slot| slots.binary_search(slot).is_ok())
    }
}

/// Slots that have no master any more, in order.
fn lost(known: &SlotMap, offered: &SlotMap) -> Vec<usize> {
    let both = known.owners.iter().zip(&offered.owners).enumerate();
    both.filter(|(_, (before, now))| **before != NOBODY && **now == NOBODY)
        .map(|(slot, _)| slot)
        .collect()
}

/// Whether there is more than one node that could be asked.
fn has_second(known: &SlotMap, offered: &SlotMap) -> bool {
    let mut all = known.nodes().iter().chain(offered.nodes());
    let first = all.next();
    all.any(|node| first.is_some_and(|first| first.address != node.address))
}
