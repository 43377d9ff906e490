//! HTML as it is written: markup is ours and constant, all else is escaped.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Quantile, hit_ratio, mean, quantile};
use crate::http_date;

/// What is shown where there is no figure.
const NOTHING: &str = "\u{2013}";

/// The page so far, and the values that it shows.
pub(super) struct Html<'a> {
    text: String,
    whole: &'a Value,
    /// The values of the section.
    section: &'a Value,
}

impl<'a> Html<'a> {
    pub(super) fn new(whole: &'a Value) -> Self {
        Self {
            text: String::with_capacity(64 << 10),
            whole,
            section: whole,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// Markup, which is written as it is.
    pub(super) fn markup(&mut self, markup: &'static str) {
        self.text.push_str(markup);
    }

    /// Text, for between tags and within quotes.
    pub(super) fn text(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                // A line break would be another one after it was read.
                '\r' | '\n' => {
                    let _ = write!(self.text, "&#{};", u32::from(char));
                }
                char => self.text.push(char),
            }
        }
    }

    /// A space and an attribute.
    pub(super) fn attribute(&mut self, name: &'static str, value: &str) {
        self.markup(" ");
        self.markup(name);
        self.markup("=\"");
        self.text(value);
        self.markup("\"");
    }

    /// An attribute that makes figures those of the member `name` of the object `of`, or of the whole report. Up to the next of
    /// these, figures are read from there.
    pub(super) fn at(&mut self, member: Option<(&'static str, &str)>) {
        let Some((of, name)) = member else {
            self.section = self.whole;
            return self.attribute("data-at", "");
        };
        let object = self.whole.get(of);
        self.section = object
            .and_then(|object| object.get(name))
            .unwrap_or(&Value::Null);
        let name = name.replace('~', "~0").replace('/', "~1");
        self.attribute("data-at", &format!("/{of}/{name}"));
    }

    /// A value of the section.
    pub(super) fn value(&self, path: &str) -> Option<&'a Value> {
        self.section.pointer(&format!("/{path}"))
    }

    /// A table: what it is about, its columns. Ends with [`Html::end_table`]. A column whose name begins with `*` needs
    /// the script; one that begins with `-` has words.
    pub(super) fn table(&mut self, caption: &'static str, columns: &[&'static str]) {
        self.table_head(caption, columns);
        self.table_body();
    }

    /// The same up to the columns: more of them may follow before [`Html::table_body`].
    pub(super) fn table_head(&mut self, caption: &'static str, columns: &[&'static str]) {
        self.markup("<div class=\"wide\"><table><caption>");
        self.markup(caption);
        self.markup("</caption><thead><tr>");
        for column in columns {
            let (class, name) = if let Some(name) = column.strip_prefix('*') {
                (" class=\"live\"", name)
            } else if let Some(name) = column.strip_prefix('-') {
                (" class=\"words\"", name)
            } else {
                ("", *column)
            };
            self.markup("<th scope=\"col\"");
            self.markup(class);
            self.markup(">");
            self.markup(name);
            self.markup("</th>");
        }
    }

    /// Begins the rows of a table.
    pub(super) fn table_body(&mut self) {
        self.markup("</tr></thead><tbody>\n");
    }

    pub(super) fn end_table(&mut self) {
        self.markup("</tbody></table></div>\n");
    }

    /// Begins a row, by its name.
    pub(super) fn row(&mut self, name: &str) {
        self.markup("<tr><th scope=\"row\">");
        self.text(name);
        self.markup("</th>");
    }

    pub(super) fn end_row(&mut self) {
        self.markup("</tr>\n");
    }

    /// A cell with a figure; a dash if there is none.
    pub(super) fn cell(&mut self, path: &str) {
        match self.value(path) {
            None => {
                self.markup("<td>");
                self.markup(NOTHING);
                self.markup("</td>");
            }
            Some(_) => self.figure("td", path, ""),
        }
    }

    /// A cell with a word.
    pub(super) fn word(&mut self, path: &str) {
        self.figure("td", path, " class=\"words\"");
    }

    /// A cell with a count of seconds.
    pub(super) fn seconds(&mut self, path: &str) {
        self.figure("td", path, " data-f=\"s\"");
    }

    /// An element with a figure.
    pub(super) fn figure(&mut self, tag: &'static str, path: &str, attributes: &'static str) {
        self.markup("<");
        self.markup(tag);
        self.attribute("data-p", path);
        self.markup(attributes);
        self.markup(">");
        let text = match self.value(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if attributes.contains("\"s\"") => {
                format!("{:.6}", number.as_f64().unwrap_or(0.0))
            }
            Some(Value::Number(number)) if attributes.contains("\"m\"") => {
                format!("{:.3}", number.as_f64().unwrap_or(0.0))
            }
            Some(Value::Number(number)) if attributes.contains("\"t\"") => {
                time(number.as_u64().unwrap_or(0))
            }
            Some(Value::Number(number)) => grouped(&number.to_string()),
            _ => NOTHING.to_owned(),
        };
        self.text(&text);
        self.end(tag);
    }

    /// An element that says in words whether something is true, which it should be.
    pub(super) fn truth(&mut self, tag: &'static str, path: &str, words: [&'static str; 2]) {
        self.words(tag, path, words, true);
    }

    /// An element that says in words whether something is true: `is_judged`, which it should be.
    pub(super) fn words(
        &mut self,
        tag: &'static str,
        path: &str,
        [yes, no]: [&'static str; 2],
        is_judged: bool,
    ) {
        let is_true = self.value(path).and_then(Value::as_bool).unwrap_or(false);
        self.markup("<");
        self.markup(tag);
        self.attribute("data-p", path);
        self.attribute("data-w", &format!("{yes}|{no}"));
        if tag == "td" {
            self.markup(" class=\"words\"");
        }
        if is_judged {
            self.attribute("data-j", if is_true { "good" } else { "bad" });
        }
        self.markup(">");
        self.markup(if is_true { yes } else { no });
        self.end(tag);
    }

    /// A cell with a rate, which needs the script.
    pub(super) fn rate(&mut self, path: &str) {
        self.markup("<td class=\"live\"");
        if self.value(path).is_some() {
            self.attribute("data-r", path);
        }
        self.markup(">");
        self.markup(NOTHING);
        self.markup("</td>");
    }

    /// A cell with the hit ratio of the section.
    pub(super) fn hit_ratio(&mut self) {
        self.markup("<td data-h=\"\">");
        match hit_ratio(self.section) {
            Some(ratio) => self.text(&format!("{ratio:.1} %")),
            None => self.markup(NOTHING),
        }
        self.markup("</td>");
    }

    /// Cells with the median and the 99th percentile of a histogram, in milliseconds.
    pub(super) fn quantiles(&mut self, path: &str) {
        let histogram = self.value(path).unwrap_or(&Value::Null);
        for (name, time) in [
            ("50", quantile(histogram, 50.0)),
            ("99", quantile(histogram, 99.0)),
        ] {
            self.time(path, name, time);
        }
    }

    /// A cell with the mean of a histogram, in milliseconds.
    pub(super) fn mean(&mut self, path: &str) {
        let histogram = self.value(path).unwrap_or(&Value::Null);
        self.time(path, "mean", mean(histogram));
    }

    fn time(&mut self, path: &str, name: &'static str, time: Quantile) {
        self.markup("<td");
        self.attribute("data-q", &format!("{path} {name}"));
        self.markup(">");
        match time {
            Quantile::None => self.markup(NOTHING),
            Quantile::About(time) => self.text(&format!("{time:.3}")),
            Quantile::Over(time) => self.text(&format!("over {time:.0}")),
        }
        self.markup("</td>");
    }

    fn end(&mut self, tag: &'static str) {
        self.markup("</");
        self.markup(tag);
        self.markup(">");
    }
}

/// A time in milliseconds since 1970, as HTTP has it.
fn time(millis: u64) -> String {
    let date = http_date::print(millis / 1000);
    String::from_utf8_lossy(&date).into_owned()
}

/// A whole number with a comma before each three digits.
pub(super) fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
