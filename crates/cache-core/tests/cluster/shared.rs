//! Maps as bytes in shared memory.

use cache_core::cluster::{ENCODED_SIZE, SlotMap, Unreadable};

use crate::maps::{read, shown};

const SAID: &str = "0-5 a:1/id1/Name.example.com r:1/2, 6-9 b:1, 16000-16383 10.0.0.1:65535/4";

fn bytes() -> Vec<u8> {
    read(SAID).unwrap().encode().unwrap()
}

#[test]
fn what_was_written_is_read() {
    let map = read(SAID).unwrap();
    let mut bytes = bytes();
    assert_eq!(SlotMap::decode(&bytes), Ok(map.clone()));
    // It stands in a larger piece of memory, of which the rest is old.
    bytes.resize(ENCODED_SIZE, 7);
    assert_eq!(SlotMap::decode(&bytes), Ok(map));
}

#[test]
fn damage_is_noticed() {
    let whole = bytes();
    for length in (0..12).chain(whole.len() - 60..whole.len()) {
        assert_eq!(SlotMap::decode(&whole[..length]), Err(Unreadable));
    }
    for place in (0..40).step_by(3).chain((32_000..whole.len()).step_by(7)) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        assert_eq!(SlotMap::decode(&damaged), Err(Unreadable), "{place}");
    }
    assert_eq!(SlotMap::decode(&vec![0; ENCODED_SIZE]), Err(Unreadable));
    assert_eq!(SlotMap::decode(&vec![0xff; ENCODED_SIZE]), Err(Unreadable));
}

/// Content with a right checksum, of a writer gone wrong.
#[test]
fn content_that_makes_no_sense_is_refused() {
    const NODES: usize = 2 + 2 * 16_384;
    let content = bytes()[12..].to_vec();
    assert!(SlotMap::decode_content(&content).is_ok());
    let end = content.len();
    let change = |at: usize, bytes: &[u8]| {
        let mut changed = content.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        SlotMap::decode_content(&changed)
    };
    // The nodes: 10.0.0.1 (0), a (1), r (2), b (3).
    for (what, at, bytes) in [
        ("fewer nodes than there are", 0, &3_u16.to_le_bytes()[..]),
        ("more nodes than there are", 0, &5_u16.to_le_bytes()),
        ("more nodes than may be", 0, &1025_u16.to_le_bytes()),
        ("a slot of no node", 2, &4_u16.to_le_bytes()),
        ("a slot of a replica", 2, &2_u16.to_le_bytes()),
        ("a master that is none", NODES, &1_u16.to_le_bytes()),
        ("a master that isn't there", NODES, &9_u16.to_le_bytes()),
        ("port 0", NODES + 2, &[0, 0]),
        ("a host in upper case", NODES + 5, b"A"),
        ("a host with a space", NODES + 5, b" "),
        ("no host", NODES + 4, &[0]),
        ("a host beyond the end", NODES + 4, &[255]),
        ("an id with a space", end - 1, b" "),
    ] {
        assert_eq!(change(at, bytes), Err(Unreadable), "{what}");
    }
    // Nobody has it.
    assert_eq!(shown(&change(2, &[0xff, 0xff]).unwrap())[..3], *"1-5");
    let twice = read("0-5 a:1, 6-9 b:1").unwrap().encode().unwrap()[12..].to_vec();
    let at = twice.iter().rposition(|byte| *byte == b'b').unwrap();
    let mut changed = twice;
    changed[at] = b'a';
    assert_eq!(SlotMap::decode_content(&changed), Err(Unreadable));
}

#[test]
fn a_large_cluster_has_room_and_one_that_is_absurd_is_not_written() {
    let said = |host: usize| {
        let nodes = (0..1000).map(|n| {
            let name = format!("{}{n:04}", "h".repeat(host));
            format!("{n}-{n} {name}:1/{:040}/{name}", n)
        });
        nodes.collect::<Vec<_>>().join(", ")
    };
    let usual = read(&said(60)).unwrap();
    let bytes = usual.encode().unwrap();
    assert!(bytes.len() <= ENCODED_SIZE);
    assert_eq!(SlotMap::decode(&bytes), Ok(usual));
    assert_eq!(read(&said(200)).unwrap().encode(), None);
}
