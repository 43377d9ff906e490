//! A Redis server of a cluster of one, for what only a server knows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
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
