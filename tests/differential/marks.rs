//! Faults that are known and not mended yet, and what is said of all that was compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::ask::{Protocol, Question};
use crate::compare::Finding;
use crate::differences::DIFFERENCES;

/// Cases that differ because of a fault. Once it is mended the suite fails until the mark is taken away, or the case's
/// name from it.
pub struct Mark {
    /// What is wrong, in words.
    pub fails_until_mended: &'static str,
    /// Names of cases; none: any.
    pub cases: &'static [&'static str],
    /// None: any.
    pub protocols: &'static [Protocol],
    /// It shows now and then only: the suite doesn't insist that it does.
    pub now_and_then: bool,
}

pub const MARKS: &[Mark] = &[];

/// What was compared.
#[derive(Default)]
pub struct Report {
    /// By case and text: where.
    findings: BTreeMap<&'static str, BTreeMap<String, Vec<String>>>,
    /// For each mark, the cases in which it was needed.
    needed: BTreeMap<usize, BTreeSet<&'static str>>,
    compared: BTreeSet<&'static str>,
    excuses: BTreeSet<usize>,
    count: usize,
}

impl Report {
    pub fn excused(&mut self, difference: usize) {
        self.excuses.insert(difference);
    }

    pub fn add(&mut self, question: &Question, findings: Vec<Finding>) {
        let name = question.case.name;
        self.count += 1;
        self.compared.insert(name);
        for finding in findings {
            let mark = MARKS.iter().position(|mark| {
                (mark.cases.is_empty() || mark.cases.contains(&name))
                    && (mark.protocols.is_empty() || mark.protocols.contains(&question.protocol))
            });
            if let Some(mark) = mark {
                self.needed.entry(mark).or_default().insert(name);
                continue;
            }
            let place = format!("{} {:?}", question.protocol.word(), question.state);
            let of_case = self.findings.entry(name).or_default();
            of_case.entry(finding.to_string()).or_default().push(place);
        }
    }

    /// Fails unless all is as the marks and the list of differences say.
    pub fn check(&self) {
        let mut wrong = String::new();
        for (name, findings) in &self.findings {
            wrong += &format!("\n{name}:");
            for (text, places) in findings.iter().take(SHOWN) {
                wrong += &format!("\n    {text}\n        ({})", places.join(", "));
            }
        }
        for (index, mark) in MARKS.iter().enumerate() {
            let empty = BTreeSet::new();
            let needed = self.needed.get(&index).unwrap_or(&empty);
            let fault = mark.fails_until_mended;
            for name in mark.cases.iter().filter(|_| !mark.now_and_then) {
                if self.compared.contains(name) && !needed.contains(name) {
                    wrong += &format!("\n{name}: no longer differs, take its mark away ({fault})");
                }
            }
            if mark.cases.is_empty() && needed.is_empty() && self.compared.len() > 1 {
                wrong += &format!("\nno case needs this mark any more, take it away: {fault}");
            }
        }
        for (index, difference) in DIFFERENCES.iter().enumerate() {
            // Where only some cases run, many aren't needed.
            if std::env::var_os("DIFFERENTIAL_CASE").is_none() && !self.excuses.contains(&index) {
                wrong += &format!("\nno case differs any more in: {}", difference.what);
            }
        }
        println!(
            "{} answers of {} cases compared",
            self.count,
            self.compared.len()
        );
        assert!(wrong.is_empty(), "unlike plain nginx:{wrong}");
    }
}

/// Ways to differ that are shown for each case.
const SHOWN: usize = 12;
