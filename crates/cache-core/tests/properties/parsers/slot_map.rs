//! Replies to CLUSTER SLOTS in RESP, and slot maps as bytes in shared memory.

use bytes::BytesMut;
use cache_core::cluster::{Acceptance, Address, Judged, Slot, SlotMap};
use cache_core::resp::{Decoder, Reply};

/// A map that is read says of each slot one master, and stands in shared memory as it is. Bytes that are read as a map
/// are those that it is written as.
pub fn holds(input: &[u8]) {
    if let Ok(map) = SlotMap::decode(input) {
        is_sound(&map);
    }
    // The nodes of a map whose slots are as they should be.
    let mut content = 2_u16.to_le_bytes().to_vec();
    content.extend((0..16_384_u16).flat_map(|slot| (slot & 1).to_le_bytes()));
    content.extend_from_slice(input);
    if let Ok(map) = SlotMap::decode_content(&content) {
        is_sound(&map);
        let written = map.encode().map(|bytes| bytes[12..].to_vec());
        assert_eq!(written.as_deref(), Some(&content[..]));
    }
    let Ok(Some(reply)) = Decoder::default().decode(&mut BytesMut::from(input)) else {
        return;
    };
    let asked = Address::parse(b"asked:1").unwrap();
    let Ok(map) = SlotMap::from_reply(&reply, &asked) else {
        return;
    };
    assert!(map.covered() > 0);
    is_sound(&map);
    // The same ranges in another order are the same map.
    if let Reply::Array(Some(mut ranges)) = reply {
        let twice = ranges.clone();
        ranges.extend(twice);
        let again = SlotMap::from_reply(&Reply::Array(Some(ranges)), &asked);
        assert_eq!(again.as_ref(), Ok(&map));
    }
    let mut acceptance = Acceptance::default();
    assert_eq!(acceptance.judge(None, &map, &asked), Judged::Taken);
    assert_eq!(acceptance.judge(Some(&map), &map, &asked), Judged::Same);
}

fn is_sound(map: &SlotMap) {
    let masters: Vec<usize> = Slot::all().filter_map(|slot| map.master(slot)).collect();
    assert!(masters.iter().all(|master| map.is_master(*master)));
    assert_eq!(masters.len(), map.covered());
    for (index, node) in map.nodes().iter().enumerate() {
        assert!(!node.address.host().is_empty());
        assert_eq!(map.find(&node.address), Some(index));
        let replicas = map.replicas(index);
        assert!(map.is_master(index) || replicas.is_empty());
        assert!(replicas.clone().all(|replica| !map.is_master(replica)));
    }
    let bytes = map.encode().unwrap();
    assert_eq!(SlotMap::decode(&bytes).as_ref(), Ok(map));
}
