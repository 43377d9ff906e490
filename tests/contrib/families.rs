//! What names, labels and values a scrape has, and what of them an expression asks for.

use std::collections::{BTreeMap, BTreeSet};

/// What the names of the module's metrics begin with.
pub const PREFIX: &str = "nginx_redis_cache_";

/// Labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["job", "instance"];

/// The samples of a scrape by their names: labels and the values that they have.
pub struct Families(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Families {
    /// Reads the text format 0.0.4. No value of a label may hold `"` or `{`.
    pub fn of(scrape: &str) -> Families {
        let mut families: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
        for line in scrape.lines().filter(|line| !line.starts_with('#')) {
            let sample = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = match sample.split_once('{') {
                Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
                None => (sample, ""),
            };
            let family = families.entry(name.to_owned()).or_default();
            // A comma between labels, none behind the last: values may have some, too.
            let labels = labels.strip_suffix('"').unwrap_or_default();
            for label in labels.split("\",").filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once("=\"").unwrap();
                let values = family.entry(label.to_owned()).or_default();
                values.insert(value.to_owned());
            }
        }
        Families(families)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The labels that samples of this name have.
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        let family = self.0.get(name).into_iter().flatten();
        family.map(|(label, _)| label.as_str()).collect()
    }

    /// Whether samples of this name have this label, in Prometheus.
    pub fn has_label(&self, name: &str, label: &str) -> bool {
        ADDED.contains(&label) || self.0.get(name).is_some_and(|it| it.contains_key(label))
    }

    /// What an expression asks for that the scrape doesn't have.
    pub fn faults(&self, expression: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let selectors = selectors(expression);
        if selectors.is_empty() {
            faults.push("no metric of the module".to_owned());
        }
        for Selector { name, matchers } in &selectors {
            let Some(family) = self.0.get(*name) else {
                faults.push(format!("no metric {name}"));
                continue;
            };
            for (label, value) in matchers {
                if !self.has_label(name, label) {
                    faults.push(format!("{name} has no label {label}"));
                }
                let known = family.get(*label);
                let mut words = value.split('|');
                // A variable of the dashboard, or "any".
                if !value.starts_with('$')
                    && let Some(word) =
                        words.find(|word| known.is_some_and(|known| !known.contains(*word)))
                {
                    faults.push(format!("{name}: {label} is never {word:?}"));
                }
            }
        }
        for label in grouped(expression) {
            let has = |selector: &Selector<'_>| self.has_label(selector.name, label);
            if !selectors.iter().any(has) {
                faults.push(format!("no metric here has the label {label}"));
            }
        }
        faults
    }
}

/// A metric with the matchers behind it.
pub struct Selector<'a> {
    pub name: &'a str,
    pub matchers: Vec<(&'a str, &'a str)>,
}

/// The metrics of the module in an expression.
pub fn selectors(expression: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    for (start, _) in expression.match_indices(PREFIX) {
        let rest = &expression[start..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let within = behind.strip_prefix('{').and_then(|it| it.split_once('}'));
        let matchers = within.map_or("", |(within, _)| within).split(',');
        let matchers = matchers.filter(|it| !it.is_empty()).map(|matcher| {
            let (label, value) = matcher.split_once(['=', '!']).unwrap();
            (
                label,
                value.trim_start_matches(['=', '~']).trim_matches('"'),
            )
        });
        found.push(Selector {
            name,
            matchers: matchers.collect(),
        });
    }
    found
}

/// The labels by which an expression groups, and on which it matches.
fn grouped(expression: &str) -> BTreeSet<&str> {
    let mut labels = BTreeSet::new();
    for keyword in ["by (", "on (", "without (", "ignoring ("] {
        for part in expression.split(keyword).skip(1) {
            let list = part.split(')').next().unwrap();
            // `le` is a label of buckets alone.
            labels.extend(list.split(',').map(str::trim));
        }
    }
    labels
}
