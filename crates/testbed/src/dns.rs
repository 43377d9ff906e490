//! A name server over UDP, whose answers a test changes while it runs: addresses with a time to live, no such name, or
//! silence.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::ports::Port;
use crate::wait::{PATIENCE, wait_for};

/// How soon the thread notices the server's end.
const TICK: Duration = Duration::from_millis(20);

/// Types of records (RFC 1035 3.2.2, RFC 3596 2.1).
const A: u16 = 1;
const AAAA: u16 = 28;

/// Codes of answers (RFC 1035 4.1.1).
const NO_ERROR: u8 = 0;
const NAME_ERROR: u8 = 3;

#[derive(Debug, Default)]
struct Shared {
    names: Mutex<HashMap<String, (u32, Vec<IpAddr>)>>,
    /// How often each name was asked for, whatever the type.
    asked: Mutex<HashMap<String, usize>>,
    silent: AtomicBool,
    closing: AtomicBool,
}

/// The server. At first it knows no name.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    _port: Port,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If its port can't be had.
    #[must_use]
    pub fn start() -> Dns {
        let port = Port::take();
        let address = port.udp_address();
        let socket = UdpSocket::bind(address).expect("the name server's port");
        socket
            .set_read_timeout(Some(TICK))
            .expect("a time limit on reading");
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&socket, &serving));
        Dns {
            address,
            _port: port,
            shared,
            thread: Some(thread),
        }
    }

    /// Where it listens, for `resolver`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of a name from now on, for so many seconds each time.
    pub fn set(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let parse = |text: &&str| text.parse().expect("an IP address");
        let addresses = addresses.iter().map(parse).collect();
        let mut names = self.shared.names.lock().unwrap();
        names.insert(name.to_owned(), (ttl, addresses));
    }

    /// There is no such name any more.
    pub fn remove(&self, name: &str) {
        self.shared.names.lock().unwrap().remove(name);
    }

    /// Whether it hears questions and says nothing.
    pub fn set_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    /// How many questions for a name have come: one for each type of address.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        asked.get(name).copied().unwrap_or(0)
    }

    /// Waits until a name has been asked for.
    #[track_caller]
    pub fn wait_for_question(&self, name: &str) {
        let before = self.asked(name);
        wait_for(&format!("a question for {name}"), PATIENCE, || {
            self.asked(name) > before
        });
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut bytes = [0; 1500];
    while !shared.closing.load(Ordering::SeqCst) {
        let Ok((count, from)) = socket.recv_from(&mut bytes) else {
            continue;
        };
        if let Some(answer) = answer(&bytes[..count], shared) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a question. `None` if it isn't understood, or if the server is silent.
fn answer(question: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let (name, end) = name_of(question)?;
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let asked = question.get(12..end + 4)?;
    let count = &mut *shared.asked.lock().unwrap();
    *count.entry(name.clone()).or_default() += 1;
    if shared.silent.load(Ordering::SeqCst) {
        return None;
    }
    let names = shared.names.lock().unwrap();
    let (code, ttl, addresses) = match names.get(&name) {
        Some((ttl, addresses)) => (NO_ERROR, *ttl, addresses.as_slice()),
        None => (NAME_ERROR, 0, [].as_slice()),
    };
    let fits = |ip: &&IpAddr| kind == if ip.is_ipv4() { A } else { AAAA };
    let records: Vec<Vec<u8>> = addresses.iter().filter(fits).map(octets).collect();
    let mut answer = question.get(..2)?.to_vec();
    // A response, recursion desired and available; one question.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    answer.extend(asked);
    for record in records {
        // The name as it stands in the question; class IN.
        answer.extend([0xC0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend((record.len() as u16).to_be_bytes());
        answer.extend(record);
    }
    Some(answer)
}

fn octets(ip: &IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The name asked for, and where it ends.
fn name_of(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut place) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(place)?);
        place += 1;
        if length == 0 {
            return Some((labels.join("."), place));
        }
        let label = question.get(place..place + length)?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        place += length;
    }
}
