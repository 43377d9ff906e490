//! `docs/log.md` lists each line that the module writes to the error log: compared with the sources.

mod made;
mod source;
mod table;

use std::collections::HashSet;

use cache_core::outcome::Reason;

use made::{Texts, letters};
use source::{Call, Sources};
use table::{Row, rows};

/// Stands for what is put into a line.
const HOLE: char = '\u{1}';

/// nginx's levels.
const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];

/// The sections of what the configuration test says.
const CONFIGURATION: [&str; 2] = ["Start", "Configuration"];

/// Whether a row is of a line as the log has it.
fn is_line(row: &Row) -> bool {
    !row.levels.is_empty()
}

/// The lines that have a row.
fn lines(rows: &[Row]) -> impl Iterator<Item = (&Row, String)> {
    rows.iter().filter(|row| is_line(row)).map(|row| {
        let codes = row.codes();
        assert_eq!(codes.len(), 1, "one line a row: {}", row.said);
        (row, codes.into_iter().next().unwrap())
    })
}

/// As it is in the documentation.
fn readable(text: &str) -> String {
    text.replace(HOLE, "{}")
}

/// Whether a call writes what it is given, and nothing of its own: the tables of the configuration are about that.
fn says_nothing(call: &Call) -> bool {
    call.line.chars().eq([HOLE])
}

#[test]
fn each_row_is_written_and_each_line_has_a_row() {
    let (sources, rows) = (Sources::read(), rows());
    let calls = sources.calls();
    assert!(calls.len() > 40, "{} calls", calls.len());
    let texts = Texts::new(sources.texts());
    let mut written = HashSet::new();
    for (row, line) in lines(&rows) {
        let levels: Vec<&str> = row.levels.iter().map(String::as_str).collect();
        assert!(levels.iter().all(|it| LEVELS.contains(it)), "{levels:?}");
        let of_line: Vec<usize> = (0..calls.len())
            .filter(|number| {
                let call = &calls[*number];
                !says_nothing(call) && texts.make(&call.line, &line)
            })
            .collect();
        assert_ne!(of_line.len(), 0, "nothing writes: {}", readable(&line));
        let fits = |number: &usize| match &calls[*number].level {
            Some(level) => levels == [level],
            None => true,
        };
        assert!(
            of_line.iter().any(fits),
            "nothing writes at level {levels:?}: {}",
            readable(&line)
        );
        written.extend(of_line.into_iter().filter(fits));
    }
    for (number, call) in calls.iter().enumerate() {
        assert!(
            says_nothing(call) || written.contains(&number),
            "no row: {} ({})",
            readable(&call.line),
            call.path
        );
    }
}

/// The tables below the lines: each row is of a text in the sources, too.
#[test]
fn each_text_that_has_a_row_is_in_the_sources() {
    let (sources, rows) = (Sources::read(), rows());
    let texts = Texts::new(sources.texts());
    let codes = rows.iter().filter(|row| !is_line(row));
    let codes: Vec<String> = codes.flat_map(Row::codes).collect();
    assert!(codes.len() > 150, "{} texts", codes.len());
    for text in codes.iter().filter(|text| says_something(text)) {
        assert!(texts.have(text), "nothing says: {}", readable(text));
    }
}

#[test]
fn each_text_of_the_configuration_has_a_row() {
    let (sources, rows) = (Sources::read(), rows());
    let rows = rows
        .iter()
        .filter(|row| CONFIGURATION.contains(&&*row.section));
    let known: Vec<String> = rows.flat_map(Row::all_codes).collect();
    let texts = sources.texts_of("src/conf");
    let texts = texts.map(|text| ("src/conf", text));
    assert_eq!(missing(texts, &known), [""; 0]);
}

/// The texts for people that none of the known ones has.
fn missing<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>, known: &[String]) -> Vec<String> {
    let texts = texts.filter(|(_, text)| {
        says_something(text) && !NO_LINES.contains(text) && !known.iter().any(|it| has(it, text))
    });
    texts
        .map(|(path, text)| format!("{path}: {}", readable(text)))
        .collect()
}

/// Whether a text is one for people: three words or more.
fn says_something(text: &str) -> bool {
    text.split_whitespace().count() >= 3 && letters(text) > 7
}

/// Whether a line has the text, whatever is put into it.
fn has(line: &str, text: &str) -> bool {
    let mut rest = line;
    text.split(HOLE).all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// What no line has.
const NO_LINES: [&str; 2] = [
    // Sent to a client.
    "the body can't be read",
    // Words of a server, which are cut there.
    ", with args beginning with",
];

/// Whole files, or what functions are given, of which parts of lines are made.
#[test]
fn each_text_that_is_put_into_a_line_is_there() {
    let (sources, rows) = (Sources::read(), rows());
    let known: Vec<String> = rows.iter().flat_map(Row::all_codes).collect();
    let files = [
        "src/ngx/tls/fault.rs",
        "src/request/settings.rs",
        "src/store/redis/address.rs",
        "src/store/redis/error.rs",
        "src/store/redis/connection/",
        "crates/cache-core/src/feed/trouble.rs",
        "crates/cache-core/src/feed/machine/",
        "crates/cache-core/src/feed/machine.rs",
    ];
    let functions = [
        "announce",
        "refused",
        "complain",
        "failed",
        "down",
        "still_down",
        "say",
        "Say",
    ];
    let of_files = files.iter().flat_map(|path| {
        let texts: Vec<_> = sources.texts_of(path).collect();
        assert_ne!(texts.len(), 0, "{path}");
        texts.into_iter().map(move |text| (*path, text))
    });
    let of_functions = sources.texts_for(&functions).into_iter();
    assert_eq!(missing(of_files.chain(of_functions), &known), [""; 0]);
}

#[test]
fn each_reason_is_there() {
    let rows = rows();
    let rows = rows.iter().filter(|row| row.section == "Reasons");
    let listed: Vec<String> = rows.map(|row| row.codes().remove(0)).collect();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(listed, reasons);
}

#[test]
fn each_row_is_whole() {
    let lines = [
        "Start",
        "Requests",
        "Fills",
        "Invalidation and purges",
        "Stores",
        "Sentinel",
        "Cluster",
        "Memory tier",
    ];
    for row in rows() {
        let Row {
            section,
            said,
            rest,
            ..
        } = &row;
        assert_eq!(lines.contains(&section.as_str()), is_line(&row), "{said}");
        assert!(!row.codes().is_empty(), "{said}");
        // A text of the configuration may say by itself what is to be done.
        let is_enough = !rest.is_empty() || !(is_line(&row) || section == "Reasons");
        assert!(is_enough, "{said}");
        assert!(!rest.ends_with("*Remedy:*"), "{said}");
    }
}
