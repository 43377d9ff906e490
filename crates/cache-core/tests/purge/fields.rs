use cache_core::purge::{Digest, MAX_TAGS, group_invalidations, is_for_clients, tags_of};

use super::{site, tag_digest};

fn tags(name: &str, lines: &[&str]) -> Option<Vec<Digest>> {
    let mut digests = Vec::new();
    let lines = lines.iter().map(|line| line.as_bytes());
    tags_of(name, lines, &site("a"), &mut digests).then_some(digests)
}

fn sorted(mut digests: Vec<Digest>) -> Vec<Digest> {
    digests.sort_unstable();
    digests
}

#[test]
fn words_of_a_tag_field_have_blanks_or_commas_between_them() {
    let two = sorted(vec![tag_digest("a"), tag_digest("b:1")]);
    for lines in [
        &["a b:1"][..],
        &["a,b:1"],
        &[" a ,\tb:1, "],
        &["a", "b:1", "a"],
    ] {
        assert_eq!(tags("Surrogate-Key", lines), Some(two.clone()), "{lines:?}");
    }
    assert_eq!(tags("xkey", &[""]), Some(Vec::new()));
}

#[test]
fn groups_are_strings() {
    let group = |name: &str| Digest::of_group(&site("a"), name.as_bytes());
    let two = sorted(vec![group("a b"), group("c")]);
    assert_eq!(
        tags("cache-groups", &["\"a b\", \"c\";x=1"]),
        Some(two.clone())
    );
    assert_eq!(tags("Cache-Groups", &["\"a b\"", "\"c\""]), Some(two));
    for wrong in ["a", "\"a", "(\"a\")", "1", "\"a\", b"] {
        assert_eq!(tags("Cache-Groups", &[wrong]), Some(Vec::new()), "{wrong}");
    }
    assert_eq!(
        group_invalidations([&b"\"a b\""[..]].into_iter(), &site("a")),
        [group("a b")]
    );
}

#[test]
fn clients_get_groups_alone() {
    assert!(is_for_clients("cache-groups"));
    assert!(!is_for_clients("Surrogate-Key"));
}

#[test]
fn there_are_bounds() {
    let many: Vec<String> = (0..=MAX_TAGS).map(|number| number.to_string()).collect();
    assert!(tags("xkey", &[&many[..MAX_TAGS].join(" ")]).is_some());
    assert_eq!(tags("xkey", &[&many.join(" ")]), None);
}
