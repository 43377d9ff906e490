//! The clients: ask at random, leave at random, check every byte.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{Client, Request, Response, ms};

use crate::pages::{self, Kind};
use crate::rng::Rng;

/// Longer than any answer takes: a lock's timeout, and the backend's own time.
const PATIENCE: Duration = Duration::from_secs(6);

/// What clients and troubles share.
#[derive(Debug, Default)]
pub struct Ledger {
    over: AtomicBool,
    wrong: Mutex<Vec<String>>,
    words: Mutex<BTreeMap<String, usize>>,
    kills: Mutex<Vec<Instant>>,
    slowest: Mutex<Duration>,
}

impl Ledger {
    /// Ends the load.
    pub fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// A worker is about to be killed.
    pub fn kill(&self) {
        self.kills.lock().expect("kills").push(Instant::now());
    }

    /// Something is wrong.
    pub fn say(&self, what: String) {
        self.wrong.lock().expect("faults").push(what);
    }

    /// Whether so much is wrong that it makes no sense to go on.
    pub fn hopeless(&self) -> bool {
        self.wrong.lock().expect("faults").len() >= 20
    }

    /// What is wrong.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().expect("faults").clone()
    }

    /// How many answers there were of each kind, and how long the slowest took.
    pub fn summary(&self) -> String {
        let words = self.words.lock().expect("words");
        let all: usize = words.values().sum();
        format!(
            "{all} answers {words:?}, slowest {:?}",
            self.slowest.lock().expect("slowest")
        )
    }

    fn count(&self, word: String) {
        *self.words.lock().expect("words").entry(word).or_default() += 1;
    }

    fn killed_since(&self, start: Instant) -> bool {
        // A connection may have been taken by a worker just before its end.
        let from = start.checked_sub(ms(100)).unwrap_or(start);
        self.kills
            .lock()
            .expect("kills")
            .iter()
            .any(|at| *at >= from)
    }
}

/// One client, until the ledger says that it's over.
pub fn client(address: SocketAddr, ledger: &Ledger, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut kept: Option<Client> = None;
    while !ledger.over.load(Ordering::SeqCst) && !ledger.hopeless() {
        thread::sleep(ms(rng.below(12)));
        let (kind, path) = pages::any(&mut rng);
        if rng.percent(2) {
            operate(address, ledger, &path, &mut rng);
            continue;
        }
        if rng.percent(5) {
            leave(address, kind, &path, &mut rng);
            continue;
        }
        let reused = kept.is_some();
        let start = Instant::now();
        let mut connection = match kept.take().map_or_else(|| Client::try_connect(address), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                ledger.say(format!("no connection: {error}"));
                continue;
            }
        };
        match ask(&mut connection, kind, &path, rng.percent(2)) {
            // nginx may close a connection that is kept, at any time.
            Err(error) if reused && error.kind() != ErrorKind::WouldBlock => continue,
            result => {
                judge(ledger, kind, &path, start, &result);
                // What is left of an answer would be taken for the next.
                if result.is_err() {
                    continue;
                }
            }
        }
        if rng.percent(60) {
            kept = Some(connection);
        }
    }
}

/// What an operator does: purges a page, or those of its folder, or looks at the figures.
fn operate(address: SocketAddr, ledger: &Ledger, path: &str, rng: &mut Rng) {
    let (request, right) = match rng.below(4) {
        // A store in trouble takes no purge.
        0 => (Request::new("PURGE", path), [200, 503]),
        1 => {
            let folder = path.trim_end_matches(|it: char| it != '/');
            (Request::new("PURGE", &format!("{folder}*")), [200, 503])
        }
        2 => (Request::get("/cache/status"), [200, 200]),
        _ => (Request::get("/cache/metrics"), [200, 200]),
    };
    let (start, is_purge) = (Instant::now(), right[1] == 503);
    let answer = Client::try_connect(address).and_then(|mut client| client.exchange(&request));
    match answer {
        Ok(answer) if answer.complete && right.contains(&answer.status) => {
            if is_purge && answer.status == 200 && !answer.text().contains("\"purged\"") {
                ledger.say(format!("a purge got: {}", answer.text()));
            }
            ledger.count(format!("{} for an operator", answer.status));
        }
        _ if ledger.killed_since(start) => ledger.count("lost with a worker".to_owned()),
        Ok(answer) => ledger.say(format!("an operator got {}: {path}", answer.status)),
        Err(error) => ledger.say(format!("an operator got {error}: {path}")),
    }
}

fn ask(client: &mut Client, kind: &Kind, path: &str, slowly: bool) -> io::Result<Response> {
    client.send(&pages::request(kind, path))?;
    let mut answer = client.receive_header()?;
    while client.receive_piece(&mut answer)? {
        if slowly {
            thread::sleep(ms(3));
        }
    }
    Ok(answer)
}

fn leave(address: SocketAddr, kind: &Kind, path: &str, rng: &mut Rng) {
    let Ok(mut client) = Client::try_connect(address) else {
        return;
    };
    let _ = client.send(&pages::request(kind, path));
    if rng.percent(50)
        && let Ok(mut answer) = client.receive_header()
    {
        let _ = client.receive_until(&mut answer, rng.below(20_000) as usize);
    }
    if rng.percent(50) {
        client.reset();
    }
}

fn judge(ledger: &Ledger, kind: &Kind, path: &str, start: Instant, result: &io::Result<Response>) {
    let took = start.elapsed();
    let mut slowest = ledger.slowest.lock().expect("slowest");
    *slowest = took.max(*slowest);
    drop(slowest);
    match result {
        Ok(answer) if answer.complete => {
            ledger.count(format!("{} {}", answer.status, answer.word()));
            if answer.status >= 500 {
                if !kind.fails {
                    ledger.say(format!("{path}: {} {:?}", answer.status, answer.fields));
                }
            } else if !pages::is_whole(path, &answer.body) {
                let (size, word) = (answer.body.len(), answer.word());
                ledger.say(format!("{path}: {word}: {size} bytes that aren't its body"));
            } else if answer
                .body
                .windows(15)
                .take(300)
                .any(|bytes| bytes == b"POST BODY WRONG")
            {
                ledger.say(format!("{path}: the backend got another body"));
            }
            // How long the rest takes is a matter of who reads how slowly.
            if answer.first_byte > PATIENCE {
                let waited = answer.first_byte;
                ledger.say(format!("{path}: answered after {waited:?}"));
            }
        }
        _ if kind.fails => ledger.count("cut by the backend".to_owned()),
        _ if ledger.killed_since(start) => ledger.count("lost with a worker".to_owned()),
        Ok(answer) => {
            let (size, word) = (answer.body.len(), answer.word());
            ledger.say(format!(
                "{path}: {word}: cut after {size} bytes {:?}",
                answer.fields
            ));
        }
        Err(error) => ledger.say(format!("{path}: after {took:?}: {error}")),
    }
}
