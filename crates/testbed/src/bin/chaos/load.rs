//! The clients: ask at random, and check every byte.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use testbed::{Client, Request, ms};

use crate::ledger::Ledger;
use crate::owners::Owners;
use crate::pages::{self, Selector, Sent};
use crate::rng::Rng;

/// One client of a machine, until the ledger says that it's over.
pub fn client(
    (machine, address): (usize, SocketAddr),
    ledger: &Ledger,
    owners: &Owners,
    seed: u64,
) {
    let mut rng = Rng::new(seed);
    let mut kept: Option<Client> = None;
    while !ledger.is_over() {
        // The pace of a visitor, not a wait for anything.
        thread::sleep(ms(rng.below(8)));
        let path = pages::any(&mut rng);
        let (reused, floor) = (kept.is_some(), ledger.floor(&path, machine));
        let owner = owners.of(&path);
        let start = Instant::now();
        let mut client = match kept.take().map_or_else(|| Client::try_connect(address), Ok) {
            Ok(client) => client,
            Err(error) => {
                ledger.lost(&path, start, &format!("no connection: {error}"));
                continue;
            }
        };
        match client.exchange(&Request::get(&path).header("Host", pages::HOST)) {
            Ok(answer) if answer.complete => {
                let word = answer.word();
                let source = answer.header("X-Source").unwrap_or_default();
                ledger.answer(&owner, answer.status, &word, answer.first_byte);
                if answer.status != 200 {
                    ledger.say(&format!("{path}: {} {word}", answer.status));
                    continue;
                }
                match pages::version(&path, &answer.body) {
                    Ok(version) => ledger.version(&path, (&word, &source), start, floor, version),
                    Err(wrong) => ledger.say(&format!("{path}: {word}: {wrong}")),
                }
            }
            // nginx may close a connection that is kept, at any time.
            Err(error) if reused && error.kind() != ErrorKind::WouldBlock => continue,
            Ok(answer) => {
                let size = answer.body.len();
                ledger.lost(&path, start, &format!("cut after {size} bytes"));
                continue;
            }
            Err(error) => {
                ledger.lost(&path, start, &error.to_string());
                continue;
            }
        }
        if rng.percent(80) {
            kept = Some(client);
        }
    }
}

/// Purges pages on all machines, until the ledger says that it's over. A store in trouble may take none.
pub fn purger(machines: &[SocketAddr], ledger: &Ledger, sent: &Sent, seed: u64) {
    let mut rng = Rng::new(seed);
    while !ledger.is_over() {
        // The pace of an editor, not a wait for anything.
        thread::sleep(ms(rng.below(150)));
        let machine = rng.below(machines.len() as u64) as usize;
        let selector = match rng.below(10) {
            0 => Selector::Prefix,
            1 => Selector::Tag,
            _ => Selector::Key,
        };
        let (request, pages) = pages::purge(selector, &mut rng);
        let with_version = |path: String| {
            let version = sent.version(&path);
            (path, version)
        };
        let pages = pages.into_iter().map(with_version).collect();
        let start = Instant::now();
        let answer =
            Client::try_connect(machines[machine]).and_then(|mut client| client.exchange(&request));
        match answer {
            Ok(answer) if answer.status == 200 => {
                ledger.count("purge 200");
                ledger.purged(machine, start, pages);
            }
            Ok(answer) if answer.status == 503 => ledger.count("purge 503"),
            Ok(answer) => ledger.say(&format!("{selector:?}: {} for a purge", answer.status)),
            Err(error) => ledger.lost("a purge", start, &error.to_string()),
        }
    }
}
