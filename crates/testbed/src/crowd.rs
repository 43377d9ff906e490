//! Many clients at the same moment.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Request, Response};

/// What a crowd got.
#[derive(Debug)]
pub struct Crowd {
    /// One result for each client.
    pub results: Vec<io::Result<Response>>,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// Lets `count` clients, each on a connection of its own, send a request at the same moment.
#[must_use]
pub fn crowd(
    address: SocketAddr,
    count: usize,
    request: impl Fn(usize) -> Request + Sync,
) -> Crowd {
    let ready = Barrier::new(count + 1);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..count)
            .map(|number| {
                let (ready, request) = (&ready, &request);
                let client = move || {
                    let client = Client::try_connect(address);
                    ready.wait();
                    client?.exchange(&request(number))
                };
                thread::Builder::new()
                    .stack_size(512 * 1024)
                    .spawn_scoped(scope, client)
                    .expect("a thread")
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        let results = clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .collect();
        Crowd {
            results,
            took: start.elapsed(),
        }
    })
}

impl Crowd {
    /// All answers.
    ///
    /// # Panics
    ///
    /// If a client got none, or a cut one.
    #[must_use]
    #[track_caller]
    pub fn answers(&self) -> Vec<&Response> {
        let answer = |result: &'_ io::Result<Response>| match result {
            Ok(response) => assert!(response.complete, "a cut answer: {:?}", response.fields),
            Err(error) => panic!("a client without answer: {error}"),
        };
        self.results.iter().for_each(answer);
        self.results.iter().flatten().collect()
    }

    /// How many got which status.
    #[must_use]
    #[track_caller]
    pub fn statuses(&self) -> BTreeMap<u16, usize> {
        count(self.answers().iter().map(|response| response.status))
    }

    /// How many got which word of the cache (header X-Cache).
    #[must_use]
    #[track_caller]
    pub fn words(&self) -> BTreeMap<String, usize> {
        count(self.answers().iter().map(|response| response.word()))
    }

    /// How many got which body.
    #[must_use]
    #[track_caller]
    pub fn bodies(&self) -> BTreeMap<Vec<u8>, usize> {
        count(self.answers().iter().map(|response| response.body.clone()))
    }

    /// How many were answered by which worker (header X-Worker).
    #[must_use]
    #[track_caller]
    pub fn workers(&self) -> BTreeMap<String, usize> {
        count(
            self.answers()
                .iter()
                .filter_map(|response| response.header("x-worker")),
        )
    }

    /// The times of the last bytes, sorted.
    #[must_use]
    #[track_caller]
    pub fn times(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self
            .answers()
            .iter()
            .map(|response| response.last_byte)
            .collect();
        times.sort();
        times
    }

    /// How long the slowest client waited for its last byte.
    #[must_use]
    #[track_caller]
    pub fn slowest(&self) -> Duration {
        self.times().last().copied().unwrap_or_default()
    }
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
