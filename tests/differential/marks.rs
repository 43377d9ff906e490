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

const MARK: Mark = Mark {
    fails_until_mended: "",
    cases: &[],
    protocols: &[],
    now_and_then: false,
};

pub const MARKS: &[Mark] = &[
    Mark {
        fails_until_mended: "a header that can't leave at once loses the body",
        protocols: &[Protocol::Http2Blocked],
        ..MARK
    },
    Mark {
        fails_until_mended: "a header that limit_rate holds back loses the body",
        cases: &["limit_rate below the size of the header"],
        ..MARK
    },
    Mark {
        fails_until_mended: "$upstream_* are empty where the module answers",
        cases: &[
            "$upstream_* in the access log",
            "$upstream_* in the access log of an error",
            "$upstream_cookie_ in the access log",
            "$upstream_http_ in add_header",
            "$upstream_status in add_header",
            "auth_request to a cached location",
        ],
        ..MARK
    },
    Mark {
        fails_until_mended: "X-Accel-Charset and X-Accel-Limit-Rate of a fill are lost",
        cases: &["X-Accel-Charset", "X-Accel-Limit-Rate"],
        ..MARK
    },
    Mark {
        fails_until_mended: "access rules of a location are jumped over by an internal redirect",
        cases: &[
            "X-Accel-Redirect into a location with a password",
            "error_page into a location with a password",
            "try_files into a denied location",
        ],
        ..MARK
    },
    Mark {
        fails_until_mended: "evaluating a value destroys the location's captures",
        cases: &[
            "a map with an expression in the key",
            "a map with an expression in the bypass",
            "a map with an expression in no_store",
            "a map with many groups",
        ],
        ..MARK
    },
    Mark {
        fails_until_mended: "a configuration of the slice filter stores the whole under each key",
        cases: &["a slice of a film"],
        ..MARK
    },
    Mark {
        fails_until_mended: "the backend is asked for the whole of what is known to be too large to store",
        cases: &["an answer larger than may be stored, in part"],
        ..MARK
    },
    Mark {
        fails_until_mended: "a page in place of an error is stored as if it were the backend's answer",
        cases: &[
            "error_page =200 of a failure",
            "error_page of an error that the backend calls private",
            "error_page to a named location",
        ],
        ..MARK
    },
    Mark {
        fails_until_mended: "a fill never goes on behind a limit_req that delays it",
        cases: &["limit_req with a delay in the backend's location"],
        // On a busy machine requests may come too slowly for a delay.
        now_and_then: true,
        ..MARK
    },
    Mark {
        fails_until_mended: "mirror doesn't run for GETs",
        cases: &["mirror"],
        ..MARK
    },
    Mark {
        fails_until_mended: "redis_cache_no_store is evaluated before the answer's header",
        cases: &["no_store by a header of the answer"],
        ..MARK
    },
    Mark {
        fails_until_mended: "a field that proxy_hide_header takes away no longer decides on storing",
        cases: &[
            "proxy_hide_header of Cache-Control",
            "proxy_hide_header of Set-Cookie",
        ],
        ..MARK
    },
    Mark {
        fails_until_mended: "an X-Accel-Redirect that proxy_ignore_headers names keeps an answer from being stored",
        cases: &["proxy_ignore_headers"],
        ..MARK
    },
    Mark {
        fails_until_mended: "a record lacks what proxy_pass_header lets through",
        cases: &["proxy_pass_header"],
        ..MARK
    },
    Mark {
        fails_until_mended: "a subrequest inside a backend loses its output",
        cases: &[
            "a subrequest of content_by_lua",
            "a subrequest of rewrite_by_lua",
            "a subrequest of njs",
        ],
        ..MARK
    },
    Mark {
        fails_until_mended: "image_filter answers 415 to whoever streams",
        cases: &["image_filter"],
        now_and_then: true,
        ..MARK
    },
];

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
