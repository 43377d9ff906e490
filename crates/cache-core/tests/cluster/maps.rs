//! Slot maps: replies to CLUSTER SLOTS, what is read from them, and what MOVED makes of them.

use bytes::Bytes;
use cache_core::cluster::{Address, BadMap, Followed, MAX_NODES, Slot, SlotMap};
use cache_core::resp::Reply;

pub fn text(text: &str) -> Reply {
    Reply::Bulk(Some(Bytes::copy_from_slice(text.as_bytes())))
}

pub fn list(parts: impl IntoIterator<Item = Reply>) -> Reply {
    Reply::Array(Some(parts.into_iter().collect()))
}

pub fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).expect(text)
}

/// `host:port/id/announced name`; `nil` is a host that isn't given.
fn node(said: &str) -> Reply {
    let mut parts = said.splitn(3, '/');
    let (host, port) = parts.next().unwrap().rsplit_once(':').unwrap();
    let host = if host == "nil" {
        Reply::Bulk(None)
    } else {
        text(host)
    };
    let mut node = vec![host, Reply::Integer(port.parse().unwrap())];
    node.extend(parts.next().map(text));
    if let Some(name) = parts.next() {
        node.push(list(["ip", "10.9.9.9", "hostname", name].map(text)));
    }
    list(node)
}

/// `from-to node node ...`, separated by commas.
pub fn reply(said: &str) -> Reply {
    list(
        said.split(", ")
            .filter(|range| !range.is_empty())
            .map(|range| {
                let mut words = range.split(' ');
                let (from, to) = words.next().unwrap().rsplit_once('-').unwrap();
                let bounds = [from, to].map(|bound| Reply::Integer(bound.parse().unwrap()));
                list(bounds.into_iter().chain(words.map(node)))
            }),
    )
}

pub fn read(said: &str) -> Result<SlotMap, BadMap> {
    SlotMap::from_reply(&reply(said), &address("asked:7000"))
}

/// A map as it would be said: ranges, masters and their replicas.
pub fn shown(map: &SlotMap) -> String {
    let mut ranges: Vec<(usize, usize, usize)> = Vec::new();
    for slot in Slot::all() {
        let Some(master) = map.master(slot) else {
            continue;
        };
        match ranges.last_mut() {
            Some((_, last, owner)) if *last + 1 == slot.index() && *owner == master => *last += 1,
            _ => ranges.push((slot.index(), slot.index(), master)),
        }
    }
    let node = |index: usize| map.nodes()[index].address.to_string();
    let ranges = ranges.into_iter().map(|(from, to, master)| {
        let nodes = [master].into_iter().chain(map.replicas(master)).map(node);
        format!("{from}-{to} {}", nodes.collect::<Vec<_>>().join(" "))
    });
    ranges.collect::<Vec<_>>().join(", ")
}

#[test]
fn replies_are_read() {
    for (said, expected) in [
        ("0-16383 a:1/id1", "0-16383 a:1"),
        (
            "0-5 b:1/1 r2:1/2 r1:1/3, 6-9 a:1/4",
            "0-5 b:1 r1:1 r2:1, 6-9 a:1",
        ),
        // No host, or none that the server knows.
        (
            "0-1 nil:7001/1, 2-3 :7002/2",
            "0-1 asked:7001, 2-3 asked:7002",
        ),
        ("0-1 ::1:7001/1", "0-1 [::1]:7001"),
        // Before Redis 4 there are no ids.
        ("0-1 a:1 b:1", "0-1 a:1 b:1"),
        // One range said twice, and a hole.
        ("0-1 a:1/1, 1-2 a:1/1, 7-7 a:1/1", "0-2 a:1, 7-7 a:1"),
        // Slots that nobody has.
        ("0-1 a:1/1, 2-9", "0-1 a:1"),
        // A node that is said to be a replica as well is a master.
        ("0-1 a:1/1 b:1/2, 2-3 b:1/2", "0-1 a:1, 2-3 b:1"),
        ("2-3 b:1/2, 0-1 a:1/1 b:1/2", "0-1 a:1, 2-3 b:1"),
        // A replica has one master.
        ("0-1 a:1/1 c:1/3, 2-3 b:1/2 c:1/3", "0-1 a:1 c:1, 2-3 b:1"),
    ] {
        let map = read(said).expect(said);
        assert_eq!(shown(&map), expected, "{said}");
        let all = expected
            .split(", ")
            .flat_map(|range| range.split(' ').skip(1));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(map.nodes().len(), all.len(), "{said}");
    }
}

#[test]
fn equal_maps_are_equal_whatever_their_order() {
    let one = read("0-5 a:1/1 b:1/2 c:1/3, 6-9 d:1/4 e:1/5").unwrap();
    let other = read("6-9 d:1/4 e:1/5, 3-5 a:1/1 c:1/3 b:1/2, 0-2 a:1/1").unwrap();
    assert_eq!(one, other);
    let promoted = read("0-5 b:1/2 a:1/1 c:1/3, 6-9 d:1/4 e:1/5").unwrap();
    assert_ne!(one, promoted);
}

#[test]
fn announced_names_are_known_for_certificates() {
    let map = read(
        "0-1 10.0.0.1:1/1/One.example.com, 2-3 two.example.com:1/2, 4-5 10.0.0.3:1/3, 6-7 ::1:1/4, \
         8-9 10.0.0.5:1/5/not%20a\u{20ac}name, 10-11 10.0.0.6:1/6/.",
    )
    .unwrap();
    let names = map.nodes().iter().map(|node| {
        let (host, name) = (node.address.host(), node.certified_name());
        (host, name)
    });
    let expected = [
        ("10.0.0.1", Some("one.example.com")),
        ("10.0.0.3", None),
        ("10.0.0.5", None),
        ("10.0.0.6", None),
        ("::1", None),
        ("two.example.com", Some("two.example.com")),
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

/// So it is where a server came back under another id: CLUSTER NODES calls the one before `noaddr`.
#[test]
fn a_node_without_an_address_leaves_the_others_in_the_map() {
    for lost in [
        ":0/1",
        "nil:0/1",
        "?:0/1",
        "one.example.com:0/1/one.example.com",
    ] {
        let said = format!("0-5460 {lost} b:1/4, 5461-10922 b:1/2, 10923-16383 c:1/3 {lost}");
        let map = read(&said).expect(lost);
        assert_eq!(shown(&map), "5461-10922 b:1, 10923-16383 c:1", "{lost}");
        assert_eq!(
            read(&format!("0-16383 {lost}")),
            Err(BadMap::Address),
            "{lost}"
        );
    }
}

#[test]
fn what_is_no_map_is_refused() {
    for (said, error) in [
        ("", BadMap::Empty),
        ("0-9", BadMap::Empty),
        ("0-16384 a:1", BadMap::Range(0, 16_384)),
        ("7-3 a:1", BadMap::Range(7, 3)),
        ("-1-3 a:1", BadMap::Range(-1, 3)),
        ("0-5 a:1, 5-6 b:1", BadMap::Overlap(Slot::new(5).unwrap())),
        ("0-5 a:0", BadMap::Address),
        ("0-5 a:65536", BadMap::Address),
        ("0-5 a:-1", BadMap::Address),
        ("0-5 a\tb:1", BadMap::Address),
        ("0-5 ?:1", BadMap::UnknownEndpoint),
        ("0-5 a:1 ?:1", BadMap::UnknownEndpoint),
    ] {
        assert_eq!(read(said), Err(error), "{said}");
    }
    let number = || Reply::Integer(0);
    for odd in [
        Reply::Bulk(None),
        Reply::Array(None),
        Reply::Integer(1),
        text("0"),
        list([number()]),
        list([list([])]),
        list([list([number()])]),
        list([list([text("0"), text("1"), node("a:1")])]),
        list([list([number(), number(), text("a:1")])]),
        list([list([number(), number(), list([])])]),
        list([list([number(), number(), list([text("a")])])]),
        list([list([number(), number(), list([number(), number()])])]),
        list([list([number(), number(), list([text("a"), text("1")])])]),
        list([list([number(), number(), Reply::Array(None)])]),
    ] {
        let map = SlotMap::from_reply(&odd, &address("asked:1"));
        assert_eq!(map, Err(BadMap::Form), "{odd:?}");
    }
    let refused = Reply::Error(Bytes::from_static(
        b"ERR This instance has cluster\tsupport disabled",
    ));
    let error = SlotMap::from_reply(&refused, &address("asked:1")).unwrap_err();
    let words =
        "the server refused CLUSTER SLOTS: ERR This instance has cluster\\tsupport disabled";
    assert_eq!(error.to_string(), words);
    // The remedy is in the message.
    assert!(
        BadMap::UnknownEndpoint
            .to_string()
            .contains("cluster-announce-hostname")
    );
}

#[test]
fn odd_metadata_and_ids_are_left_out() {
    for odd in [
        Reply::Bulk(None),
        Reply::Array(None),
        list([text("hostname")]),
        list([text("hostname"), Reply::Bulk(None)]),
        list([text("hostname"), Reply::Integer(1)]),
        list([text("other"), text("a.example.com")]),
        list([Reply::Integer(1), Reply::Integer(2)]),
        list([text("hostname"), text("")]),
        list([text("hostname"), text(&"a".repeat(254))]),
    ] {
        for id in [text("id\n"), text(&"x".repeat(65)), Reply::Integer(7)] {
            let node = list([text("10.0.0.1"), Reply::Integer(1), id, odd.clone()]);
            let reply = list([list([Reply::Integer(0), Reply::Integer(9), node])]);
            let map = SlotMap::from_reply(&reply, &address("asked:1")).unwrap();
            let node = &map.nodes()[0];
            assert_eq!((node.name.as_deref(), &*node.id), (None, ""), "{odd:?}");
        }
    }
}

#[test]
fn a_map_has_a_bounded_number_of_nodes() {
    let said = |count: usize| {
        let nodes = (0..count).map(|n| format!("{n}-{n} host{n}:1/{n}"));
        nodes.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(read(&said(MAX_NODES)).unwrap().nodes().len(), MAX_NODES);
    assert_eq!(read(&said(MAX_NODES + 1)), Err(BadMap::TooManyNodes));
}

#[test]
fn moved_changes_the_map_of_the_worker_that_was_told() {
    let told = |slot, to, followed, expected: &str| {
        let mut map = read("0-5 a:1 r:1 s:1, 6-9 b:1 t:1").unwrap();
        let slot = Slot::new(slot).unwrap();
        assert_eq!(map.follow(slot, &address(to)), followed, "{slot:?} {to}");
        assert_eq!(shown(&map), expected, "{slot:?} {to}");
        let again = map.follow(slot, &address(to));
        let nothing = [Followed::Known, Followed::Not].contains(&again);
        assert!(nothing, "{slot:?} {to}: {again:?}");
        let bytes = map.encode().unwrap();
        assert_eq!(SlotMap::decode(&bytes), Ok(map));
    };
    let before = "0-5 a:1 r:1 s:1, 6-9 b:1 t:1";
    told(3, "a:1", Followed::Known, before);
    let one = "0-2 a:1 r:1 s:1, 3-3 b:1 t:1, 4-5 a:1 r:1 s:1, 6-9 b:1 t:1";
    told(3, "b:1", Followed::Slot, one);
    let new = "0-2 a:1 r:1 s:1, 3-3 c:1, 4-5 a:1 r:1 s:1, 6-9 b:1 t:1";
    told(3, "c:1", Followed::Slot, new);
    told(
        100,
        "c:1",
        Followed::Slot,
        &format!("{before}, 100-100 c:1"),
    );
    told(
        100,
        "a:1",
        Followed::Slot,
        &format!("{before}, 100-100 a:1 r:1 s:1"),
    );
    // A failover: all slots of the former master.
    told(3, "s:1", Followed::Promoted, "0-5 s:1 r:1 a:1, 6-9 b:1 t:1");
    // A replica that has left its master.
    told(3, "t:1", Followed::Not, before);
    told(100, "t:1", Followed::Not, before);
    told(3, ":1", Followed::Not, before);
}
