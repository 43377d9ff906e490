//! A server whose figures a test makes up, and what the page shows of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cache_core::counters::{
    Coalesced, Counts, FILL_DURATION, Failure, FillKind, FillResult, MEMORY_HITS, Operation,
    Subject, Times, Word, coalesced, failures, fills, not_stored, purges, response_bytes,
    responses, store_duration, written, written_bytes,
};
use cache_core::outcome::{CacheStatus, Reason};
use cache_core::purge::{Kind, Mode};
use cache_core::report::{
    Keys, MemoryReport, Node, PAGE_POLICY, Report, StoreReport, ZoneReport, json, page,
};
use serde_json::Value;
use testbed::{Answer, Backend, Browser, PATIENCE, eventually, wait_for};

/// Adds to a word.
pub fn count(counts: &mut Counts, word: Word, more: u64) {
    counts.0[word.place()] += more;
}

/// Adds so many times, in microseconds.
pub fn count_times(counts: &mut Counts, times: Times, time: u64, more: u64) {
    count(counts, times.range(time), more);
    count(counts, times.sum(), time * more);
}

/// No counts of a subject.
pub fn none(subject: Subject) -> Counts {
    Counts(vec![0; subject.words()])
}

/// Two zones, three stores, two server blocks, where each kind of figure occurs.
pub fn report() -> Report {
    let zone = |name: &str| ZoneReport {
        name: name.into(),
        counts: none(Subject::Zone),
        keys: Keys {
            room: 13_107,
            filling: 3,
            uncacheable: 12,
            failing: 1,
            known: 240,
            waiters: 5,
            refills: 2,
        },
    };
    let node = |address: &str, is_up, is_master| Node {
        address: address.into(),
        is_up,
        is_master,
        counts: none(Subject::Node),
    };
    let store = |name: &str, mode, nodes, memory| StoreReport {
        name: name.into(),
        mode,
        counts: none(Subject::Store),
        connections: 8,
        nodes,
        memory,
    };
    let memory = MemoryReport {
        size: 64 << 20,
        bytes: 41_943_040,
        objects: 5_120,
        evictions: 17,
        is_fed: true,
        feed_lag: Some(40),
    };
    let mut report = Report {
        version: "0.1.0",
        nginx: "1.28.0".into(),
        time: 1_790_000_000_000,
        workers: 4,
        zones: vec![zone("pages"), zone("images & <files>")],
        servers: vec![
            ("example.com".into(), none(Subject::Server)),
            ("images.example.com".into(), none(Subject::Server)),
        ],
        stores: vec![
            store(
                "main",
                "sentinel",
                vec![
                    node("10.0.0.1:6379", true, true),
                    node("10.0.0.2:6379", true, false),
                    node("10.0.0.3:6379", true, false),
                ],
                Some(memory),
            ),
            store(
                "files",
                "standalone",
                vec![node("unix:/run/redis.sock", true, true)],
                None,
            ),
            store(
                "local",
                "memory",
                vec![],
                Some(MemoryReport {
                    is_fed: false,
                    feed_lag: None,
                    ..memory
                }),
            ),
        ],
    };
    count(
        &mut report.stores[0].counts,
        purges(Kind::Tag, Mode::Soft, true),
        9,
    );
    go_on(&mut report, 1);
    report
}

/// Two seconds go by: 100 hits per second in the first zone, and of all else something. `nth` makes it look alive.
pub fn go_on(report: &mut Report, nth: u64) {
    report.time += 2_000;
    let wave = [0, 3, 7, 12, 15, 16, 14, 9, 4, 1][usize::try_from(nth % 10).unwrap()];
    for (at, zone) in (0_u64..).zip(&mut report.zones) {
        let counts = &mut zone.counts;
        let statuses = [
            (CacheStatus::Hit, 200 + at * 40),
            (CacheStatus::Miss, 30 + wave),
            (CacheStatus::Bypass, 12),
            (CacheStatus::Expired, 4),
            (CacheStatus::Stale, 10 + wave / 2),
            (CacheStatus::Updating, 6),
            (CacheStatus::Revalidated, 8),
            (CacheStatus::Purge, 1),
        ];
        for (status, more) in statuses {
            count(counts, responses(status), more);
            count(counts, response_bytes(status), more * 14_321);
        }
        count(counts, written(CacheStatus::Miss), 20 + wave);
        count(
            counts,
            written_bytes(CacheStatus::Miss),
            (20 + wave) * 14_321,
        );
        count(counts, MEMORY_HITS, 120);
        count(counts, coalesced(Coalesced::Stream), 11);
        count(counts, coalesced(Coalesced::Record), 7);
        for (kind, result, more) in [
            (FillKind::Miss, FillResult::Stored, 20 + wave),
            (FillKind::Miss, FillResult::NotStored, 8),
            (FillKind::Miss, FillResult::Failed, wave / 8),
            (FillKind::Refill, FillResult::Stored, 9),
            (FillKind::Validate, FillResult::Revalidated, 8),
        ] {
            count(counts, fills(kind, result), more);
        }
        for (reason, more) in [
            (Reason::SetCookie, 1),
            (Reason::NoStore, 4),
            (Reason::Private, 2),
            (Reason::TooLarge, 1),
        ] {
            count(counts, not_stored(reason), more);
        }
        count_times(counts, FILL_DURATION, 8_000 + 1_000 * wave, 30);
        count_times(counts, FILL_DURATION, 40_000 + 20_000 * wave, 12);
        count_times(counts, FILL_DURATION, 300_000, wave / 4);
        zone.keys.waiters = wave;
        zone.keys.refills = 2 + wave / 3;
    }
    for (_, counts) in &mut report.servers {
        count(counts, responses(CacheStatus::Hit), 200);
        count(counts, response_bytes(CacheStatus::Hit), 200 * 14_321);
    }
    for store in report
        .stores
        .iter_mut()
        .filter(|store| store.mode != "memory")
    {
        let counts = &mut store.counts;
        for (operation, time, more) in [
            (Operation::Lookup, 180, 240),
            (Operation::Lookup, 900 + 100 * wave, 12),
            (Operation::Write, 400, 28 + wave),
            (Operation::Write, 4_000, 2),
            (Operation::Delete, 300, 1),
            (Operation::Other, 200, 14),
        ] {
            count_times(counts, store_duration(operation), time, more);
        }
        count(counts, failures(Failure::Timeout), wave / 10);
    }
}

/// The server.
pub struct Figures {
    pub backend: Backend,
    pub report: Arc<Mutex<Report>>,
}

impl Figures {
    /// Serves a report. `on_status` changes it before each answer to the script.
    pub fn serve(
        report: Report,
        on_status: impl Fn(&mut Report, u64) + Send + Sync + 'static,
    ) -> Figures {
        let backend = Backend::start();
        let report = Arc::new(Mutex::new(report));
        let shared = Arc::clone(&report);
        backend.script("/cache/", move |_, _| {
            Answer::ok(page(&shared.lock().unwrap()))
                .content_type("text/html; charset=utf-8")
                .header("Content-Security-Policy", PAGE_POLICY)
        });
        let shared = Arc::clone(&report);
        backend.script("/cache/status", move |_, nth| {
            let mut report = shared.lock().unwrap();
            on_status(&mut report, nth as u64);
            Answer::ok(json(&report)).content_type("application/json")
        });
        Figures { backend, report }
    }

    /// Opens the page.
    pub fn open(&self, browser: &Browser) {
        browser.open(&format!("http://{}/cache/", self.backend.address()));
    }

    /// Waits until the script has had so many more reports.
    pub fn wait_for_more(&self, count: usize) {
        let before = self.backend.hits("/cache/status");
        self.backend.wait_for_hits("/cache/status", before + count);
    }
}

/// The figures that the page shows, by their JSON pointers; the text of each element.
pub fn shown(browser: &Browser) -> BTreeMap<String, Vec<String>> {
    let all = browser.run(
        "const all = {};
        for (const it of document.querySelectorAll('main [data-p]')) {
            const pointer = it.closest('[data-at]').dataset.at + '/' + it.dataset.p;
            (all[pointer] ||= []).push(it.dataset.w ? String(it.textContent === it.dataset.w.split('|')[0]) : it.textContent);
        }
        return all;",
    );
    serde_json::from_value(all).unwrap()
}

/// What a report says that the page doesn't, but for its time and what changes with it.
pub fn missing(browser: &Browser, report: &Value) -> Vec<String> {
    let shown = shown(browser);
    let mut missing = Vec::new();
    leaves(report, "", &mut |pointer, value| {
        let is_bound = pointer.contains("/buckets/") && pointer.ends_with("/0");
        let is_time = pointer == "/timestamp" || pointer.ends_with("/feed_lag");
        if is_bound || is_time || pointer.ends_with("/cold") {
            return;
        }
        let is_right = |text: &String| match value {
            Value::String(wanted) => text == wanted,
            // Seconds have six digits behind the point.
            Value::Number(wanted) => text.replace(',', "").parse::<f64>().ok() == wanted.as_f64(),
            Value::Bool(wanted) => text.parse() == Ok(*wanted),
            _ => false,
        };
        let texts = shown.get(pointer);
        if !texts.is_some_and(|texts| texts.iter().all(is_right)) {
            missing.push(format!("{pointer}: {value}, shown as {texts:?}"));
        }
    });
    missing
}

fn leaves(value: &Value, pointer: &str, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, &format!("{pointer}/{name}"), each);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &format!("{pointer}/{at}"), each);
            }
        }
        Value::Null => {}
        leaf => each(pointer, leaf),
    }
}

/// The text of the first element that a selector finds.
pub fn text(browser: &Browser, selector: &str) -> String {
    let found = browser.run(&format!(
        "const it = document.querySelector({}); return it ? it.textContent : '(none)';",
        Value::from(selector)
    ));
    found.as_str().unwrap_or_default().to_owned()
}

/// Waits until the text of the element contains this.
#[track_caller]
pub fn wait_for_text(browser: &Browser, selector: &str, part: &str) {
    wait_for(&format!("{part:?} in {selector}"), PATIENCE, || {
        text(browser, selector).contains(part)
    });
}

/// Waits until the page shows all figures of what `report` gives.
#[track_caller]
pub fn wait_until_shown(browser: &Browser, mut report: impl FnMut() -> Value) {
    let mut left = Vec::new();
    let all = eventually(PATIENCE, || {
        left = missing(browser, &report());
        left.is_empty().then_some(())
    });
    assert!(all.is_some(), "{left:#?}");
}

/// The report as JSON.
pub fn value(report: &Report) -> Value {
    serde_json::from_slice(&json(report)).unwrap()
}
