//! Answers as they come: first bytes at once for the first client and for those who join it, answers too large to be
//! stored, slow readers, and what all that costs the worker and the backend.

mod beside_plain;
mod endless;
mod flushing;
mod memory;
mod memory_unbuffered;
mod oversize;
mod parts;
mod prompt;
mod readers;
mod unread;

use std::thread;
use std::time::{Duration, Instant};
use testbed::{Client, Faucet, Response, Running, Site, ms};

/// How much later than the backend's a client's byte may come: 10 ms are due, and `make bench` measures them; a busy
/// test machine has its own. What counts here is that the backend's next byte waits for a gate meanwhile.
const PROMPT: Duration = ms(500);

/// One worker, so that whoever comes later joins the fill, and bytes pass as they come.
fn unbuffered(site: Site) -> Site {
    // At the server, since in the seed's form it is the fallback location that reads the backend.
    site.workers(1)
        .server("proxy_buffering off;")
        .http("proxy_http_version 1.1;")
}

fn worker(site: &Running) -> i32 {
    site.nginx.workers()[0]
}

/// A location of its own with the faucet as its backend.
fn with_faucet(buffering: &str, faucet: &Faucet) -> Site {
    let pass = format!("proxy_pass http://{}; {buffering}", faucet.address());
    let warm = "location /warm { return 200 warm; }";
    Site::new().workers(1).location(&pass).locations(warm)
}

const UNBUFFERED: &str = "proxy_buffering off;";

/// nginx reads ahead, but no further than its buffers hold.
const BUFFERED: &str = "proxy_buffering on; proxy_max_temp_file_size 0;";

/// What lies between a backend that writes and a client that doesn't read: socket buffers of the kernel.
const BUFFERS: usize = 24_000_000;

/// Reads about `bytes` bytes of the body at `rate` bytes a second, checks and forgets them; gives the new offset.
#[track_caller]
fn sip(
    client: &mut Client,
    answer: &mut Response,
    from: usize,
    bytes: usize,
    rate: usize,
) -> usize {
    let start = Instant::now();
    let mut read = 0;
    while read < bytes {
        if !client.receive_piece(answer).unwrap() && answer.body.is_empty() {
            break;
        }
        assert!(
            Faucet::is_right(from + read, &answer.body),
            "at {}",
            from + read
        );
        read += answer.body.len();
        answer.body.clear();
        let due = Duration::from_secs_f64(read as f64 / rate as f64);
        thread::sleep(due.saturating_sub(start.elapsed()));
        if answer.complete {
            break;
        }
    }
    from + read
}
