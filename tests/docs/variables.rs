//! `docs/variables.md` beside the tables of the sources.

use std::collections::BTreeSet;

use testbed::page;

/// The words between quotes that begin so.
fn quoted(text: &str, start: &str) -> BTreeSet<String> {
    let words = text.split('"').skip(1).step_by(2);
    let words = words.filter(|word| word.starts_with(start));
    words.map(str::to_owned).collect()
}

#[test]
fn each_variable_that_tells_is_documented_and_no_other() {
    let source = page("src/request/variables.rs");
    let known = quoted(&source, "redis_cache_");
    assert!(known.len() > 7, "{known:?}");
    let text = page("docs/variables.md");
    let headings = text.lines().filter_map(|line| line.strip_prefix("### $"));
    let documented: BTreeSet<String> = headings.map(str::to_owned).collect();
    assert_eq!(documented, known);
    for name in &documented {
        let (_, entry) = text.split_once(&format!("\n### ${name}\n")).unwrap();
        let entry = entry.split("\n#").next().unwrap();
        let entry = entry.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(entry.contains("Since version 0."), "{name}: since");
    }
}

#[test]
fn each_variable_that_configures_is_documented_and_no_other() {
    let source = page("src/conf/variables.rs");
    let (_, list) = source.split_once("SETTINGS: &[&str] = &[").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let known = quoted(list, "");
    let text = page("docs/variables.md");
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `$cache_"));
    let documented = rows.map(|row| row.split('`').next().unwrap().to_owned());
    assert_eq!(documented.collect::<BTreeSet<_>>(), known);
}
