//! The report as a page: one HTML file. Each figure is in a table, so that it can be read without JavaScript; with it the file's script
//! fetches the report as JSON and writes the figures anew.
//!
//! The script finds a figure's place by attributes. `data-at` of a section is a JSON pointer (RFC 6901); `data-p` of an element in it
//! is the rest of the pointer, to the value that the element shows. `data-r` is the same for a rate (per second), `data-q` for a
//! quantile of a histogram (pointer, space, percent), `data-h` for the hit ratio. `data-w` has words for true and false,
//! and `data-j` then judges them: `good` or `bad`. `data-f` tells how a number is written: `s` are seconds, `m` seconds to the
//! millisecond, `t` is a time.

mod html;
mod sections;

use html::Html;
use serde_json::Value;

use super::{Report, json};

/// The file, without the figures.
const FILE: &str = include_str!("page.html");
/// What stands in the file where the figures belong.
const MARK: &str = "<!-- FIGURES -->";

/// The value of Content-Security-Policy to send with the page: it needs no more.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The report as a page, in UTF-8.
#[must_use]
pub fn page(report: &Report) -> Vec<u8> {
    let (before, after) = FILE.split_once(MARK).unwrap_or((FILE, ""));
    let whole = json::whole(report);
    let mut html = Html::new(&whole);
    html.markup(before);
    sections::all(&mut html, report);
    html.markup(after);
    html.into_bytes()
}

/// The hit ratio of a zone: the share of responses that came from a record, in percent. Requests that pass by the cache aren't
/// counted. `None`: there were no others.
fn hit_ratio(zone: &Value) -> Option<f64> {
    let responses = |status: &str| {
        let responses = zone.get(status).and_then(|it| it.get("responses"));
        responses.and_then(Value::as_f64).unwrap_or(0.0)
    };
    let total = |statuses: &[&str]| statuses.iter().map(|it| responses(it)).sum::<f64>();
    let from_cache = total(&["hit", "stale", "updating", "revalidated"]);
    let asked = from_cache + total(&["miss", "expired"]);
    (asked > 0.0).then(|| 100.0 * from_cache / asked)
}

/// A quantile of times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantile {
    /// There are no times.
    None,
    /// About so many milliseconds.
    About(f64),
    /// More milliseconds than the highest bound.
    Over(f64),
}

/// The time below which `percent` of a histogram's times are: interpolated within a range, as Prometheus does it.
fn quantile(histogram: &Value, percent: f64) -> Quantile {
    let count = histogram.get("count").and_then(Value::as_f64);
    let Some(count) = count.filter(|count| *count > 0.0) else {
        return Quantile::None;
    };
    let wanted = count * percent / 100.0;
    let (mut low, mut below) = (0.0, 0.0);
    let buckets = histogram.get("buckets").and_then(Value::as_array);
    for bucket in buckets.into_iter().flatten() {
        let number = |at: usize| bucket.get(at).and_then(Value::as_f64).unwrap_or(0.0);
        let (bound, up_to) = (number(0) * 1e3, number(1));
        if up_to >= wanted && up_to > below {
            return Quantile::About(low + (bound - low) * (wanted - below) / (up_to - below));
        }
        (low, below) = (bound, up_to);
    }
    Quantile::Over(low)
}

/// The mean of a histogram's times, in milliseconds.
fn mean(histogram: &Value) -> Quantile {
    let number = |name: &str| histogram.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    if number("count") > 0.0 {
        Quantile::About(number("sum") * 1e3 / number("count"))
    } else {
        Quantile::None
    }
}
