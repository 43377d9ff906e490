//! What the demonstration shows: steps and, below each, a row for every request, with what was expected of it.

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

/// One line: a request, or many equal ones, and what became of it.
pub struct Row {
    /// What was asked.
    pub what: String,
    /// The words of header X-Cache.
    pub words: String,
    /// How long it took; the slowest, where there were many.
    pub time: Duration,
    /// How many requests reached the site; `None` where they aren't this reader's.
    pub backend: Option<usize>,
    /// What isn't as it should be; empty: all is.
    pub wrong: Vec<String>,
    /// What is wrong with its time, if anything.
    pub untimely: Option<String>,
}

/// A busy machine may take a time of its own: so often one is measured.
const TRIES: usize = 3;

/// Writes steps and rows, and counts what wasn't true.
pub struct Table {
    coloured: bool,
    rows: usize,
    wrong: usize,
}

impl Table {
    /// A table on standard output; coloured on a terminal, unless NO_COLOR is set.
    pub fn new() -> Table {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Table {
            coloured: stdout().is_terminal() && !unwanted,
            rows: 0,
            wrong: 0,
        }
    }

    /// A line of plain text.
    pub fn say(&self, text: &str) {
        println!("{text}");
    }

    /// The names of the columns.
    pub fn columns(&self) {
        let line = format!(
            "   {:<43} {:<16} {:>9}   {}",
            "", "X-Cache", "time", "requests at the site"
        );
        println!("{}", self.paint("2", &line));
    }

    /// The title of a step.
    pub fn step(&self, number: usize, title: &str) {
        println!("\n{}", self.paint("1", &format!("{number}. {title}")));
        // The rows follow as they happen, which takes its time.
        let _ = stdout().flush();
    }

    /// The row of what can be shown again where nothing but its time is wrong: measured up to three times, which the
    /// row says.
    pub fn measured(&mut self, mut show: impl FnMut() -> Row) {
        let mut row = show();
        for number in 2..=TRIES {
            if row.untimely.is_none() || !row.wrong.is_empty() {
                break;
            }
            row = show();
            row.what = format!("{} (try {number})", row.what);
        }
        self.row(row);
    }

    /// A row.
    pub fn row(&mut self, mut row: Row) {
        row.wrong.extend(row.untimely.take());
        self.rows += 1;
        let colour = match row.words.as_str() {
            words if words.contains("SKIP") => "33",
            words if words.contains("STALE") => "36",
            words if words.contains("HIT") => "32",
            _ => "34",
        };
        let words = self.paint(colour, &format!("{:<16}", row.words));
        let backend = row
            .backend
            .map_or_else(|| "-".to_owned(), |count| count.to_string());
        let mark = if row.wrong.is_empty() {
            ""
        } else {
            "   <- not as it should be"
        };
        println!(
            "   {:<43} {words} {:>9}   {backend}{mark}",
            row.what,
            milliseconds(row.time)
        );
        for wrong in &row.wrong {
            println!("      {}", self.paint("31", wrong));
        }
        self.wrong += usize::from(!row.wrong.is_empty());
        let _ = stdout().flush();
    }

    /// The sum; whether everything was true.
    pub fn end(&self) -> bool {
        let (text, colour) = match self.wrong {
            0 => (
                format!("All {} lines are as they should be.", self.rows),
                "32",
            ),
            wrong => (
                format!("{wrong} of {} lines are not as they should be.", self.rows),
                "31",
            ),
        };
        println!("\n{}", self.paint(colour, &text));
        self.wrong == 0
    }

    /// `text` in a colour or weight of the terminal's.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}
