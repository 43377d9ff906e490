//! What `contrib/` has for Grafana and Prometheus: Prometheus' own programs read it, and it asks for what the module's metrics have.

mod dashboard;
mod families;
mod prometheus;
mod real;
mod sample;

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cache_core::report::Form;
use serde_json::Value;
use testbed::{Answer, Backend, PATIENCE, page, wait_for, workspace};

use dashboard::{Dashboard, filled};
use families::{Families, PREFIX, selectors};
use prometheus::Prometheus;
use sample::scrape;

fn rules() -> PathBuf {
    workspace().join("contrib/alerts.yml")
}

fn tests_of_rules() -> PathBuf {
    workspace().join("tests/contrib/alerts_test.yml")
}

/// Runs promtool. What it says is a fault, but for what it says of success.
#[track_caller]
fn promtool(arguments: &[&str], input: &[u8]) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the Debian package prometheus");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn promtool_accepts_the_rules_and_each_alert_fires() {
    promtool(
        &["check", "rules", "--lint-fatal", rules().to_str().unwrap()],
        b"",
    );
    promtool(&["test", "rules", tests_of_rules().to_str().unwrap()], b"");
}

#[test]
fn promtool_accepts_the_metrics() {
    promtool(&["check", "metrics"], &scrape(0, Form::Prometheus));
}

#[test]
fn the_documentation_has_each_metric() {
    let text = String::from_utf8(scrape(0, Form::Prometheus)).unwrap();
    let documented = page("docs/monitoring.md");
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let name = rest.split(' ').next().unwrap();
        let short = name.strip_prefix(PREFIX).unwrap();
        assert!(documented.contains(&format!("`{short}`")), "{name}");
    }
}

/// `$name` and `${name}` in a text.
fn variables_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|rest| {
        let rest = rest.trim_start_matches('{');
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard = Dashboard::read();
    let (mut ids, mut places) = (HashSet::new(), HashSet::new());
    for panel in dashboard.panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: id");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            assert!(x < 24, "{title}: too far to the right");
            for y in place("y")..place("y") + place("h") {
                assert!(places.insert((x, y)), "{title}: lies over another");
            }
        }
        if panel["type"] != "row" {
            let says = |what: &str| !panel[what].as_str().unwrap_or_default().is_empty();
            assert!(says("description"), "{title}: no description");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert_ne!(panel["targets"].as_array().unwrap().len(), 0, "{title}");
        }
    }
    let names = dashboard.variables().iter();
    let names: Vec<&str> = names.map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "instance", "zone", "server", "store"]);
    for target in dashboard.targets() {
        for variable in variables_in(&target.expression) {
            let known = names.contains(&variable) || variable == "__rate_interval";
            assert!(known, "{}: ${variable}", target.panel);
        }
    }
}

#[test]
fn the_dashboard_asks_for_what_a_scrape_has() {
    let text = String::from_utf8(scrape(0, Form::Prometheus)).unwrap();
    let (families, dashboard) = (Families::of(&text), Dashboard::read());
    let (targets, mut shown) = (dashboard.targets(), HashSet::new());
    for target in &targets {
        let faults = families.faults(&target.expression);
        assert_eq!(faults, [""; 0], "{}: {}", target.panel, target.expression);
        let found = selectors(&target.expression);
        for label in target.legend.split("{{").skip(1) {
            let label = label.split("}}").next().unwrap();
            let has = found.iter().any(|it| families.has_label(it.name, label));
            assert!(has, "{}: {}", target.panel, target.legend);
        }
        shown.extend(found.iter().map(|it| it.name));
    }
    for variable in dashboard.variables().iter().skip(1) {
        let query = variable["query"]["query"].as_str().unwrap();
        let list = query.strip_prefix("label_values(").unwrap();
        let (metric, label) = list.trim_end_matches(')').rsplit_once(", ").unwrap();
        assert_eq!(families.faults(metric), [""; 0], "{query}");
        assert!(
            families.has_label(selectors(metric)[0].name, label),
            "{query}"
        );
    }
    // All that the module counts can be seen.
    let missing: Vec<&str> = families
        .names()
        .filter(|name| !shown.contains(name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// What the texts of an alert name of its labels.
fn labels_in(annotations: &Value) -> Vec<String> {
    let texts = annotations.as_object().unwrap().values();
    let texts = texts.map(|text| text.as_str().unwrap());
    let labels = texts.flat_map(|text| text.split("$labels.").skip(1));
    labels
        .map(|rest| rest.split([' ', '}']).next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_prometheus_finds_what_is_asked_for() {
    let backend = Backend::start();
    for (path, form) in [("/text", Form::Prometheus), ("/open", Form::OpenMetrics)] {
        backend.script(path, move |_, number| {
            Answer::ok(scrape(number, form)).content_type(form.content_type())
        });
    }
    let prometheus = Prometheus::start(backend.address(), &["/text", "/open"], &rules());
    wait_for("three scrapes of each form", PATIENCE, || {
        let enough = "count_over_time(nginx_redis_cache_workers[1m]) >= 3";
        prometheus.query(enough).unwrap().len() == 2
    });
    for target in Dashboard::read().targets() {
        let expression = filled(&target.expression);
        let samples = prometheus.query(&expression);
        let samples = samples.unwrap_or_else(|error| panic!("{}: {error}", target.panel));
        assert_ne!(samples.len(), 0, "{}: {expression}", target.panel);
        let is_number = samples.iter().all(|(_, value)| value.is_finite());
        assert!(is_number, "{}: {samples:?}", target.panel);
    }

    let groups = || prometheus.get("/api/v1/rules").unwrap()["groups"].take();
    wait_for("the rules to be evaluated", PATIENCE, || {
        let rules = groups()[0]["rules"].as_array().unwrap().clone();
        rules.iter().all(|rule| rule["health"] != "unknown")
    });
    let (groups, tests) = (groups(), fs::read_to_string(tests_of_rules()).unwrap());
    let text = String::from_utf8(scrape(0, Form::Prometheus)).unwrap();
    let families = Families::of(&text);
    for rule in groups[0]["rules"].as_array().unwrap() {
        let name = rule["name"].as_str().unwrap();
        let query = rule["query"].as_str().unwrap();
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        assert_eq!(families.faults(query), [""; 0], "{name}");
        let annotations = &rule["annotations"];
        for what in ["summary", "description"] {
            assert!(annotations[what].is_string(), "{name}: {what}");
        }
        for label in labels_in(annotations) {
            let kept = match query.split_once("by (") {
                Some((_, rest)) => {
                    let mut list = rest.split(')').next().unwrap().split(", ");
                    list.any(|it| it == label)
                }
                None => families.has_label(selectors(query)[0].name, &label),
            };
            assert!(kept, "{name}: $labels.{label}");
        }
        // It fires in one test and is silent in another.
        let mentioned = tests.matches(&format!("alertname=\"{name}\"")).count();
        assert!(mentioned >= 2, "{name}: no test");
    }
    // The sample is a bad day: what holds at once is pending, with its texts filled in.
    wait_for("alerts", PATIENCE, || {
        let alerts = prometheus.get("/api/v1/alerts").unwrap();
        let alerts = alerts["alerts"].as_array().unwrap();
        let texts = alerts.iter().map(|alert| alert["annotations"].to_string());
        for text in texts {
            assert!(!text.contains("error expanding"), "{text}");
        }
        let names = alerts.iter().map(|it| it["labels"]["alertname"].as_str());
        names.collect::<HashSet<_>>().len() >= 7
    });
}
