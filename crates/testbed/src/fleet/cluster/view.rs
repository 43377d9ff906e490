//! What one node knows of its cluster: CLUSTER NODES.

use std::ops::RangeInclusive;

/// A node as another knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// Its id.
    pub id: String,
    /// The address that it announces, without a port.
    pub ip: String,
    /// `master`, `slave`, `myself`, `fail?`, `fail`, `handshake`, ...
    pub flags: Vec<String>,
    /// The id of its master, if it is a replica.
    pub master: Option<String>,
    /// Its config epoch.
    pub epoch: u64,
    /// Whether there is a link to it.
    pub linked: bool,
    /// The slots that it has.
    pub slots: Vec<RangeInclusive<u16>>,
}

impl KnownNode {
    /// Whether it has this flag.
    #[must_use]
    pub fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    /// Whether it has `slot`.
    #[must_use]
    pub fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}

/// The lines of CLUSTER NODES.
pub(super) fn parse(text: &str) -> Vec<KnownNode> {
    text.lines().filter_map(line).collect()
}

/// `ID ADDRESS:PORT@BUS[,NAME] FLAGS MASTER PING PONG EPOCH LINK SLOT...`
fn line(line: &str) -> Option<KnownNode> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, address, flags, master, _, _, epoch, link, slots @ ..] = words.as_slice() else {
        return None;
    };
    Some(KnownNode {
        id: (*id).to_owned(),
        ip: address.rsplit_once(':')?.0.to_owned(),
        flags: flags.split(',').map(str::to_owned).collect(),
        master: (*master != "-").then(|| (*master).to_owned()),
        epoch: epoch.parse().ok()?,
        linked: *link == "connected",
        slots: slots.iter().filter_map(|slots| range(slots)).collect(),
    })
}

/// `7`, `0-5460`. `[93->-ID]` is a slot that moves, and is said beside its owner.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}
