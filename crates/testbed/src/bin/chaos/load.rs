//! The clients: ask at random, and check every byte.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use testbed::{Client, Request, ms};

use crate::ledger::Ledger;
use crate::owners::Owners;
use crate::pages;
use crate::rng::Rng;

/// One client, until the ledger says that it's over.
pub fn client(address: SocketAddr, ledger: &Ledger, owners: &Owners, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut kept: Option<Client> = None;
    while !ledger.is_over() {
        // The pace of a visitor, not a wait for anything.
        thread::sleep(ms(rng.below(8)));
        let path = pages::any(&mut rng);
        let (reused, floor) = (kept.is_some(), ledger.floor(&path));
        let owner = owners.of(&path);
        let start = Instant::now();
        let mut client = match kept.take().map_or_else(|| Client::try_connect(address), Ok) {
            Ok(client) => client,
            Err(error) => {
                ledger.lost(&path, start, &format!("no connection: {error}"));
                continue;
            }
        };
        match client.exchange(&Request::get(&path)) {
            Ok(answer) if answer.complete => {
                let word = answer.word();
                ledger.answer(&owner, answer.status, &word, answer.first_byte);
                if answer.status != 200 {
                    ledger.say(&format!("{path}: {} {word}", answer.status));
                    continue;
                }
                match pages::version(&path, &answer.body) {
                    Ok(version) => ledger.version(&path, &word, start, floor, version),
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
