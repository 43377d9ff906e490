//! The report as JSON. Zones have the shape that NGINX Plus gives its caches (`/api/9/http/caches`), and more.

use serde_json::{Map, Value, json as value};

use super::{Report, StoreReport, ZoneReport};
use crate::counters::{
    Coalesced, Counts, FILL_DURATION, Failure, FillKind, FillResult, Histogram, MEMORY_HITS,
    NODE_DOWN, NODE_DURATION, Operation, Word, coalesced, failures, fills, node_failures,
    not_stored, purges, response_bytes, responses, store_duration, written, written_bytes,
};
use crate::outcome::{CacheStatus, Reason};
use crate::purge::{Kind, Mode};

/// The report as JSON.
#[must_use]
pub fn json(report: &Report) -> Vec<u8> {
    let mut text = whole(report).to_string().into_bytes();
    text.push(b'\n');
    text
}

/// The report as a value: the page shows the same figures at the same places.
pub(super) fn whole(report: &Report) -> Value {
    let zones = report.zones.iter().map(|it| (it.name.clone(), zone(it)));
    let server = |counts| Value::Object(statuses(counts, false));
    let servers = report.servers.iter();
    let servers = servers.map(|(name, counts)| (name.clone(), server(counts)));
    let stores = report.stores.iter().map(|it| (it.name.clone(), store(it)));
    value!({
        "version": report.version,
        "nginx": report.nginx,
        "timestamp": report.time,
        "workers": report.workers,
        "caches": zones.collect::<Map<_, _>>(),
        "servers": servers.collect::<Map<_, _>>(),
        "stores": stores.collect::<Map<_, _>>(),
    })
}

/// An object of these values by their names.
fn object<'a>(values: impl Iterator<Item = (&'a str, u64)>) -> Value {
    let values = values.map(|(name, count)| (name.to_owned(), Value::from(count)));
    Value::Object(values.collect())
}

/// What was answered, by statuses. `with_written`: and what was stored because of that.
fn statuses(counts: &Counts, with_written: bool) -> Map<String, Value> {
    let of = |status: &CacheStatus| {
        let answered = [
            ("responses", counts.of(responses(*status))),
            ("bytes", counts.of(response_bytes(*status))),
        ];
        let stores = matches!(
            status,
            CacheStatus::Miss | CacheStatus::Expired | CacheStatus::Bypass
        );
        let stored = [
            ("responses_written", counts.of(written(*status))),
            ("bytes_written", counts.of(written_bytes(*status))),
        ];
        let stored = stored.into_iter().filter(|_| with_written && stores);
        let all = object(answered.into_iter().chain(stored));
        (status.as_label().to_owned(), all)
    };
    CacheStatus::ALL.iter().map(of).collect()
}

fn zone(zone: &ZoneReport) -> Value {
    let (counts, keys) = (&zone.counts, zone.keys);
    let shared = Coalesced::ALL.iter();
    let shared = shared.map(|how| (how.as_str(), counts.of(coalesced(*how))));
    let filled = FillKind::ALL.iter().map(|kind| {
        let results = FillResult::ALL.iter();
        let results = results.map(|it| (it.as_str(), counts.of(fills(*kind, *it))));
        (kind.as_str().to_owned(), object(results))
    });
    let reasons = Reason::ALL.iter();
    let reasons = reasons.map(|reason| (reason.as_str(), counts.of(not_stored(*reason))));
    let states = keys.states().into_iter().chain([("room", keys.room)]);
    let more = [
        // Records are in the store: nothing is loaded from a disk.
        ("cold", false.into()),
        ("coalesced", object(shared)),
        ("memory_hits", counts.of(MEMORY_HITS).into()),
        ("fills", filled.collect::<Map<_, _>>().into()),
        ("fill_duration", histogram(&counts.histogram(FILL_DURATION))),
        (
            "not_stored",
            object(reasons.filter(|(_, count)| *count > 0)),
        ),
        ("keys", object(states)),
        ("waiters", keys.waiters.into()),
        ("refills", keys.refills.into()),
    ];
    let mut all = statuses(counts, true);
    all.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(all)
}

/// Times in seconds, as metrics have them.
fn histogram(times: &Histogram) -> Value {
    let buckets = times.buckets.iter();
    let buckets = buckets.map(|(bound, count)| value!([seconds(*bound), count]));
    value!({
        "count": times.count,
        "sum": seconds(times.sum),
        "buckets": buckets.collect::<Vec<_>>(),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of times needn't be exact"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// How many commands have failed, by the kind of failure.
fn errors(counts: &Counts, word: fn(Failure) -> Word) -> impl Iterator<Item = (&'static str, u64)> {
    let errors = Failure::ALL.iter();
    errors.map(move |failure| (failure.as_str(), counts.of(word(*failure))))
}

fn store(store: &StoreReport) -> Value {
    let counts = &store.counts;
    let operations = Operation::ALL.iter().map(|operation| {
        let times = counts.histogram(store_duration(*operation));
        (operation.as_str().to_owned(), histogram(&times))
    });
    let nodes = store.nodes.iter().map(|node| {
        value!({
            "address": node.address,
            "up": node.is_up,
            "role": node.role(),
            "down": node.counts.of(NODE_DOWN),
            "commands": histogram(&node.counts.histogram(NODE_DURATION)),
            "errors": object(errors(&node.counts, node_failures)),
        })
    });
    let memory = store.memory.as_ref().map(|memory| {
        value!({
            "size": memory.size,
            "bytes": memory.bytes,
            "objects": memory.objects,
            "evictions": memory.evictions,
            "fed": memory.is_fed,
            "feed_lag": memory.feed_lag.map(|millis| seconds(millis * 1000)),
        })
    });
    let mut purged = Vec::new();
    for kind in Kind::EACH {
        for mode in Mode::EACH {
            let held = counts.of(purges(kind, mode, true));
            let failed = counts.of(purges(kind, mode, false));
            if held + failed > 0 {
                let (kind, mode) = (kind.as_str(), mode.as_str());
                let one = value!({"kind": kind, "mode": mode, "ok": held, "failed": failed});
                purged.push(one);
            }
        }
    }
    value!({
        "mode": store.mode,
        "up": store.is_up(),
        "connections": store.connections,
        "nodes": nodes.collect::<Vec<_>>(),
        "operations": operations.collect::<Map<_, _>>(),
        "errors": object(errors(counts, failures)),
        "purges": purged,
        "memory": memory,
    })
}
