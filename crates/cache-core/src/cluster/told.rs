//! Errors by which a server says where a command belongs, or that it isn't its time.

use super::address::Address;
use super::slot::Slot;

/// Where a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The slot of the command.
    pub slot: Slot,
    /// The node that has it. An empty host stands for the host that was asked.
    pub address: Address,
}

/// What an error reply says about the node that sent it. The command wasn't carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// `MOVED`: another node has the slot, from now on.
    Moved(Redirect),
    /// `ASK`: another node has this key, while the slot moves there.
    Ask(Redirect),
    /// `TRYAGAIN`: a part of the keys has moved already.
    TryAgain,
    /// `CLUSTERDOWN`: nobody serves the slot for now.
    ClusterDown,
    /// `READONLY`: it is a replica, and the command writes.
    ReadOnly,
    /// `MASTERDOWN`: it is a replica without its master, and serves no old data.
    MasterDown,
    /// `LOADING`: it reads its data from disk or from its master.
    Loading,
    /// A redirect to `?`: the server doesn't know the name by which clients reach the node. With
    /// `cluster-preferred-endpoint-type hostname` each node needs `cluster-announce-hostname`.
    UnknownEndpoint,
}

impl Told {
    /// Reads an error reply: the text after `-`. `None` if it is an error of another kind.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut words = text.split(|byte| *byte == b' ');
        match words.next()? {
            b"MOVED" => redirect(words, Self::Moved),
            b"ASK" => redirect(words, Self::Ask),
            b"TRYAGAIN" => Some(Self::TryAgain),
            b"CLUSTERDOWN" => Some(Self::ClusterDown),
            b"READONLY" => Some(Self::ReadOnly),
            b"MASTERDOWN" => Some(Self::MasterDown),
            b"LOADING" => Some(Self::Loading),
            // Before Redis 7 an error inside a script begins with ERR and the place in the script.
            b"ERR" if is_read_only(text) => Some(Self::ReadOnly),
            _ => None,
        }
    }

    /// Whether an error reply says that the server refuses all keys, because its cluster is down. `CLUSTERDOWN Hash slot not
    /// served` is of one slot, and a server that still serves reads says so.
    #[must_use]
    pub fn is_of_whole_cluster(text: &[u8]) -> bool {
        text == b"CLUSTERDOWN The cluster is down"
    }
}

/// Reads `<slot> <host>:<port>`.
fn redirect<'a>(
    mut words: impl Iterator<Item = &'a [u8]>,
    told: impl FnOnce(Redirect) -> Told,
) -> Option<Told> {
    let slot = Slot::parse(words.next()?)?;
    let address = words.next()?;
    if address.starts_with(b"?:") {
        return Some(Told::UnknownEndpoint);
    }
    let address = Address::parse(address)?;
    Some(told(Redirect { slot, address }))
}

fn is_read_only(text: &[u8]) -> bool {
    const WORDS: &[u8] = b"-READONLY ";
    text.windows(WORDS.len()).any(|window| window == WORDS)
}
