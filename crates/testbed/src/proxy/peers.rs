//! Whose connections a proxy treats in which way.

use std::net::IpAddr;

use super::{Rule, Way};

/// Connections, by the address they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// All.
    All,
    /// Those from one of these.
    From(Vec<IpAddr>),
    /// Those from anywhere else.
    NotFrom(Vec<IpAddr>),
}

impl Peers {
    /// Whether connections from `address` are meant.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        match self {
            Peers::All => true,
            Peers::From(addresses) => addresses.contains(&address),
            Peers::NotFrom(addresses) => !addresses.contains(&address),
        }
    }
}

/// What happens to connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Treatment {
    rules: [Rule; 2],
    refusing: bool,
}

/// What happens to whose connections. The latest word on a connection counts.
#[derive(Debug, Default)]
pub(super) struct Treatments(Vec<(Peers, Treatment)>);

impl Treatments {
    pub(super) fn set(&mut self, peers: &Peers, way: Way, rule: Rule) {
        self.latest(peers).rules[way as usize] = rule;
    }

    pub(super) fn refuse(&mut self, peers: &Peers) {
        self.latest(peers).refusing = true;
    }

    pub(super) fn heal(&mut self, peers: &Peers) {
        self.0
            .retain(|(known, _)| *peers != Peers::All && known != peers);
    }

    pub(super) fn rule(&self, address: IpAddr, way: Way) -> Rule {
        let treatment = self.of(address);
        treatment.map_or_else(Rule::pass, |treatment| {
            treatment.rules[way as usize].clone()
        })
    }

    pub(super) fn refuses(&self, address: IpAddr) -> bool {
        self.of(address).is_some_and(|treatment| treatment.refusing)
    }

    fn of(&self, address: IpAddr) -> Option<&Treatment> {
        let mut from_latest = self.0.iter().rev();
        let found = from_latest.find(|(peers, _)| peers.contain(address));
        found.map(|(_, treatment)| treatment)
    }

    /// The treatment of exactly these peers, made the latest.
    fn latest(&mut self, peers: &Peers) -> &mut Treatment {
        let known = self.0.iter().position(|(known, _)| known == peers);
        let entry = match known {
            Some(at) => self.0.remove(at),
            None => (peers.clone(), Treatment::default()),
        };
        self.0.push(entry);
        let last = self.0.len() - 1;
        &mut self.0[last].1
    }
}
