//! A Redis server of a cluster of one, for what only a server knows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use cache_core::cluster::{Address, BadMap, SLOTS, SlotMap};
use cache_core::resp::{self, Decoder, Reply};

/// Ends with its value.
pub struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Server {
    pub fn start() -> Server {
        let [port, bus] = free_ports();
        let folder = std::env::temp_dir().join(format!("cache-core-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options = [
            ("--port", port.to_string()),
            ("--cluster-port", bus.to_string()),
            ("--bind", "127.0.0.1".to_owned()),
            ("--cluster-enabled", "yes".to_owned()),
            ("--save", String::new()),
            ("--dir", folder.display().to_string()),
        ];
        let process = Command::new("redis-server")
            .args(options.iter().flat_map(|(name, value)| [*name, value]))
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, of the package of that name");
        let server = Server {
            process,
            folder,
            port,
        };
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "redis-server doesn't listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Sends commands in one go, and reads their replies.
    pub fn commands(&self, commands: &[Vec<&[u8]>]) -> Vec<Reply> {
        let mut out = Vec::new();
        commands
            .iter()
            .for_each(|command| resp::command(&mut out, command));
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.write_all(&out).unwrap();
        let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::new());
        let mut replies = Vec::new();
        while replies.len() < commands.len() {
            while let Some(reply) = decoder.decode(&mut buffer).unwrap() {
                replies.push(reply);
            }
            let mut piece = [0; 65_536];
            if replies.len() < commands.len() {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "the server closed the connection");
                buffer.extend_from_slice(&piece[..read]);
            }
        }
        replies
    }

    /// The slots of keys, as the server has them.
    pub fn key_slots(&self, keys: &[Vec<u8>]) -> Vec<i64> {
        let commands: Vec<Vec<&[u8]>> = keys
            .iter()
            .map(|key| vec![&b"CLUSTER"[..], b"KEYSLOT", key])
            .collect();
        let replies = self.commands(&commands);
        replies
            .into_iter()
            .map(|reply| match reply {
                Reply::Integer(slot) => slot,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The reply to CLUSTER SLOTS of a server of Redis 7, for each way in which it may name its nodes.
#[test]
fn a_server_names_itself_in_each_way() {
    let server = Server::start();
    let set = |name: &'static str, value: &'static str| {
        let command = [&b"CONFIG"[..], b"SET", name.as_bytes(), value.as_bytes()];
        let reply = server.commands(&[command.to_vec()]);
        assert_eq!(reply, [Reply::Status("OK".into())], "{name} {value}");
    };
    let asked = Address::new(b"127.0.0.1", server.port).unwrap();
    let map = || {
        let reply = server.commands(&[vec![b"CLUSTER", b"SLOTS"]]).remove(0);
        SlotMap::from_reply(&reply, &asked)
    };
    assert_eq!(map(), Err(BadMap::Empty));
    let range = [
        &b"CLUSTER"[..],
        b"ADDSLOTSRANGE",
        b"0",
        b"9000",
        b"9002",
        b"16383",
    ];
    let added = server.commands(&[range.to_vec()]);
    assert_eq!(added, [Reply::Status("OK".into())]);
    let node = || {
        let map = map().unwrap();
        assert_eq!((map.covered(), map.nodes().len()), (SLOTS - 1, 1));
        let node = map.nodes()[0].clone();
        assert_eq!(node.id.len(), 40);
        (
            node.address.to_string(),
            node.certified_name().map(str::to_owned),
        )
    };
    // It has met nobody, and doesn't know its own address.
    assert_eq!(node(), (asked.to_string(), None));
    set("cluster-announce-hostname", "Redis-1.example.com");
    let name = Some("redis-1.example.com".to_owned());
    assert_eq!(node(), (asked.to_string(), name.clone()));
    set("cluster-preferred-endpoint-type", "unknown-endpoint");
    assert_eq!(node(), (asked.to_string(), name.clone()));
    set("cluster-preferred-endpoint-type", "hostname");
    let by_name = format!("redis-1.example.com:{}", server.port);
    assert_eq!(node(), (by_name, name));
    set("cluster-announce-hostname", "");
    assert_eq!(map(), Err(BadMap::UnknownEndpoint));
    set("cluster-preferred-endpoint-type", "ip");
    set("cluster-announce-ip", "10.1.2.3");
    assert_eq!(node(), (format!("10.1.2.3:{}", server.port), None));
}
