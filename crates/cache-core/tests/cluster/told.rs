//! Errors that say where a command belongs.

use cache_core::attempts::Next;
use cache_core::cluster::{Address, Redirect, Slot, Told};

fn redirect(slot: u16, address: &str) -> Redirect {
    Redirect {
        slot: Slot::new(slot).unwrap(),
        address: Address::parse(address.as_bytes()).unwrap(),
    }
}

#[test]
fn errors_of_servers_are_understood() {
    let there = redirect(3999, "127.0.0.1:6381");
    let moved = |to: Redirect| Next::Moved(Box::new(to));
    let cases = [
        (
            "MOVED 3999 127.0.0.1:6381",
            Told::Moved(there.clone()),
            moved(there.clone()),
        ),
        (
            "MOVED 3999 :6381",
            Told::Moved(redirect(3999, ":6381")),
            moved(redirect(3999, ":6381")),
        ),
        (
            "MOVED 3999 ::1:6381",
            Told::Moved(redirect(3999, "[::1]:6381")),
            moved(redirect(3999, "[::1]:6381")),
        ),
        (
            "ASK 3999 127.0.0.1:6381",
            Told::Ask(there.clone()),
            Next::Ask(Box::new(there)),
        ),
        ("MOVED 3999 ?:6381", Told::UnknownEndpoint, Next::Stop),
        (
            "TRYAGAIN Multiple keys request during rehashing of slot",
            Told::TryAgain,
            Next::Later,
        ),
        (
            "CLUSTERDOWN Hash slot not served",
            Told::ClusterDown,
            Next::Refresh,
        ),
        (
            "CLUSTERDOWN The cluster is down",
            Told::ClusterDown,
            Next::Refresh,
        ),
        (
            "READONLY You can't write against a read only replica.",
            Told::ReadOnly,
            Next::Refresh,
        ),
        (
            "READONLY You can't write against a read only replica. script: 8b7ec, on @user_script:1.",
            Told::ReadOnly,
            Next::Refresh,
        ),
        (
            "ERR Error running script (call to f_8b7ec): @user_script:1: @user_script: 1: -READONLY \
             You can't write against a read only replica.",
            Told::ReadOnly,
            Next::Refresh,
        ),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            Told::MasterDown,
            Next::Master,
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            Told::Loading,
            Next::Master,
        ),
    ];
    for (text, told, next) in cases {
        assert_eq!(Told::parse(text.as_bytes()), Some(told.clone()), "{text}");
        assert_eq!(Next::from(told), next, "{text}");
    }
}

#[test]
fn other_errors_and_broken_ones_say_nothing() {
    for text in [
        "",
        "ERR unknown command",
        "MOVED",
        "MOVED 3999",
        "MOVED 3999 ",
        "MOVED 16384 127.0.0.1:6381",
        "MOVED -1 127.0.0.1:6381",
        "MOVED 3999 127.0.0.1",
        "MOVED 3999 127.0.0.1:0",
        "MOVED  3999 127.0.0.1:6381",
        "MOVEDX 3999 127.0.0.1:6381",
        "moved 3999 127.0.0.1:6381",
        "ASK",
        "ERR the key READONLY is unknown",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ] {
        assert_eq!(Told::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_cluster_that_is_down_as_a_whole() {
    for (text, expected) in [
        ("CLUSTERDOWN The cluster is down", true),
        (
            "CLUSTERDOWN The cluster is down and only accepts read commands",
            false,
        ),
        ("CLUSTERDOWN Hash slot not served", false),
        ("MASTERDOWN The cluster is down", false),
        ("", false),
    ] {
        assert_eq!(
            Told::is_of_whole_cluster(text.as_bytes()),
            expected,
            "{text}"
        );
    }
}
