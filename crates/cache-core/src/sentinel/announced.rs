//! What the worker that asks the Sentinels tells the others, as bytes of a bounded size in shared memory:
//! `<config epoch> <master> <replica> <replica> ...`.

use super::event::Master;
use crate::cluster::Address;

/// Room for every announcement that [`Announced::encode`] gives, in bytes.
pub const ANNOUNCED_SIZE: usize = 4096;

/// The master, and the replicas that serve lookups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The master.
    pub master: Master<Address>,
    /// Its replicas that are healthy, in any order. The master isn't among them.
    pub replicas: Vec<Address>,
}

impl Announced {
    /// The announcement as bytes. Replicas for which there is no room in [`ANNOUNCED_SIZE`] are left out: lookups don't need
    /// them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{} {}", self.master.epoch, self.master.address);
        for replica in &self.replicas {
            let more = format!(" {replica}");
            if text.len() + more.len() > ANNOUNCED_SIZE {
                break;
            }
            text.push_str(&more);
        }
        text.into_bytes()
    }

    /// Reads what [`Announced::encode`] gave. `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut words = text.split(' ');
        let epoch = words.next()?.parse().ok()?;
        let mut addresses = words.map(|word| Address::parse(word.as_bytes()));
        Some(Self {
            master: Master {
                address: addresses.next()??,
                epoch,
            },
            replicas: addresses.collect::<Option<_>>()?,
        })
    }
}
