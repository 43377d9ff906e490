//! A backend that pours: bodies too large to be kept, as fast as they are taken, with a count of what went.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::ports::Port;
use crate::record::md5_hex;

const BLOCK: usize = 64 * 1024;

/// Answers every request by the same long body, or by the part of it that a Range of the form `bytes=FIRST-LAST` names.
#[derive(Debug)]
pub struct Faucet {
    port: Port,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    header: String,
    size: usize,
    chunked: bool,
    requests: AtomicUsize,
    poured: AtomicUsize,
    open: AtomicUsize,
    closing: AtomicBool,
}

impl Faucet {
    /// Bodies of `size` bytes with Content-Length; `header` are further lines, each with its CRLF.
    #[must_use]
    pub fn start(size: usize, header: &str) -> Faucet {
        Faucet::with(size, header, false)
    }

    /// Bodies of `size` bytes in chunks.
    #[must_use]
    pub fn chunked(size: usize, header: &str) -> Faucet {
        Faucet::with(size, header, true)
    }

    fn with(size: usize, header: &str, chunked: bool) -> Faucet {
        let port = Port::take();
        let listener = port.listen();
        let shared = Arc::new(Shared {
            header: header.to_owned(),
            size,
            chunked,
            requests: AtomicUsize::new(0),
            poured: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.closing.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    shared.open.fetch_add(1, Ordering::SeqCst);
                    // A peer that leaves is what some tests are about.
                    let _ = shared.serve(&stream);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Faucet {
            port,
            shared,
            thread: Some(thread),
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many bytes of bodies were written.
    #[must_use]
    pub fn poured(&self) -> usize {
        self.shared.poured.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Whether `bytes` are what a body has from `offset` on.
    #[must_use]
    pub fn is_right(offset: usize, bytes: &[u8]) -> bool {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let block = block(at / BLOCK);
            let from = at % BLOCK;
            let count = rest.len().min(BLOCK - from);
            if block[from..from + count] != rest[..count] {
                return false;
            }
            at += count;
            rest = &rest[count..];
        }
        true
    }
}

impl Drop for Faucet {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The block of this number, unlike any other.
fn block(number: usize) -> Vec<u8> {
    md5_hex(&number.to_string()).into_bytes().repeat(BLOCK / 32)
}

/// First and last byte of a Range field in a header.
fn range(header: &str) -> Option<(usize, usize)> {
    let line = header.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("range").then_some(value.trim())
    })?;
    let (first, last) = line.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

impl Shared {
    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut seen = Vec::new();
        let mut bytes = [0; 4096];
        while !seen.ends_with(b"\r\n\r\n") {
            match stream.read(&mut bytes)? {
                0 => return Ok(()),
                count => seen.extend_from_slice(&bytes[..count]),
            }
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (header, size) = (&self.header, self.size);
        let (status, from, to) = match range(&String::from_utf8_lossy(&seen)) {
            Some((first, last)) if first <= last && last < size => {
                let line =
                    format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}");
                (line, first, last + 1)
            }
            _ => ("200 OK".to_owned(), 0, size),
        };
        let framing = if self.chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", to - from)
        };
        let head = format!("HTTP/1.1 {status}\r\n{framing}\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(head.as_bytes())?;
        let mut sent = from;
        while sent < to && !self.closing.load(Ordering::SeqCst) {
            let mut piece = block(sent / BLOCK).split_off(sent % BLOCK);
            piece.truncate(to - sent);
            if self.chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            }
            stream.write_all(&piece)?;
            if self.chunked {
                stream.write_all(b"\r\n")?;
            }
            sent += piece.len();
            self.poured.fetch_add(piece.len(), Ordering::SeqCst);
        }
        if self.chunked {
            stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(())
    }
}
