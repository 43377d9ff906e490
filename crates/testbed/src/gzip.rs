//! What a client makes of `Content-Encoding: gzip`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

/// The plain text of a gzip stream, or of as much of one as there is.
///
/// # Panics
///
/// If gzip can't be run.
#[must_use]
pub fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gzip");
    let mut input = gzip.stdin.take().expect("its input");
    let bytes = bytes.to_vec();
    let feeder = thread::spawn(move || {
        // It may have seen enough.
        let _ = input.write_all(&bytes);
    });
    let mut plain = Vec::new();
    if let Some(mut output) = gzip.stdout.take() {
        let _ = output.read_to_end(&mut plain);
    }
    let _ = feeder.join();
    let _ = gzip.wait();
    plain
}
