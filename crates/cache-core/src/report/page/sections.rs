//! The sections of the page.

use serde_json::Value;

use super::super::{Report, StoreReport, ZoneReport};
use super::html::Html;
use crate::counters::{Coalesced, Failure, FillKind, FillResult, Operation};
use crate::outcome::CacheStatus;

/// All of them.
pub(super) fn all(html: &mut Html<'_>, report: &Report) {
    overview(html, report);
    for (at, zone) in report.zones.iter().enumerate() {
        self::zone(html, at, zone);
    }
    for (at, store) in report.stores.iter().enumerate() {
        self::store(html, at, store);
    }
    if !report.servers.is_empty() {
        servers(html, report);
    }
}

/// A term and a figure for it, in a list.
fn item(html: &mut Html<'_>, term: &'static str, path: &str) {
    item_as(html, term, path, "");
}

fn item_as(html: &mut Html<'_>, term: &'static str, path: &str, attributes: &'static str) {
    html.markup("<div><dt>");
    html.markup(term);
    html.markup("</dt>");
    html.figure("dd", path, attributes);
    html.markup("</div>\n");
}

/// Begins a section with a heading.
fn section(html: &mut Html<'_>, (id, at): (&'static str, usize), kind: &'static str, name: &str) {
    html.markup("<section");
    let id = format!("{id}-{at}");
    html.attribute("id", &id);
    html.attribute("aria-labelledby", &format!("{id}-name"));
    html.markup("><h2");
    html.attribute("id", &format!("{id}-name"));
    html.markup(">");
    html.markup(kind);
    html.markup(" <span class=\"name\">");
    html.text(name);
    html.markup("</span></h2>\n<div");
}

/// A link to a section as the name of a row.
fn link_row(html: &mut Html<'_>, (id, at): (&'static str, usize), of: &'static str, name: &str) {
    html.markup("<tr");
    html.at(Some((of, name)));
    html.markup("><th scope=\"row\"><a");
    html.attribute("href", &format!("#{id}-{at}"));
    html.markup(">");
    html.text(name);
    html.markup("</a></th>");
}

fn overview(html: &mut Html<'_>, report: &Report) {
    html.markup("<section id=\"overview\" aria-labelledby=\"overview-name\"");
    html.at(None);
    html.markup("><h2 id=\"overview-name\">Overview</h2>\n<dl>\n");
    item(html, "Module", "version");
    item(html, "nginx", "nginx");
    item(html, "Workers", "workers");
    item_as(html, "Time of the figures", "timestamp", " data-f=\"t\"");
    html.markup("</dl>\n<ul id=\"trouble\" aria-label=\"Trouble\" aria-live=\"polite\">");
    for store in &report.stores {
        trouble(html, store);
    }
    html.markup("</ul>\n<div class=\"tables\">\n");
    if !report.zones.is_empty() {
        let columns = [
            "Zone",
            "Hit ratio",
            "*Hits /s",
            "*Misses /s",
            "Waiting",
            "Refills",
        ];
        html.table("Zones", &columns);
        for (at, zone) in report.zones.iter().enumerate() {
            link_row(html, ("zone", at), "caches", &zone.name);
            html.hit_ratio();
            html.rate("hit/responses");
            html.rate("miss/responses");
            html.cell("waiters");
            html.cell("refills");
            html.end_row();
        }
        html.end_table();
    }
    if !report.stores.is_empty() {
        let columns = [
            "Store",
            "-Mode",
            "-State",
            "*Lookups /s",
            "Lookup p50, ms",
            "Lookup p99, ms",
        ];
        html.table("Stores", &columns);
        for (at, store) in report.stores.iter().enumerate() {
            link_row(html, ("store", at), "stores", &store.name);
            html.word("mode");
            html.truth("td", "up", ["up", "down"]);
            html.rate("operations/lookup/count");
            html.quantiles("operations/lookup");
            html.end_row();
        }
        html.end_table();
    }
    html.markup("</div></section>\n");
}

/// What is wrong with a store, one line each. The script writes the same.
fn trouble(html: &mut Html<'_>, store: &StoreReport) {
    let mut line = |parts: &[&str]| {
        html.markup("<li>");
        for part in parts {
            html.text(part);
        }
        html.markup("</li>");
    };
    if !store.is_up() {
        line(&["Store ", &store.name, " is down."]);
    }
    for node in store.nodes.iter().filter(|node| !node.is_up) {
        let (role, address) = (node.role(), &*node.address);
        line(&["Store ", &store.name, ": ", role, " ", address, " is down."]);
    }
    let is_unfed = store.memory.is_some_and(|memory| !memory.is_fed);
    if is_unfed && store.mode != StoreReport::MEMORY {
        line(&["Store ", &store.name, ": its memory isn't fed."]);
    }
}

fn zone(html: &mut Html<'_>, at: usize, zone: &ZoneReport) {
    section(html, ("zone", at), "Zone", &zone.name);
    html.at(Some(("caches", &zone.name)));
    html.markup("><dl>\n");
    for (term, path) in [
        ("Waiting requests", "waiters"),
        ("Refills going on", "refills"),
        ("Keys being filled", "keys/filling"),
        ("Keys taken as not storable", "keys/uncacheable"),
        ("Keys whose backend failed", "keys/failing"),
        ("Other keys known", "keys/known"),
        ("Room for keys", "keys/room"),
        ("Answered from memory", "memory_hits"),
    ] {
        item(html, term, path);
    }
    for how in Coalesced::ALL {
        let term = match how {
            Coalesced::Stream => "Got another's fill as it came",
            Coalesced::Record => "Got another's fill from the store",
        };
        item(html, term, &format!("coalesced/{}", how.as_str()));
    }
    html.markup("</dl>\n<div class=\"plots\" data-plots=\"zone\"></div>\n<div class=\"tables\">\n");
    let columns = [
        "Status",
        "Responses",
        "*per second",
        "Bytes",
        "Stored",
        "Bytes stored",
    ];
    html.table("Responses", &columns);
    for status in CacheStatus::ALL {
        let status = status.as_label();
        html.row(status);
        html.cell(&format!("{status}/responses"));
        html.rate(&format!("{status}/responses"));
        html.cell(&format!("{status}/bytes"));
        html.cell(&format!("{status}/responses_written"));
        html.cell(&format!("{status}/bytes_written"));
        html.end_row();
    }
    html.end_table();
    fills(html);
    reasons(html);
    html.markup("</div>\n<details><summary>Fill times, in ranges</summary>\n");
    ranges(html, &[("Fills", "fill_duration")]);
    html.markup("</details></div></section>\n");
}

fn fills(html: &mut Html<'_>) {
    let columns = ["Fill", "Stored", "Confirmed", "Not stored", "Failed"];
    html.table("Fills, by what has become of them", &columns);
    for kind in FillKind::ALL {
        html.row(kind.as_str());
        for result in FillResult::ALL {
            html.cell(&format!("fills/{}/{}", kind.as_str(), result.as_str()));
        }
        html.end_row();
    }
    html.end_table();
    let columns = [
        "Fills",
        "Count",
        "*per second",
        "Sum, s",
        "Mean, ms",
        "p50, ms",
        "p99, ms",
    ];
    html.table("Fill times", &columns);
    html.row("all");
    html.cell("fill_duration/count");
    html.rate("fill_duration/count");
    html.seconds("fill_duration/sum");
    html.mean("fill_duration");
    html.quantiles("fill_duration");
    html.end_row();
    html.end_table();
}

/// Why responses weren't stored, the most frequent reasons first.
fn reasons(html: &mut Html<'_>) {
    let reasons = html.value("not_stored").and_then(Value::as_object);
    let mut reasons: Vec<_> = reasons.into_iter().flatten().collect();
    if reasons.is_empty() {
        return html.markup("<p>Each response of a fill was stored.</p>\n");
    }
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(count.as_u64()));
    let columns = ["Reason", "Responses", "*per second"];
    html.table("Not stored, the most frequent reasons first", &columns);
    for (reason, _) in reasons {
        html.row(reason);
        let path = format!(
            "not_stored/{}",
            reason.replace('~', "~0").replace('/', "~1")
        );
        html.cell(&path);
        html.rate(&path);
        html.end_row();
    }
    html.end_table();
}

/// The upper bound of a range.
fn bound(bucket: &Value) -> String {
    let bound = bucket.get(0).and_then(Value::as_f64).unwrap_or(0.0);
    format!("{} ms", bound * 1e3)
}

/// The ranges of histograms with the same bounds, a column each.
fn ranges(html: &mut Html<'_>, histograms: &[(&'static str, &str)]) {
    let mut columns = vec!["No longer than"];
    columns.extend(histograms.iter().map(|(column, _)| *column));
    html.table("How many took no longer", &columns);
    let first = histograms.first().map_or("", |(_, path)| *path);
    let buckets = html.value(&format!("{first}/buckets"));
    let buckets = buckets.and_then(Value::as_array);
    for (at, bucket) in buckets.into_iter().flatten().enumerate() {
        html.row(&bound(bucket));
        for (_, path) in histograms {
            html.cell(&format!("{path}/buckets/{at}/1"));
        }
        html.end_row();
    }
    html.end_table();
}

/// The ranges of the commands of each server of a store, a column each.
fn node_ranges(html: &mut Html<'_>, nodes: usize) {
    html.table_head(
        "How many took no longer, at each server",
        &["No longer than"],
    );
    for at in 0..nodes {
        html.figure("th", &format!("nodes/{at}/address"), " scope=\"col\"");
    }
    html.table_body();
    let buckets = html.value("nodes/0/commands/buckets");
    let buckets = buckets.and_then(Value::as_array);
    for (range, bucket) in buckets.into_iter().flatten().enumerate() {
        html.row(&bound(bucket));
        for at in 0..nodes {
            html.cell(&format!("nodes/{at}/commands/buckets/{range}/1"));
        }
        html.end_row();
    }
    html.end_table();
}

fn store(html: &mut Html<'_>, at: usize, store: &StoreReport) {
    section(html, ("store", at), "Store", &store.name);
    html.at(Some(("stores", &store.name)));
    html.markup("><dl>\n");
    item(html, "Mode", "mode");
    html.markup("<div><dt>State</dt>");
    html.truth("dd", "up", ["up", "down"]);
    html.markup("</div>\n");
    item(html, "Connections", "connections");
    if store.memory.is_some() {
        for (term, path) in [
            ("Memory, bytes", "memory/size"),
            ("Memory in use, bytes", "memory/bytes"),
            ("Records in memory", "memory/objects"),
            ("Dropped to make room", "memory/evictions"),
        ] {
            item(html, term, path);
        }
        html.markup("<div><dt>Memory is fed</dt>");
        if store.mode == StoreReport::MEMORY {
            html.words("dd", "memory/fed", ["yes", "not needed"], false);
        } else {
            html.truth("dd", "memory/fed", ["yes", "no"]);
        }
        html.markup("</div>\n");
        let attributes = " data-f=\"m\"";
        item_as(html, "Last proven, s ago", "memory/feed_lag", attributes);
    }
    html.markup(
        "</dl>\n<div class=\"plots\" data-plots=\"store\"></div>\n<div class=\"tables\">\n",
    );
    if !store.nodes.is_empty() {
        let columns = [
            "Address",
            "-Role",
            "-State",
            "Went down",
            "Commands",
            "*per second",
            "Sum, s",
            "Mean, ms",
            "p50, ms",
            "p99, ms",
        ];
        html.table("Servers of the store", &columns);
        for at in 0..store.nodes.len() {
            html.markup("<tr>");
            html.figure("th", &format!("nodes/{at}/address"), " scope=\"row\"");
            html.word(&format!("nodes/{at}/role"));
            html.truth("td", &format!("nodes/{at}/up"), ["up", "down"]);
            html.cell(&format!("nodes/{at}/down"));
            let commands = format!("nodes/{at}/commands");
            html.cell(&format!("{commands}/count"));
            html.rate(&format!("{commands}/count"));
            html.seconds(&format!("{commands}/sum"));
            html.mean(&commands);
            html.quantiles(&commands);
            html.end_row();
        }
        html.end_table();
        let mut columns = vec!["Address"];
        columns.extend(Failure::ALL.map(Failure::as_str));
        html.table("Errors of each server", &columns);
        for at in 0..store.nodes.len() {
            html.markup("<tr>");
            html.figure("th", &format!("nodes/{at}/address"), " scope=\"row\"");
            for failure in Failure::ALL {
                html.cell(&format!("nodes/{at}/errors/{}", failure.as_str()));
            }
            html.end_row();
        }
        html.end_table();
    }
    commands(html);
    html.markup("</div>\n<details><summary>Times of commands, in ranges</summary>\n");
    let operations = Operation::ALL.map(|it| (it.as_str(), format!("operations/{}", it.as_str())));
    let operations: Vec<_> = operations.iter().map(|(it, path)| (*it, &**path)).collect();
    ranges(html, &operations);
    if !store.nodes.is_empty() {
        node_ranges(html, store.nodes.len());
    }
    html.markup("</details></div></section>\n");
}

/// The tables of commands, errors and purges of a store.
fn commands(html: &mut Html<'_>) {
    let columns = [
        "Command",
        "Count",
        "*per second",
        "Sum, s",
        "Mean, ms",
        "p50, ms",
        "p99, ms",
    ];
    html.table("Commands", &columns);
    for operation in Operation::ALL {
        let path = format!("operations/{}", operation.as_str());
        html.row(operation.as_str());
        html.cell(&format!("{path}/count"));
        html.rate(&format!("{path}/count"));
        html.seconds(&format!("{path}/sum"));
        html.mean(&path);
        html.quantiles(&path);
        html.end_row();
    }
    html.end_table();
    html.table("Errors", &["Kind", "Commands", "*per second"]);
    for failure in Failure::ALL {
        let path = format!("errors/{}", failure.as_str());
        html.row(failure.as_str());
        html.cell(&path);
        html.rate(&path);
        html.end_row();
    }
    html.end_table();
    let purges = html.value("purges").and_then(Value::as_array);
    let purges = purges.map_or(0, Vec::len);
    if purges == 0 {
        return html.markup("<p>Nothing was purged.</p>\n");
    }
    html.table("Purges", &["Kind", "-Mode", "Done", "Failed"]);
    for at in 0..purges {
        html.markup("<tr>");
        html.figure("th", &format!("purges/{at}/kind"), " scope=\"row\"");
        html.word(&format!("purges/{at}/mode"));
        html.cell(&format!("purges/{at}/ok"));
        html.cell(&format!("purges/{at}/failed"));
        html.end_row();
    }
    html.end_table();
}

fn servers(html: &mut Html<'_>, report: &Report) {
    html.markup("<section id=\"servers\" aria-labelledby=\"servers-name\">");
    html.markup("<h2 id=\"servers-name\">Server blocks</h2>\n<div class=\"tables\">");
    let statuses = CacheStatus::ALL.map(CacheStatus::as_label);
    let mut columns = vec!["Server"];
    columns.extend(statuses);
    for (caption, figure) in [("Responses", "responses"), ("Bytes", "bytes")] {
        html.table(caption, &columns);
        for (name, _) in &report.servers {
            html.markup("<tr");
            html.at(Some(("servers", name)));
            html.markup("><th scope=\"row\">");
            html.text(name);
            html.markup("</th>");
            for status in statuses {
                html.cell(&format!("{status}/{figure}"));
            }
            html.end_row();
        }
        html.end_table();
    }
    html.markup("</div></section>\n");
}
