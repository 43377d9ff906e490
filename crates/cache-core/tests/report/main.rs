//! What operators see: counts of all kinds, as JSON, as metrics and as a page.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod page;

use std::collections::{BTreeMap, HashSet};

use cache_core::counters::{
    Coalesced, Counts, FILL_DURATION, Failure, FillKind, FillResult, MEMORY_HITS, NODE_DOWN,
    NODE_DURATION, Operation, Subject, Word, coalesced, failures, fills, node_failures, not_stored,
    purges, response_bytes, responses, store_duration, written, written_bytes,
};
use cache_core::outcome::{CacheStatus, Reason};
use cache_core::purge::{Kind, Mode};
use cache_core::report::{
    Form, Keys, MemoryReport, Node, Report, StoreReport, ZoneReport, json, metrics,
};
use proptest::prelude::*;

/// The words of a subject, by the names that tests give them.
fn words(subject: Subject) -> Vec<Word> {
    let mut all = Vec::new();
    if matches!(subject, Subject::Zone | Subject::Server) {
        for status in CacheStatus::ALL {
            all.extend([responses(status), response_bytes(status)]);
        }
    }
    if subject == Subject::Zone {
        for status in CacheStatus::ALL {
            all.extend([written(status), written_bytes(status)]);
        }
        all.extend(Coalesced::ALL.map(coalesced));
        all.push(MEMORY_HITS);
        for kind in FillKind::ALL {
            all.extend(FillResult::ALL.map(|result| fills(kind, result)));
        }
        all.extend(Reason::ALL.iter().map(|reason| not_stored(*reason)));
        all.push(FILL_DURATION.sum());
    }
    if subject == Subject::Store {
        for operation in Operation::ALL {
            all.push(store_duration(operation).sum());
        }
        all.extend(Failure::ALL.map(failures));
        for kind in Kind::EACH {
            for mode in Mode::EACH {
                all.extend([true, false].map(|held| purges(kind, mode, held)));
            }
        }
    }
    if subject == Subject::Node {
        all.extend([NODE_DURATION.sum(), NODE_DOWN]);
        all.extend(Failure::ALL.map(node_failures));
    }
    all
}

#[test]
fn each_count_has_a_word_of_its_own_within_its_series() {
    for subject in [
        Subject::Zone,
        Subject::Server,
        Subject::Store,
        Subject::Node,
    ] {
        let mut all = words(subject);
        let times = match subject {
            Subject::Zone => vec![FILL_DURATION],
            Subject::Server => vec![],
            Subject::Store => Operation::ALL.map(store_duration).to_vec(),
            Subject::Node => vec![NODE_DURATION],
        };
        for times in times {
            let ranges = (0..40).map(|power| times.range(1 << power));
            all.extend(ranges.collect::<HashSet<_>>());
        }
        let places: HashSet<usize> = all.iter().map(|word| word.place()).collect();
        assert_eq!(places.len(), all.len(), "{subject:?}");
        assert!(
            places.iter().all(|place| *place < subject.words()),
            "{subject:?}"
        );
    }
}

#[test]
fn what_a_reason_means_for_a_fill() {
    for reason in Reason::ALL {
        let wanted = match reason {
            Reason::Stored => FillResult::Stored,
            Reason::Revalidated => FillResult::Revalidated,
            Reason::BackendFailed => FillResult::Failed,
            _ => FillResult::NotStored,
        };
        assert_eq!(FillResult::of(*reason), wanted, "{reason}");
    }
}

fn counts(subject: Subject, set: &[(Word, u64)]) -> Counts {
    let mut counts = Counts::default();
    counts.add(std::iter::repeat_n(0, subject.words()));
    for (word, count) in set {
        counts.0[word.place()] += count;
    }
    counts
}

/// A report in which each kind of thing occurs.
pub(crate) fn report() -> Report {
    let zone = [
        (responses(CacheStatus::Hit), 7),
        (response_bytes(CacheStatus::Hit), 700),
        (written(CacheStatus::Miss), 2),
        (written_bytes(CacheStatus::Miss), 200),
        (coalesced(Coalesced::Stream), 3),
        (MEMORY_HITS, 11),
        (fills(FillKind::Refill, FillResult::Stored), 4),
        (not_stored(Reason::SetCookie), 5),
        (FILL_DURATION.range(1000), 1),
        (FILL_DURATION.range(1001), 1),
        (FILL_DURATION.range(31_000_000), 1),
        (FILL_DURATION.sum(), 31_002_001),
    ];
    let store = [
        (store_duration(Operation::Lookup).range(99), 6),
        (store_duration(Operation::Lookup).sum(), 594),
        (failures(Failure::Timeout), 8),
        (purges(Kind::Tag, Mode::Soft, true), 9),
    ];
    Report {
        version: "1.2.3",
        nginx: "1.28.0".into(),
        time: 1_790_000_000_123,
        workers: 2,
        zones: vec![ZoneReport {
            name: "a \"zone\"\\\n".into(),
            counts: counts(Subject::Zone, &zone),
            keys: Keys {
                room: 100,
                filling: 1,
                uncacheable: 2,
                failing: 3,
                known: 4,
                waiters: 5,
                refills: 6,
            },
        }],
        servers: vec![(
            "example.com".into(),
            counts(Subject::Server, &[(responses(CacheStatus::Bypass), 1)]),
        )],
        stores: vec![
            StoreReport {
                name: "main".into(),
                mode: "sentinel",
                connections: 4,
                counts: counts(Subject::Store, &store),
                nodes: vec![
                    Node {
                        address: "127.0.0.1:6379".into(),
                        is_up: true,
                        is_master: true,
                        counts: counts(
                            Subject::Node,
                            &[
                                (NODE_DURATION.range(99), 5),
                                (NODE_DURATION.sum(), 495),
                                (node_failures(Failure::Timeout), 6),
                                (NODE_DOWN, 2),
                            ],
                        ),
                    },
                    Node {
                        address: "127.0.0.2:6379".into(),
                        is_up: false,
                        is_master: false,
                        counts: Counts::default(),
                    },
                ],
                memory: Some(MemoryReport {
                    size: 1 << 20,
                    bytes: 1000,
                    objects: 10,
                    evictions: 3,
                    is_fed: true,
                    feed_lag: Some(1500),
                }),
            },
            StoreReport {
                name: "local".into(),
                mode: "memory",
                ..StoreReport::default()
            },
        ],
    }
}

#[test]
fn as_json() {
    let text = json(&report());
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let at = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    let zone = "/caches/a \"zone\"\\\n";
    for (pointer, wanted) in [
        ("/version".to_owned(), "\"1.2.3\""),
        ("/nginx".into(), "\"1.28.0\""),
        ("/timestamp".into(), "1790000000123"),
        ("/workers".into(), "2"),
        (format!("{zone}/hit"), r#"{"bytes":700,"responses":7}"#),
        (
            format!("{zone}/miss"),
            r#"{"bytes":0,"bytes_written":200,"responses":0,"responses_written":2}"#,
        ),
        (format!("{zone}/cold"), "false"),
        (format!("{zone}/coalesced"), r#"{"record":0,"stream":3}"#),
        (format!("{zone}/fills/refill/stored"), "4"),
        (format!("{zone}/not_stored"), r#"{"set-cookie":5}"#),
        (format!("{zone}/fill_duration/count"), "3"),
        (format!("{zone}/fill_duration/sum"), "31.002001"),
        (format!("{zone}/fill_duration/buckets/0"), "[0.001,1]"),
        (format!("{zone}/fill_duration/buckets/1"), "[0.005,2]"),
        (
            format!("{zone}/keys"),
            r#"{"failing":3,"filling":1,"known":4,"room":100,"uncacheable":2}"#,
        ),
        (format!("{zone}/waiters"), "5"),
        (format!("{zone}/refills"), "6"),
        (
            "/servers/example.com/bypass".into(),
            r#"{"bytes":0,"responses":1}"#,
        ),
        ("/stores/main/mode".into(), "\"sentinel\""),
        ("/stores/main/up".into(), "true"),
        ("/stores/main/nodes/0/role".into(), "\"master\""),
        ("/stores/main/nodes/0/down".into(), "2"),
        ("/stores/main/nodes/0/commands/count".into(), "5"),
        ("/stores/main/nodes/0/commands/sum".into(), "0.000495"),
        (
            "/stores/main/nodes/0/errors".into(),
            r#"{"closed":0,"no_room":0,"protocol":0,"refused":0,"timeout":6,"unavailable":0}"#,
        ),
        ("/stores/main/nodes/1/role".into(), "\"replica\""),
        ("/stores/main/nodes/1/up".into(), "false"),
        ("/stores/main/nodes/1/commands/count".into(), "0"),
        ("/stores/main/operations/lookup/count".into(), "6"),
        ("/stores/main/connections".into(), "4"),
        ("/stores/main/errors/timeout".into(), "8"),
        (
            "/stores/main/purges".into(),
            r#"[{"failed":0,"kind":"tag","mode":"soft","ok":9}]"#,
        ),
        (
            "/stores/main/memory".into(),
            r#"{"bytes":1000,"evictions":3,"fed":true,"feed_lag":1.5,"objects":10,"size":1048576}"#,
        ),
        ("/stores/local/memory".into(), "null"),
        ("/stores/local/up".into(), "true"),
    ] {
        assert_eq!(at(&pointer).to_string(), wanted, "{pointer}");
    }
}

#[test]
fn as_metrics() {
    for (form, total, end) in [
        (Form::Prometheus, "_total", false),
        (Form::OpenMetrics, "", true),
    ] {
        let text = String::from_utf8(metrics(&report(), form)).unwrap();
        let zone = r#"zone="a \"zone\"\\\n""#;
        for line in [
            format!("# TYPE nginx_redis_cache_responses{total} counter"),
            format!("nginx_redis_cache_responses_total{{{zone},status=\"hit\"}} 7"),
            format!("nginx_redis_cache_not_stored_total{{{zone},reason=\"set-cookie\"}} 5"),
            format!("nginx_redis_cache_fills_total{{{zone},kind=\"refill\",result=\"stored\"}} 4"),
            "# TYPE nginx_redis_cache_fill_duration_seconds histogram".into(),
            format!("nginx_redis_cache_fill_duration_seconds_bucket{{{zone},le=\"0.001\"}} 1"),
            format!("nginx_redis_cache_fill_duration_seconds_bucket{{{zone},le=\"0.005\"}} 2"),
            format!("nginx_redis_cache_fill_duration_seconds_bucket{{{zone},le=\"30.0\"}} 2"),
            format!("nginx_redis_cache_fill_duration_seconds_bucket{{{zone},le=\"+Inf\"}} 3"),
            format!("nginx_redis_cache_fill_duration_seconds_sum{{{zone}}} 31.002001"),
            format!("nginx_redis_cache_fill_duration_seconds_count{{{zone}}} 3"),
            format!("nginx_redis_cache_zone_keys{{{zone},state=\"uncacheable\"}} 2"),
            "nginx_redis_cache_server_responses_total{server=\"example.com\",status=\"bypass\"} 1".into(),
            "nginx_redis_cache_store_up{store=\"main\"} 1".into(),
            "nginx_redis_cache_store_node_up{store=\"main\",node=\"127.0.0.2:6379\",role=\"replica\"} 0".into(),
            "nginx_redis_cache_store_duration_seconds_bucket{store=\"main\",op=\"lookup\",le=\"0.0001\"} 6".into(),
            "nginx_redis_cache_store_errors_total{store=\"main\",kind=\"timeout\"} 8".into(),
            "nginx_redis_cache_purges_total{store=\"main\",kind=\"tag\",mode=\"soft\",result=\"ok\"} 9".into(),
            "nginx_redis_cache_memory_objects{store=\"main\"} 10".into(),
            "nginx_redis_cache_memory_feed_lag_seconds{store=\"main\"} 1.5".into(),
            "nginx_redis_cache_store_connections{store=\"main\"} 4".into(),
            format!("nginx_redis_cache_memory_hits_total{{{zone}}} 11"),
            "nginx_redis_cache_build_info{version=\"1.2.3\",nginx=\"1.28.0\"} 1".into(),
        ] {
            assert!(text.lines().any(|is| is == line), "{line}\n{text}");
        }
        assert_eq!(text.ends_with("\n# EOF\n"), end);
        each_family_is_whole(&text);
    }
}

/// Samples of a family stand together behind its type, none twice.
fn each_family_is_whole(text: &str) {
    let mut families: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    let mut family = "";
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
            assert!(families.insert(family, HashSet::new()).is_none(), "{line}");
        } else if !line.starts_with('#') {
            let sample = line.rsplit_once(' ').unwrap().0;
            assert!(sample.starts_with(family), "{sample} in {family}");
            assert!(
                families.get_mut(family).unwrap().insert(sample),
                "{sample} twice"
            );
        }
    }
    assert!(families.len() > 20);
}

proptest! {
    /// A time counts in the range that its bounds say.
    #[test]
    fn times_count_below_their_bounds(times in proptest::collection::vec(0..100_000_000_u64, 0..50)) {
        let mut counts = counts(Subject::Zone, &[]);
        for time in &times {
            counts.0[FILL_DURATION.range(*time).place()] += 1;
        }
        let histogram = counts.histogram(FILL_DURATION);
        prop_assert_eq!(histogram.count, times.len() as u64);
        for (bound, count) in histogram.buckets {
            prop_assert_eq!(count, times.iter().filter(|time| **time <= bound).count() as u64);
        }
    }
}
