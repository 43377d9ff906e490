//! What came of a question on one side, and how the two sides differ.

use std::collections::HashMap;
use std::fmt;

use testbed::unzipped;

use crate::ask::{Answered, Protocol, Question};
use crate::scene::{Scene, Side};
use crate::state::State;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Status,
    Header,
    Body,
    /// The access log but for `$upstream_*`.
    Log,
    /// `$upstream_*` in the access log.
    Upstream,
    /// Whether a record answered.
    Cache,
    /// What the backend was asked on behalf of this request.
    Backend,
}

/// What came of one request on one side, with what any two differ in made equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub status: String,
    /// The phrase of the status line.
    pub reason: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub log: String,
    /// Content-Length and the bytes of the body, as the access log has them.
    pub sizes: String,
    pub upstream: String,
    pub cache: String,
    pub backend: Vec<String>,
}

/// A line of the access log, cut into its parts.
pub type Lines = HashMap<String, Vec<String>>;

/// The lines of the access log by X-Id.
pub fn log_lines(scene: &Scene) -> Lines {
    let mut lines = Lines::new();
    for line in scene.access_log.lines() {
        let mut parts = line.split('\t').map(str::to_owned);
        if let Some(id) = parts.next() {
            lines.insert(id, parts.collect());
        }
    }
    lines
}

impl Outcome {
    pub fn of(
        question: &Question,
        nth: usize,
        answered: &Answered,
        scene: &Scene,
        lines: &Lines,
    ) -> Outcome {
        let id = question.id(nth);
        let mut outcome = Outcome::default();
        match answered {
            Err(error) => outcome.status = format!("no answer: {error}"),
            Ok(response) => {
                let end = if response.complete { "whole" } else { "cut" };
                outcome.status = format!("{} {}, {end}", response.version, response.status);
                outcome.reason.clone_from(&response.reason);
                outcome.body.clone_from(&response.body);
                for (name, value) in &response.fields {
                    let value = String::from_utf8_lossy(value);
                    let value = scene.listeners(question.side).neutral(&value);
                    let name = name.to_lowercase();
                    outcome.fields.push((name, without_time(&value)));
                }
                for (name, value) in &response.trailers {
                    let name = format!("trailer {}", name.to_lowercase());
                    let value = String::from_utf8_lossy(value).into_owned();
                    outcome.fields.push((name, value));
                }
                outcome.fields.sort();
                if response.header("content-encoding").as_deref() == Some("gzip") {
                    // gzip makes other bytes of the same text when it comes in other pieces.
                    outcome.body = unzipped(&response.body);
                }
            }
        }
        let empty = Vec::new();
        let line = lines.get(&id).unwrap_or(&empty);
        let part = |index: usize| line.get(index).cloned().unwrap_or_default();
        let word = match question.side {
            Side::Module => part(0),
            Side::Reference => part(1),
        };
        // Empty: the request never came to a cache, or left it again; the backend has answered.
        outcome.cache = if word.is_empty() {
            "MISS".to_owned()
        } else {
            word
        };
        outcome.log = scene.listeners(question.side).neutral(&part(2));
        let chunked = outcome
            .fields
            .iter()
            .any(|(name, _)| name == "transfer-encoding");
        // The frames of chunks are counted, and their number is chance.
        let framed = chunked || outcome.has("content-encoding");
        // What nginx counts of an answer that is cut behind another one depends on when the other has left.
        let cut_behind = question.protocol == Protocol::Http2Blocked
            && answered.as_ref().is_ok_and(|response| !response.complete);
        if !framed && !cut_behind {
            outcome.sizes = part(3);
        }
        outcome.upstream = numbers_as_such(&part(4));
        if question.case.plain {
            outcome.cache.clear();
        }
        let seen = scene.seen.lock().expect("the backend's notes");
        outcome.backend = seen.get(&id).cloned().unwrap_or_default();
        outcome.backend.sort();
        outcome
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    pub fn drop_field(&mut self, name: &str) {
        self.fields.retain(|(field, _)| field != name);
    }
}

/// HTTP dates by one word.
fn without_time(value: &str) -> String {
    let is_date = value.ends_with(" GMT") && !value.contains("28 Sep 2015");
    if is_date { "(a date)" } else { value }.to_owned()
}

/// Times and lengths are never the same twice: only whether there are some.
fn numbers_as_such(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once('=') {
        Some((name @ ("time" | "header" | "connect"), value)) => {
            let shown: Vec<_> = value
                .split([',', ' '])
                .map(|one| if one.parse::<f64>().is_ok() { "N" } else { one })
                .collect();
            format!("{name}={}", shown.join(","))
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// One way in which an answer of the module isn't that of the reference.
pub struct Finding {
    pub part: Part,
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.part, self.text)
    }
}

/// How `module` differs from `reference`.
pub fn findings(question: &Question, reference: &Outcome, module: &Outcome) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |part, text: String| findings.push(Finding { part, text });
    if reference.reason != module.reason {
        add(
            Part::Status,
            format!("{:?}, not {:?}", module.reason, reference.reason),
        );
    }
    if reference.status != module.status {
        add(
            Part::Status,
            format!("{:?}, not {:?}", module.status, reference.status),
        );
    }
    if reference.fields != module.fields {
        let lacking = reference
            .fields
            .iter()
            .filter(|field| !module.fields.contains(field));
        let more = module
            .fields
            .iter()
            .filter(|field| !reference.fields.contains(field));
        let (lacking, more) = (lacking.collect::<Vec<_>>(), more.collect::<Vec<_>>());
        let text = if lacking.is_empty() && more.is_empty() {
            format!(
                "as often as in {:?}, not {:?}",
                module.fields, reference.fields
            )
        } else {
            format!("lacks {lacking:?}, has {more:?}")
        };
        add(Part::Header, text);
    }
    if reference.body != module.body {
        add(
            Part::Body,
            format!(
                "{}, not {}",
                excerpt(&module.body),
                excerpt(&reference.body)
            ),
        );
    }
    if reference.log != module.log {
        add(
            Part::Log,
            format!("{:?}, not {:?}", module.log, reference.log),
        );
    }
    if reference.sizes != module.sizes && !reference.sizes.is_empty() && !module.sizes.is_empty() {
        add(
            Part::Log,
            format!("sizes {:?}, not {:?}", module.sizes, reference.sizes),
        );
    }
    if question.case.upstream_log && reference.upstream != module.upstream {
        add(
            Part::Upstream,
            format!("{:?}, not {:?}", module.upstream, reference.upstream),
        );
    }
    if reference.cache != module.cache {
        add(
            Part::Cache,
            format!("{:?}, not {:?}", module.cache, reference.cache),
        );
    }
    // A refill behind a client's back carries none of its header.
    let counts =
        question.state != State::Stale && !(question.case.plain && module.backend.is_empty());
    if counts && reference.backend != module.backend {
        add(
            Part::Backend,
            format!("{:?}, not {:?}", module.backend, reference.backend),
        );
    }
    findings
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    format!("{} bytes {text:?}", body.len())
}
