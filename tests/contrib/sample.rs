//! A scrape in which everything occurs, and grows from one to the next.

use cache_core::counters::{Counts, Subject};
use cache_core::report::{
    Form, Keys, MemoryReport, Node, Report, StoreReport, ZoneReport, metrics,
};

/// The scrape of this number, from 0.
pub fn scrape(number: usize, form: Form) -> Vec<u8> {
    metrics(&report(number as u64 + 1), form)
}

/// Each word of a series has grown by as much as its place says.
fn counts(subject: Subject, times: u64) -> Counts {
    let places = 1..=subject.words() as u64;
    Counts(places.map(|place| place * times).collect())
}

fn report(times: u64) -> Report {
    let node = |address: &str, is_master: bool| Node {
        address: address.into(),
        is_up: is_master,
        is_master,
        counts: counts(Subject::Node, times),
    };
    Report {
        version: "1.2.3",
        nginx: "1.28.0".into(),
        time: 1_790_000_000_123 + times,
        workers: 2,
        zones: vec![ZoneReport {
            name: "pages".into(),
            counts: counts(Subject::Zone, times),
            keys: Keys {
                room: 100,
                filling: 51,
                uncacheable: 2,
                failing: 3,
                known: 4,
                waiters: 101,
                refills: 6,
            },
        }],
        servers: vec![("example.com".into(), counts(Subject::Server, times))],
        stores: vec![
            StoreReport {
                name: "main".into(),
                mode: "sentinel",
                counts: counts(Subject::Store, times),
                connections: 3,
                nodes: vec![node("10.0.0.1:6379", true), node("10.0.0.2:6379", false)],
                memory: Some(MemoryReport {
                    size: 1 << 20,
                    bytes: 1000,
                    objects: 10,
                    evictions: times,
                    is_fed: false,
                    feed_lag: Some(1500),
                }),
            },
            StoreReport {
                name: "gone".into(),
                mode: "standalone",
                counts: counts(Subject::Store, times),
                connections: 3,
                nodes: vec![node("10.0.0.3:6379", false)],
                memory: None,
            },
        ],
    }
}
