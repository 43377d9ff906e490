//! Taking the connections of nginx until hardly one is left.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;

use super::Running;
use crate::ms;
use crate::wait::{PATIENCE, eventually, wait_for};

impl Running {
    /// Takes connections of its one worker, by requests that are never finished, until none is left; gives them. Each that is
    /// dropped gives one back: see [`Running::wait_until_noticed`].
    ///
    /// # Panics
    ///
    /// If nginx refuses none, or has few itself.
    #[must_use]
    #[track_caller]
    pub fn take_all_connections(&self) -> Vec<TcpStream> {
        assert_eq!(self.workers, 1, "workers");
        let connect = || {
            let mut stream = TcpStream::connect(self.address()).unwrap();
            stream.write_all(b"GET / HT").unwrap();
            stream
        };
        // More than there are. nginx then ends those that come, and such as it hasn't read from yet.
        let more = self.connections + 16;
        let mut taken: Vec<_> = (0..more).map(|_| connect()).collect();
        let refused = eventually(PATIENCE, || {
            taken.push(connect());
            let last = taken.last()?;
            eventually(ms(1000), || (!is_open(last)).then_some(()))
        });
        // Who was let in before the last one has been read from by now: that stays.
        taken.retain(is_open);
        let fair = self.connections / 2..=self.connections;
        assert!(
            refused.is_some() && fair.contains(&taken.len()),
            "{} taken",
            taken.len()
        );
        taken
    }

    /// Waits until nginx has closed each connection whose client has: its place is free.
    #[track_caller]
    pub fn wait_until_noticed(&self) {
        let local = format!(":{:04X}", self.address().port());
        let is_left = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let is_here = words.next().is_some_and(|word| word.ends_with(&local));
            // CLOSE_WAIT.
            is_here && words.nth(1) == Some("08")
        };
        wait_for("nginx to notice who has left", PATIENCE, || {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            !table.lines().any(is_left)
        });
    }
}

/// Whether nginx hasn't ended a connection on which it has nothing to say.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
