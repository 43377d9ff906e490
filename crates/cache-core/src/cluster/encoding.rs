//! The slot map as bytes of a bounded size: what is shared by the workers of an nginx.
//!
//! ```text
//! magic u32, length of the content u32, its checksum u32 (CRC-32C)
//! content: number of nodes u16; for each slot the index of its master u16; the nodes:
//!          index of the master u16, port u16, host, announced name, id (each a length u8 and its bytes)
//! ```
//!
//! Numbers are little-endian.

use std::collections::HashSet;

use crc::{CRC_32_ISCSI, Crc};

use super::address::Address;
use super::map::{ClusterNode, MAX_NODES, NOBODY, SlotMap};
use super::reply::{host_name, is_id};
use super::slot::SLOTS;

/// Room for every map that [`SlotMap::encode`] gives, in bytes.
pub const ENCODED_SIZE: usize = 256 << 10;

const MAGIC: u32 = u32::from_le_bytes(*b"RCS1");
const HEADER: usize = 12;
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Bytes that are no slot map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the slot map in shared memory is damaged")
    }
}

impl std::error::Error for Unreadable {}

impl SlotMap {
    /// The map as bytes. `None` if it is larger than [`ENCODED_SIZE`]: with 1000 nodes that is so if their hosts, names
    /// and ids have more than 220 bytes each on average.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = vec![0; HEADER];
        out.extend_from_slice(&u16::try_from(self.nodes.len()).ok()?.to_le_bytes());
        for owner in &self.owners {
            out.extend_from_slice(&owner.to_le_bytes());
        }
        for node in &self.nodes {
            out.extend_from_slice(&node.master.to_le_bytes());
            out.extend_from_slice(&node.address.port().to_le_bytes());
            for text in [
                node.address.host(),
                node.name.as_deref().unwrap_or_default(),
                &node.id,
            ] {
                out.push(u8::try_from(text.len()).ok()?);
                out.extend_from_slice(text.as_bytes());
            }
        }
        let (header, content) = out.split_at_mut_checked(HEADER)?;
        let length = u32::try_from(content.len()).ok()?;
        let words = [MAGIC, length, CHECKSUM.checksum(content)];
        for (place, word) in header.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        (out.len() <= ENCODED_SIZE).then_some(out)
    }

    /// Reads what [`SlotMap::encode`] gave. Further bytes may follow.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::decode_content(checked(&mut Reader(bytes)).ok_or(Unreadable)?)
    }

    /// Reads the content alone, behind the checksum. It trusts nothing either.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] for anything but the content of a map.
    pub fn decode_content(content: &[u8]) -> Result<Self, Unreadable> {
        let map = read_content(&mut Reader(content)).ok_or(Unreadable)?;
        if map.is_sound() {
            Ok(map)
        } else {
            Err(Unreadable)
        }
    }

    /// Whether indexes point to nodes, each node is there once, and those of a master stand together.
    fn is_sound(&self) -> bool {
        let mut addresses = HashSet::new();
        let mut group = None;
        let grouped = self.nodes.iter().enumerate().all(|(index, node)| {
            let master = usize::from(node.master);
            if master == index {
                group = Some(index);
            }
            group == Some(master) && addresses.insert(&node.address)
        });
        let owned = |owner: u16| owner == NOBODY || self.is_master(usize::from(owner));
        // Neighbours mostly have the same master.
        let mut runs = self.owners.chunk_by(|one, other| one == other);
        grouped && runs.all(|run| run.first().is_none_or(|owner| owned(*owner)))
    }
}

/// The content, if it is as it was written.
fn checked<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let (magic, length, checksum) = (reader.word()?, reader.word()?, reader.word()?);
    let content = reader.take(usize::try_from(length).ok()?)?;
    let whole = magic == MAGIC && CHECKSUM.checksum(content) == checksum;
    whole.then_some(content)
}

fn read_content(reader: &mut Reader<'_>) -> Option<SlotMap> {
    let count = usize::from(reader.short()?);
    if count > MAX_NODES {
        return None;
    }
    let (owners, _) = reader.take(2 * SLOTS)?.as_chunks();
    let owners = owners
        .iter()
        .map(|owner| u16::from_le_bytes(*owner))
        .collect();
    let nodes: Option<Vec<ClusterNode>> = (0..count).map(|_| read_node(reader)).collect();
    let nodes = nodes?;
    reader.0.is_empty().then_some(SlotMap { owners, nodes })
}

fn read_node(reader: &mut Reader<'_>) -> Option<ClusterNode> {
    let (master, port) = (reader.short()?, reader.short()?);
    let (host, name, id) = (reader.text()?, reader.text()?, reader.text()?);
    let address = Address::new(host, port)
        .filter(|address| !host.is_empty() && same(address.host(), host))?;
    let name = match name {
        b"" => None,
        name => Some(host_name(name).filter(|known| same(known, name))?),
    };
    let id = std::str::from_utf8(id).ok().filter(|_| is_id(id))?.into();
    Some(ClusterNode {
        address,
        name,
        id,
        master,
    })
}

/// Whether a text is as it would be written: hosts are in lower case.
fn same(written: &str, read: &[u8]) -> bool {
    written.as_bytes() == read
}

/// Takes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    fn short(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(u16::from_le_bytes(bytes))
    }

    fn word(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    /// A length and so many bytes.
    fn text(&mut self) -> Option<&'a [u8]> {
        let (length, _) = self.0.split_first()?;
        self.take(1)?;
        self.take(usize::from(*length))
    }
}
