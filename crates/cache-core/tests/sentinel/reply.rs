//! What Sentinels and servers say, in both protocols.

use bytes::BytesMut;
use cache_core::resp::{Decoder, Received};
use cache_core::sentinel::Role;
use cache_core::sentinel::reply::{
    self, Endpoint, Heard, LIMITS, Listed, address, config_epoch, heard, heard_push, info,
    replicas, role,
};
use proptest::prelude::*;

fn read(text: &str) -> Received {
    let mut buf = BytesMut::from(text);
    Decoder::new(LIMITS).receive(&mut buf).unwrap().unwrap()
}

fn reply(text: &str) -> cache_core::resp::Reply {
    match read(text) {
        Received::Reply(reply) => reply,
        Received::Push(push) => panic!("{push:?}"),
    }
}

fn at(host: &'static str, port: u16) -> Endpoint {
    Endpoint {
        host: host.into(),
        port,
    }
}

#[test]
fn addresses() {
    for (text, wanted) in [
        (
            "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n",
            Some(at("127.0.0.1", 6379)),
        ),
        ("*2\r\n$3\r\n::1\r\n$4\r\n6379\r\n", Some(at("::1", 6379))),
        (
            "*2\r\n$7\r\nredis-1\r\n$5\r\n65535\r\n",
            Some(at("redis-1", 65535)),
        ),
        // It doesn't know the name.
        ("*-1\r\n", None),
        ("_\r\n", None),
        ("$-1\r\n", None),
        (
            "-IDONTKNOW I have not enough information to reply\r\n",
            None,
        ),
        ("*2\r\n$0\r\n\r\n$4\r\n6379\r\n", None),
        ("*2\r\n$1\r\na\r\n$1\r\n0\r\n", None),
        ("*2\r\n$1\r\na\r\n$5\r\n65536\r\n", None),
        ("*2\r\n$1\r\na\r\n$2\r\n+1\r\n", None),
        ("*2\r\n$1\r\na\r\n:6379\r\n", None),
        ("*1\r\n$1\r\na\r\n", None),
        ("*0\r\n", None),
    ] {
        assert_eq!(address(&reply(text)), wanted, "{text:?}");
    }
}

#[test]
fn epochs() {
    let pairs = "$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$2\r\n12\r\n";
    for (text, wanted) in [
        (format!("*4\r\n{pairs}"), Some(12)),
        (format!("%2\r\n{pairs}"), Some(12)),
        (format!("*5\r\n{pairs}$1\r\nx\r\n"), None),
        ("*2\r\n$4\r\nname\r\n$1\r\nm\r\n".to_owned(), None),
        ("*2\r\n$12\r\nconfig-epoch\r\n$2\r\n-1\r\n".to_owned(), None),
        ("-ERR No such master with that name\r\n".to_owned(), None),
        ("-NOPERM this user has no permissions\r\n".to_owned(), None),
    ] {
        assert_eq!(config_epoch(&reply(&text)), wanted, "{text:?}");
    }
}

#[test]
fn roles() {
    for (text, wanted) in [
        (
            "*3\r\n$6\r\nmaster\r\n:3129\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$4\r\n3129\r\n",
            Role::Master,
        ),
        (
            "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:3167\r\n",
            Role::Replica,
        ),
        ("*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n", Role::Unknown),
        (
            "-NOPERM this user has no permissions to run the 'role' command\r\n",
            Role::Denied,
        ),
        (
            "-ERR unknown command 'ROLE', with args beginning with:\r\n",
            Role::Denied,
        ),
        (
            "-LOADING Redis is loading the dataset in memory\r\n",
            Role::Unknown,
        ),
        ("-NOAUTH Authentication required.\r\n", Role::Unknown),
        ("*0\r\n", Role::Unknown),
        ("*-1\r\n", Role::Unknown),
        ("+OK\r\n", Role::Unknown),
    ] {
        assert_eq!(role(&reply(text)), wanted, "{text:?}");
    }
    for (text, wanted) in [
        (
            "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n",
            Role::Master,
        ),
        (
            "# Replication\r\nrole:slave\r\nmaster_host:::1\r\n",
            Role::Replica,
        ),
        ("master_host:role:master\r\n", Role::Unknown),
        ("", Role::Unknown),
    ] {
        let bulk = format!("${}\r\n{text}\r\n", text.len());
        let verbatim = format!("={}\r\ntxt:{text}\r\n", text.len() + 4);
        for text in [bulk, verbatim] {
            assert_eq!(info(&reply(&text)), wanted, "{text:?}");
        }
    }
    assert_eq!(info(&reply("-NOPERM no\r\n")), Role::Denied);
    assert_eq!(info(&reply(":1\r\n")), Role::Unknown);
}

/// As Redis 7.0 sends it.
#[test]
fn a_sentinel_in_full() {
    let fields = [
        ("name", "main"),
        ("ip", "127.0.0.1"),
        ("port", "51877"),
        ("runid", "d1e0a60e1aab33749988114400c7c851330e6c54"),
        ("flags", "master"),
        ("link-pending-commands", "0"),
        ("link-refcount", "1"),
        ("last-ping-sent", "0"),
        ("last-ok-ping-reply", "138"),
        ("last-ping-reply", "138"),
        ("down-after-milliseconds", "500"),
        ("info-refresh", "2562"),
        ("role-reported", "master"),
        ("role-reported-time", "12589"),
        ("config-epoch", "7"),
        ("num-slaves", "1"),
        ("num-other-sentinels", "0"),
        ("quorum", "1"),
        ("failover-timeout", "2000"),
        ("parallel-syncs", "1"),
    ];
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let all: String = fields
        .iter()
        .map(|(name, value)| bulk(name) + &bulk(value))
        .collect();
    for head in ["*40", "%20"] {
        assert_eq!(
            config_epoch(&reply(&format!("{head}\r\n{all}"))),
            Some(7),
            "{head}"
        );
    }
}

/// As Redis 7.0 sends it, with other values for some fields. A value `-` takes the field out.
fn listed(changes: &[(&str, &str)]) -> Listed {
    let mut fields = vec![
        ("name", "10.0.0.2:6379"),
        ("ip", "10.0.0.2"),
        ("port", "6379"),
        ("runid", "e036f472c86916235cb536f024d8671736f47b3f"),
        ("flags", "slave"),
        ("role-reported", "slave"),
        ("master-link-down-time", "0"),
        ("master-link-status", "ok"),
        ("master-host", "10.0.0.1"),
        ("master-port", "6379"),
        ("replica-announced", "1"),
    ];
    for (name, value) in changes {
        let place = fields.iter().position(|(known, _)| known == name);
        fields[place.unwrap()].1 = value;
    }
    fields.retain(|(_, value)| *value != "-");
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let all: String = fields
        .iter()
        .map(|(name, value)| bulk(name) + &bulk(value))
        .collect();
    let count = fields.len();
    let resp2 = reply(&format!("*1\r\n*{}\r\n{all}", 2 * count));
    let resp3 = reply(&format!("*1\r\n%{count}\r\n{all}"));
    let master = at("10.0.0.1", 6379);
    assert_eq!(replicas(&resp2, &master), replicas(&resp3, &master));
    replicas(&resp2, &master)
}

#[test]
fn replicas_that_are_healthy_and_others() {
    let healthy = Listed::Replicas(vec![at("10.0.0.2", 6379)]);
    for changes in [
        &[][..],
        &[("flags", "replica"), ("role-reported", "replica")],
        &[("flags", "slave,reconf_done")],
        &[("role-reported", "-"), ("master-host", "-")],
        // A name may be that of the master.
        &[("master-host", "redis-1")],
    ] {
        assert_eq!(listed(changes), healthy, "{changes:?}");
    }
    for change in [
        ("flags", "s_down,slave"),
        ("flags", "s_down,slave,disconnected"),
        ("flags", "o_down,slave"),
        ("flags", "slave,disconnected"),
        ("flags", "-"),
        ("role-reported", "master"),
        ("master-link-status", "err"),
        ("master-link-status", "-"),
        // It follows another master, such as the one before.
        ("master-host", "10.0.0.9"),
        ("master-port", "6380"),
        ("ip", ""),
        ("ip", "-"),
        ("port", "0"),
    ] {
        assert_eq!(listed(&[change]), Listed::Replicas(vec![]), "{change:?}");
    }
}

#[test]
fn replicas_that_are_not_listed() {
    for (text, wanted) in [
        ("*0\r\n", Listed::Replicas(vec![])),
        ("*1\r\n:1\r\n", Listed::Replicas(vec![])),
        // Redis 4, Redis 7.
        (
            "-ERR Unknown sentinel subcommand 'REPLICAS'\r\n",
            Listed::Unknown,
        ),
        (
            "-ERR unknown subcommand 'REPLICAS'. Try SENTINEL HELP.\r\n",
            Listed::Unknown,
        ),
        (
            "-ERR No such master with that name\r\n",
            refused("ERR No such master with that name"),
        ),
        (
            "-NOPERM no permissions\r\n",
            refused("NOPERM no permissions"),
        ),
    ] {
        assert_eq!(replicas(&reply(text), &at("a", 1)), wanted, "{text:?}");
    }
}

fn refused(words: &'static str) -> Listed {
    Listed::Refused(words.into())
}

#[test]
fn what_is_heard() {
    let message = "$7\r\nmessage\r\n$14\r\n+switch-master\r\n";
    let news = "$31\r\nmain 127.0.0.1 6379 10.0.0.2 80\r\n";
    let switched = Heard::Switched {
        name: "main".into(),
        to: at("10.0.0.2", 80),
    };
    let of_replica = |channel: &str, text: &str| {
        let message = format!("$7\r\nmessage\r\n${}\r\n{channel}\r\n", channel.len());
        format!("3\r\n{message}${}\r\n{text}\r\n", text.len())
    };
    let news_of = |name: &'static str| Heard::Replica { name: name.into() };
    for (elements, wanted) in [
        (format!("3\r\n{message}{news}"), switched),
        (format!("3\r\n{message}$9\r\nmain a 1 \r\n"), Heard::Other),
        (format!("3\r\n{message}$10\r\nmain a 1 b\r\n"), Heard::Other),
        (format!("2\r\n{message}"), Heard::Other),
        (
            of_replica("+sdown", "slave a:1 a 1 @ main b 2"),
            news_of("main"),
        ),
        (
            of_replica("-sdown", "slave a:1 a 1 @ main b 2"),
            news_of("main"),
        ),
        (
            of_replica("+slave", "slave a:1 a 1 @ m2 b 2"),
            news_of("m2"),
        ),
        (of_replica("+sdown", "master main b 2"), Heard::Other),
        (
            of_replica("+sdown", "sentinel a a 1 @ main b 2"),
            Heard::Other,
        ),
        (of_replica("+sdown", "slave a:1 a 1 @  b 2"), Heard::Other),
        (
            of_replica("+odown", "slave a:1 a 1 @ main b 2"),
            Heard::Other,
        ),
        (
            format!("3\r\n$7\r\nmessage\r\n$5\r\n+sdow\r\n{news}"),
            Heard::Other,
        ),
        (
            "3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n".to_owned(),
            Heard::Subscribed,
        ),
        ("2\r\n$4\r\npong\r\n$0\r\n\r\n".to_owned(), Heard::Pong),
        ("0\r\n".to_owned(), Heard::Other),
    ] {
        assert_eq!(
            heard(&reply(&format!("*{elements}"))),
            wanted,
            "{elements:?}"
        );
        match read(&format!(">{elements}")) {
            Received::Push(push) => assert_eq!(heard_push(&push), wanted, "{elements:?}"),
            Received::Reply(reply) => panic!("{reply:?}"),
        }
    }
    assert_eq!(heard(&reply("+PONG\r\n")), Heard::Pong);
    assert_eq!(heard(&reply("-ERR\r\n")), Heard::Other);
}

proptest! {
    #[test]
    fn whatever_is_said(text in "[*%>][0-4]\r\n([$](1\r\na|7\r\nmessage|14\r\n[+]switch-master|9\r\nn a 1 b 2|0\r\n)\r\n|:1\r\n|_\r\n|[*]0\r\n){0,8}") {
        let mut buf = BytesMut::from(&text[..]);
        if let Ok(Some(received)) = Decoder::new(LIMITS).receive(&mut buf) {
            match received {
                Received::Push(push) => { let _ = heard_push(&push); }
                Received::Reply(reply) => {
                    let _ = (address(&reply), config_epoch(&reply), role(&reply), info(&reply), reply::heard(&reply));
                    let _ = replicas(&reply, &at("a", 1));
                }
            }
        }
    }
}
