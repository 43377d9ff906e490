//! The page: that it shows each figure, that nothing in it is taken for markup, that its colours can be told apart.

use std::collections::HashMap;

use cache_core::report::{MemoryReport, Report, StoreReport, ZoneReport, json, page};
use serde_json::Value;

use super::report;

/// An element with a text of its own.
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    text: String,
    /// The JSON pointer of the section around it.
    section: Option<String>,
}

/// Reads a page as strictly as XML: each tag is closed, each attribute quoted, each `&` begins a reference.
fn read(page: &str) -> Vec<Element> {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let mut open: Vec<Element> = Vec::new();
    let mut all = Vec::new();
    while let Some(at) = rest.find('<') {
        let text = unescaped(&rest[..at]);
        if let Some(element) = open.last_mut() {
            element.text.push_str(&text);
        }
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap();
        let (tag, behind) = (&rest[..end], &rest[end + 1..]);
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().unwrap();
            assert_eq!(element.name, name, "{}", element.text);
            all.push(element);
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(
            name.chars().all(|char| char.is_ascii_alphanumeric()),
            "{name}"
        );
        let attributes = attributes_of(attributes);
        let section = attributes.get("data-at").cloned();
        let around = open.last().and_then(|it| it.section.clone());
        let mut element = Element {
            name: name.to_owned(),
            attributes,
            text: String::new(),
            section: section.or(around),
        };
        if ["style", "script"].contains(&name) {
            // What is in these isn't read as HTML.
            let (text, behind) = rest.split_once(&format!("</{name}>")).unwrap();
            element.text = text.to_owned();
            rest = behind;
            all.push(element);
        } else if VOID.contains(&name) {
            all.push(element);
        } else {
            open.push(element);
        }
    }
    assert!(open.is_empty(), "{} is open", open[0].name);
    all
}

fn attributes_of(mut text: &str) -> HashMap<String, String> {
    let mut all = HashMap::new();
    while !text.is_empty() {
        let end = text.find([' ', '=']).unwrap_or(text.len());
        let name = text[..end].to_owned();
        let (value, rest) = match text[end..].strip_prefix("=\"") {
            Some(value) => value.split_once('"').unwrap(),
            None => ("", &text[end..]),
        };
        assert!(all.insert(name, unescaped(value)).is_none(), "{text}");
        text = rest.strip_prefix(' ').unwrap_or(rest);
    }
    all
}

fn unescaped(text: &str) -> String {
    assert!(!text.contains(['<', '>', '\r']), "{text}");
    let mut all = String::new();
    let mut parts = text.split('&');
    all.push_str(parts.next().unwrap());
    for part in parts {
        let (reference, rest) = part.split_once(';').unwrap();
        all.push(match reference {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            "#10" => '\n',
            "#13" => '\r',
            _ => panic!("&{reference};"),
        });
        all.push_str(rest);
    }
    all
}

/// The pointers of a value's parts that have no parts, and these.
fn leaves(value: &Value, pointer: &str, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, &format!("{pointer}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &format!("{pointer}/{at}"), into);
            }
        }
        Value::Null => {}
        leaf => into.push((pointer.to_owned(), leaf.clone())),
    }
}

/// A report whose names look like markup, references and pointers.
fn hostile() -> Report {
    let mut report = report();
    let names = [
        "<script>alert(1)</script>",
        "a/b~c&amp;\"'\r",
        "--><!-- FIGURES -->",
        "</main>",
    ];
    for name in names {
        report.zones.push(ZoneReport {
            name: name.into(),
            ..ZoneReport::default()
        });
        report
            .servers
            .push((name.into(), report.zones[0].counts.clone()));
        let mut store = report.stores[0].clone();
        store.name = name.into();
        store.nodes[0].address = name.into();
        store.nodes[1].is_up = false;
        report.stores.push(store);
    }
    report
}

fn text_of(report: &Report) -> String {
    String::from_utf8(page(report)).unwrap()
}

#[test]
fn each_figure_is_shown() {
    for report in [report(), hostile(), Report::default()] {
        let elements = read(&text_of(&report));
        let mut shown: HashMap<String, &Element> = HashMap::new();
        for element in &elements {
            if let Some(path) = element.attributes.get("data-p") {
                let pointer = format!("{}/{path}", element.section.as_ref().unwrap());
                shown.insert(pointer, element);
            }
        }
        let mut figures = Vec::new();
        leaves(
            &serde_json::from_slice(&json(&report)).unwrap(),
            "",
            &mut figures,
        );
        for (pointer, figure) in figures {
            let is_bound = pointer.contains("/buckets/") && pointer.ends_with("/0");
            if is_bound || pointer.ends_with("/cold") {
                continue;
            }
            let element = shown.get(&pointer).unwrap_or_else(|| panic!("{pointer}"));
            let form = element.attributes.get("data-f").map(String::as_str);
            let wanted = match (&figure, form) {
                (Value::String(text), _) => text.clone(),
                (Value::Bool(is_true), _) => {
                    let (yes, no) = element.attributes["data-w"].split_once('|').unwrap();
                    (if *is_true { yes } else { no }).to_owned()
                }
                (figure, Some("s")) => format!("{:.6}", figure.as_f64().unwrap()),
                (figure, Some("m")) => format!("{:.3}", figure.as_f64().unwrap()),
                (figure, Some("t")) if figure == 1_790_000_000_123_u64 => {
                    "Mon, 21 Sep 2026 14:13:20 GMT".to_owned()
                }
                (_, Some("t")) => "Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
                (figure, _) => figure.to_string(),
            };
            assert_eq!(
                element.text.replace(',', ""),
                wanted.replace(',', ""),
                "{pointer}"
            );
        }
    }
}

#[test]
fn numbers_are_grouped_and_times_are_quantiles() {
    let elements = read(&text_of(&report()));
    let texts = |name: &str, value: &str| -> Vec<&str> {
        let with = |it: &&Element| it.attributes.get(name).is_some_and(|is| is == value);
        elements.iter().filter(with).map(|it| &*it.text).collect()
    };
    assert_eq!(texts("data-p", "memory/size"), ["1,048,576"]);
    // One of three times is up to 1 ms, one up to 5 ms, one above all bounds.
    assert_eq!(texts("data-q", "fill_duration mean"), ["10334.000"]);
    assert_eq!(texts("data-q", "fill_duration 50"), ["3.000"]);
    assert_eq!(texts("data-q", "fill_duration 99"), ["over 30000"]);
    // All six are up to 0.1 ms. In the overview and in the store's section; the other store has none.
    let lookups = ["0.050", "\u{2013}", "0.050", "\u{2013}"];
    assert_eq!(texts("data-q", "operations/lookup 50"), lookups);
    assert_eq!(texts("data-h", ""), ["100.0 %"]);
}

#[test]
fn trouble_is_said_in_words() {
    let mut report = report();
    report.stores[0].nodes[0].is_up = false;
    let unfed = Some(MemoryReport::default());
    report.stores[0].memory = unfed;
    // Its memory has nobody to hear of.
    report.stores[1].memory = unfed;
    report.stores.push(StoreReport {
        name: "good".into(),
        mode: StoreReport::MEMORY,
        ..StoreReport::default()
    });
    let elements = read(&text_of(&report));
    let lines = elements.iter().filter(|it| it.name == "li");
    let lines: Vec<_> = lines.map(|it| &*it.text).collect();
    let wanted = [
        "Store main is down.",
        "Store main: master 127.0.0.1:6379 is down.",
        "Store main: replica 127.0.0.2:6379 is down.",
        "Store main: its memory isn't fed.",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn the_page_is_whole_small_and_refers_to_nothing_else() {
    let text = text_of(&report());
    assert!(!text.contains("<!-- FIGURES -->"));
    assert!(text.len() < 60_000, "{} bytes", text.len());
    let elements = read(&text);
    for element in &elements {
        for (name, value) in &element.attributes {
            let is_foreign = match name.as_str() {
                "src" | "srcset" | "style" | "action" => true,
                "href" => !value.starts_with('#'),
                // Content-Security-Policy may allow the script, but no handlers.
                name => name.starts_with("on"),
            };
            assert!(!is_foreign, "{} {name}={value}", element.name);
        }
        if element.name == "style" {
            let text = &element.text;
            assert!(!text.contains("url(") && !text.contains("@import"));
        }
    }
    // What labels, links and headings refer to is there, once.
    let ids: Vec<_> = elements
        .iter()
        .filter_map(|it| it.attributes.get("id"))
        .collect();
    for element in &elements {
        for name in ["aria-labelledby", "for", "href"] {
            if let Some(value) = element.attributes.get(name) {
                let id = value.trim_start_matches('#');
                assert_eq!(ids.iter().filter(|it| **it == id).count(), 1, "{id}");
            }
        }
    }
    for header in elements.iter().filter(|it| it.name == "th") {
        assert!(header.attributes.contains_key("scope"), "{}", header.text);
    }
}

/// The luminance of a colour `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn colours_contrast_in_light_and_dark() {
    let elements = read(&text_of(&Report::default()));
    let style = elements.iter().find(|it| it.name == "style").unwrap();
    let blocks: Vec<_> = style.text.split(":root {").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let block = block.split('}').next().unwrap();
        let colours: HashMap<&str, &str> = block
            .split(';')
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "))
            .collect();
        for back in ["back", "panel"] {
            for (name, colour) in &colours {
                let least = match *name {
                    "back" | "panel" | "rule" => continue,
                    // The edge of a button isn't text.
                    "edge" => 3.0,
                    _ => 4.5,
                };
                let (one, other) = (luminance(colour), luminance(colours[back]));
                let ratio = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(ratio >= least, "{name} on {back}: {ratio:.2}");
            }
        }
        assert_eq!(
            colours.keys().filter(|it| it.starts_with("line-")).count(),
            5
        );
    }
}
