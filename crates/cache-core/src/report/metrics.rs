//! The report as metrics: the text format 0.0.4 of Prometheus, and OpenMetrics 1.0.

use std::fmt::{Display, Write as _};

use super::{MemoryReport, Report};
use crate::counters::{
    Coalesced, Counts, FILL_DURATION, Failure, FillKind, FillResult, Histogram, MEMORY_HITS,
    NODE_DOWN, NODE_DURATION, Operation, Word, coalesced, failures, fills, node_failures,
    not_stored, purges, response_bytes, responses, store_duration, written, written_bytes,
};
use crate::outcome::{CacheStatus, Reason};
use crate::purge::{Kind, Mode};

/// What each name begins with.
const PREFIX: &str = "nginx_redis_cache_";

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Form {
    /// The content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The report as metrics.
#[must_use]
pub fn metrics(report: &Report, form: Form) -> Vec<u8> {
    let mut text = Text {
        text: String::with_capacity(16 << 10),
        form,
    };
    build(&mut text, report);
    zones(&mut text, report);
    tables(&mut text, report);
    servers(&mut text, report);
    stores(&mut text, report);
    purged(&mut text, report);
    memory(&mut text, report);
    if form == Form::OpenMetrics {
        text.text.push_str("# EOF\n");
    }
    text.text.into_bytes()
}

fn build(text: &mut Text, report: &Report) {
    let labels = [("version", report.version), ("nginx", &*report.nginx)];
    text.gauge("build_info", "Versions of the module and of nginx.");
    text.sample("build_info", &labels, 1);
    text.gauge("workers", "Worker processes of nginx.");
    text.sample("workers", &[], report.workers as u64);
}

/// A family with a sample for each status of each of these subjects.
fn by_status<'a>(
    text: &mut Text,
    (name, help): (&str, &str),
    (label, subjects): (&str, impl Iterator<Item = (&'a str, &'a Counts)>),
    word: fn(CacheStatus) -> Word,
) {
    text.counter(name, help);
    for (subject, counts) in subjects {
        for status in CacheStatus::ALL {
            let labels = [(label, subject), ("status", status.as_label())];
            text.count(name, &labels, counts.of(word(status)));
        }
    }
}

fn zones(text: &mut Text, report: &Report) {
    let zones = || report.zones.iter().map(|zone| (&*zone.name, &zone.counts));
    let family = ("responses", "Responses by $redis_cache_status.");
    by_status(text, family, ("zone", zones()), responses);
    let family = ("response_bytes", "Bytes of the bodies that were sent.");
    by_status(text, family, ("zone", zones()), response_bytes);
    let help = "Responses that were stored because of requests of this status.";
    by_status(text, ("written", help), ("zone", zones()), written);
    let family = ("written_bytes", "Bytes of the bodies that were stored.");
    by_status(text, family, ("zone", zones()), written_bytes);

    let help = "Requests that got what another request has fetched.";
    text.counter("coalesced", help);
    for (zone, counts) in zones() {
        for how in Coalesced::ALL {
            let labels = [("zone", zone), ("how", how.as_str())];
            text.count("coalesced", &labels, counts.of(coalesced(how)));
        }
    }
    text.counter("memory_hits", "Requests that a memory tier has answered.");
    for (zone, counts) in zones() {
        text.count("memory_hits", &[("zone", zone)], counts.of(MEMORY_HITS));
    }
    let help = "Requests to the backend whose responses may be stored.";
    text.counter("fills", help);
    for (zone, counts) in zones() {
        for kind in FillKind::ALL {
            for result in FillResult::ALL {
                let (kind_label, result_label) = (kind.as_str(), result.as_str());
                let labels = [
                    ("zone", zone),
                    ("kind", kind_label),
                    ("result", result_label),
                ];
                text.count("fills", &labels, counts.of(fills(kind, result)));
            }
        }
    }
    let help = "Responses that weren't stored, by $redis_cache_reason.";
    text.counter("not_stored", help);
    for (zone, counts) in zones() {
        for reason in Reason::ALL {
            let count = counts.of(not_stored(*reason));
            if count > 0 {
                let labels = [("zone", zone), ("reason", reason.as_str())];
                text.count("not_stored", &labels, count);
            }
        }
    }
    let (name, help) = ("fill_duration_seconds", "How long fills have taken.");
    text.family(name, "histogram", "", help);
    for (zone, counts) in zones() {
        let times = counts.histogram(FILL_DURATION);
        text.histogram(name, &[("zone", zone)], &times);
    }
}

/// The tables of locks.
fn tables(text: &mut Text, report: &Report) {
    let help = "Requests that wait for another request's fill.";
    text.gauge("lock_waiters", help);
    for zone in &report.zones {
        text.sample("lock_waiters", &[("zone", &zone.name)], zone.keys.waiters);
    }
    let help = "Refills behind clients' backs that are going on.";
    text.gauge("refills_active", help);
    for zone in &report.zones {
        text.sample("refills_active", &[("zone", &zone.name)], zone.keys.refills);
    }
    let help = "Keys in the table of locks, by what is known of them.";
    text.gauge("zone_keys", help);
    for zone in &report.zones {
        for (state, count) in zone.keys.states() {
            let labels = [("zone", &*zone.name), ("state", state)];
            text.sample("zone_keys", &labels, count);
        }
    }
    text.gauge("zone_room", "Keys for which the table of locks has room.");
    for zone in &report.zones {
        text.sample("zone_room", &[("zone", &zone.name)], zone.keys.room);
    }
}

fn servers(text: &mut Text, report: &Report) {
    let servers = || {
        let servers = report.servers.iter();
        servers.map(|(name, counts)| (&**name, counts))
    };
    let help = "Responses by server block and $redis_cache_status.";
    let family = ("server_responses", help);
    by_status(text, family, ("server", servers()), responses);
    let help = "Bytes of the bodies that were sent, by server block.";
    let family = ("server_response_bytes", help);
    by_status(text, family, ("server", servers()), response_bytes);
}

fn stores(text: &mut Text, report: &Report) {
    text.gauge("store_up", "Whether a store is asked.");
    for store in &report.stores {
        text.sample("store_up", &[("store", &store.name)], store.is_up().into());
    }
    text.gauge("store_node_up", "Whether a server of a store is asked.");
    for store in &report.stores {
        for node in &store.nodes {
            let (name, address) = (&*store.name, &*node.address);
            let labels = [("store", name), ("node", address), ("role", node.role())];
            text.sample("store_node_up", &labels, node.is_up.into());
        }
    }
    text.counter(
        "store_node_down",
        "How often a server of a store has gone down.",
    );
    for (labels, counts) in nodes(report) {
        text.count("store_node_down", &labels, counts.of(NODE_DOWN));
    }
    let name = "store_node_duration_seconds";
    let help = "How long lookups and changes have taken at a server of a store.";
    text.family(name, "histogram", "", help);
    for (labels, counts) in nodes(report) {
        text.histogram(name, &labels, &counts.histogram(NODE_DURATION));
    }
    let help = "Lookups and changes that have failed at a server of a store.";
    text.counter("store_node_errors", help);
    for ([store, node], counts) in nodes(report) {
        for failure in Failure::ALL {
            let labels = [store, node, ("kind", failure.as_str())];
            let count = counts.of(node_failures(failure));
            text.count("store_node_errors", &labels, count);
        }
    }
    text.gauge(
        "store_connections",
        "Connections to the servers of a store.",
    );
    for store in &report.stores {
        let labels = [("store", &*store.name)];
        text.sample("store_connections", &labels, store.connections);
    }
    let name = "store_duration_seconds";
    text.family(name, "histogram", "", "How long commands have taken.");
    for store in &report.stores {
        for operation in Operation::ALL {
            let times = store.counts.histogram(store_duration(operation));
            let labels = [("store", &*store.name), ("op", operation.as_str())];
            text.histogram(name, &labels, &times);
        }
    }
    text.counter("store_errors", "Commands that have failed.");
    for store in &report.stores {
        for failure in Failure::ALL {
            let labels = [("store", &*store.name), ("kind", failure.as_str())];
            text.count("store_errors", &labels, store.counts.of(failures(failure)));
        }
    }
}

/// The servers of all stores.
fn nodes(report: &Report) -> impl Iterator<Item = ([Label<'_>; 2], &Counts)> {
    report.stores.iter().flat_map(|store| {
        store.nodes.iter().map(|node| {
            let labels = [("store", &*store.name), ("node", &*node.address)];
            (labels, &node.counts)
        })
    })
}

fn purged(text: &mut Text, report: &Report) {
    let help = "Purges, by what they select and what becomes of the records.";
    text.counter("purges", help);
    for store in &report.stores {
        for (kind, mode) in Kind::EACH
            .into_iter()
            .flat_map(|kind| Mode::EACH.map(|mode| (kind, mode)))
        {
            for (held, result) in [(true, "ok"), (false, "failed")] {
                let labels = [
                    ("store", &*store.name),
                    ("kind", kind.as_str()),
                    ("mode", mode.as_str()),
                    ("result", result),
                ];
                let count = store.counts.of(purges(kind, mode, held));
                text.count("purges", &labels, count);
            }
        }
    }
}

fn memory(text: &mut Text, report: &Report) {
    let with_memory = || {
        let stores = report.stores.iter();
        stores.filter_map(|store| Some((&*store.name, store.memory?)))
    };
    type Of = fn(&MemoryReport) -> u64;
    let gauges: [(&str, &str, Of); 4] = [
        ("memory_size_bytes", "Shared memory for records.", |it| {
            it.size
        }),
        ("memory_bytes", "Shared memory that records take.", |it| {
            it.bytes
        }),
        ("memory_objects", "Records in shared memory.", |it| {
            it.objects
        }),
        (
            "memory_fed",
            "Whether a worker hears of the servers' changes.",
            |it| it.is_fed.into(),
        ),
    ];
    for (name, help, of) in gauges {
        text.gauge(name, help);
        for (store, memory) in with_memory() {
            text.sample(name, &[("store", store)], of(&memory));
        }
    }
    let help = "Time since the servers were last proven to push changes.";
    text.gauge("memory_feed_lag_seconds", help);
    for (store, memory) in with_memory() {
        if let Some(millis) = memory.feed_lag {
            let lag = seconds(millis.saturating_mul(1000));
            text.line(
                ("memory_feed_lag_seconds", ""),
                &[("store", store)],
                None,
                lag,
            );
        }
    }
    text.counter(
        "memory_evictions",
        "Records that were dropped to make room.",
    );
    for (store, memory) in with_memory() {
        text.count("memory_evictions", &[("store", store)], memory.evictions);
    }
}

/// A name and a value.
type Label<'a> = (&'a str, &'a str);

/// The text so far.
struct Text {
    text: String,
    form: Form,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, suffix: &str, help: &str) {
        let name = format!("{PREFIX}{name}{suffix}");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Begins a family of counters. Their samples have `_total` behind the name; in the older form the family has it, too.
    fn counter(&mut self, name: &str, help: &str) {
        let suffix = match self.form {
            Form::Prometheus => "_total",
            Form::OpenMetrics => "",
        };
        self.family(name, "counter", suffix, help);
    }

    /// Begins a family of gauges.
    fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, "gauge", "", help);
    }

    /// A sample of a counter.
    fn count(&mut self, name: &str, labels: &[Label<'_>], count: u64) {
        self.line((name, "_total"), labels, None, count);
    }

    /// A sample of a gauge.
    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: u64) {
        self.line((name, ""), labels, None, value);
    }

    fn histogram(&mut self, name: &str, labels: &[Label<'_>], times: &Histogram) {
        for (bound, count) in &times.buckets {
            let bound = seconds(*bound);
            self.line((name, "_bucket"), labels, Some(&bound), *count);
        }
        self.line((name, "_bucket"), labels, Some("+Inf"), times.count);
        self.line((name, "_sum"), labels, None, seconds(times.sum));
        self.line((name, "_count"), labels, None, times.count);
    }

    fn line(
        &mut self,
        (name, suffix): (&str, &str),
        labels: &[Label<'_>],
        bound: Option<&str>,
        value: impl Display,
    ) {
        for part in [PREFIX, name, suffix] {
            self.text.push_str(part);
        }
        let bound = bound.map(|bound| ("le", bound));
        let mut before = '{';
        for (label, value) in labels.iter().copied().chain(bound) {
            self.text.push(before);
            before = ',';
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A value of a label, between quotes.
fn escape(text: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            char => text.push(char),
        }
    }
}

/// Microseconds as seconds, without digits that say nothing.
fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    let short = text.trim_end_matches('0');
    // A number that is whole has one digit behind its point.
    if short.ends_with('.') {
        format!("{short}0")
    } else {
        short.to_owned()
    }
}

/// Whether a line of Accept has OpenMetrics in it, at no lower quality than plain text (RFC 9110 12.5.1): Prometheus asks for both.
#[must_use]
pub fn accepts_open_metrics(accept: &[u8]) -> bool {
    let quality = |wanted: &[u8]| {
        let ranges = accept.split(|&b| b == b',');
        let quality = ranges.filter_map(|range| {
            let mut parts = range.split(|&b| b == b';').map(<[u8]>::trim_ascii);
            if !parts.next()?.eq_ignore_ascii_case(wanted) {
                return None;
            }
            let given = parts.find_map(|part| part.strip_prefix(b"q="));
            let given = given.map(|text| std::str::from_utf8(text).ok()?.parse::<f32>().ok());
            Some(given.flatten().unwrap_or(1.0))
        });
        quality.fold(0.0, f32::max)
    };
    let open = quality(b"application/openmetrics-text");
    open > 0.0 && open >= quality(b"text/plain")
}
