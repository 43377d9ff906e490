//! What a client makes of a Content-Encoding.

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
    decoded("gzip", bytes)
}

/// The plain text of a body in this coding, or of as much of one as there is. The coding is named as the program that decodes it,
/// which isn't made of what the module is made of: `gzip` or `zstd`.
///
/// # Panics
///
/// If the program can't be run.
#[must_use]
pub fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut program = Command::new(coding)
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program of the coding");
    let mut input = program.stdin.take().expect("its input");
    let bytes = bytes.to_vec();
    let feeder = thread::spawn(move || {
        // It may have seen enough.
        let _ = input.write_all(&bytes);
    });
    let mut plain = Vec::new();
    if let Some(mut output) = program.stdout.take() {
        let _ = output.read_to_end(&mut plain);
    }
    let _ = feeder.join();
    let _ = program.wait();
    plain
}
