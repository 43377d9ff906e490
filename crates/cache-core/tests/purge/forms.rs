//! Each row of what known software sends.

use cache_core::purge::{Form, Mode, Purge, Selector, Style, Target};
use proptest::prelude::*;

use super::{asked, host, prefix, site, tag};

fn plain(line: &str) -> Result<Purge, String> {
    asked(line, &[], |asked| Form::Plain.read(asked)).map_err(|refused| refused.0)
}

fn by(style: Style, line: &str, fields: &[(&str, &str)]) -> Option<Result<Purge, String>> {
    let read = asked(line, fields, |asked| style.read(asked));
    read.map(|read| read.map_err(|refused| refused.0))
}

fn uri(target: &str) -> Purge {
    Purge {
        target: Target::Uris(vec![(site("www.example.com"), target.into())]),
        mode: Mode::Hard,
    }
}

fn selected(selectors: &[Selector], mode: Mode) -> Purge {
    Purge {
        target: Target::Selected(selectors.to_vec()),
        mode,
    }
}

fn hard(selector: Selector) -> Purge {
    selected(&[selector], Mode::Hard)
}

#[test]
fn the_plain_form_is_a_uri_or_a_beginning() {
    assert_eq!(plain("PURGE /a?b"), Ok(uri("/a?b")));
    assert_eq!(
        plain("PURGE /a/*"),
        Ok(hard(prefix("www.example.com", "/a/")))
    );
    assert_eq!(plain("PURGE /*"), Ok(hard(host("www.example.com"))));
    assert_eq!(
        plain("PURGE /a?b*"),
        Ok(hard(prefix("www.example.com", "/a?b")))
    );
    assert!(plain("PURGE *").unwrap_err().contains("no path"));
    assert!(plain("PURGE /%zz").unwrap_err().contains("no path"));
}

#[test]
fn nginx_helper() {
    let by = |line| by(Style::Wordpress, line, &[]);
    assert_eq!(by("GET /purge/a/b?c"), Some(Ok(uri("/a/b?c"))));
    assert_eq!(
        by("PURGE /purgeall"),
        Some(Ok(hard(host("www.example.com"))))
    );
    assert_eq!(by("GET /purged"), None);
    assert_eq!(by("GET /a"), None);
    assert_eq!(by("POST /purge/a"), None);
}

#[test]
fn proxy_cache_purge_and_w3_total_cache() {
    for style in [Style::Wordpress, Style::Varnish] {
        let by = |line, kind| by(style, line, &[("X-Purge-Method", kind)]);
        assert_eq!(by("PURGE /a/", "default"), Some(Ok(uri("/a/"))));
        assert_eq!(
            by("PURGE /.*", "regex"),
            Some(Ok(hard(host("www.example.com"))))
        );
        assert_eq!(
            by("PURGE /a/.*", "regex"),
            Some(Ok(hard(prefix("www.example.com", "/a/"))))
        );
        let refused = by("PURGE /a/[0-9]+.*", "regex").unwrap().unwrap_err();
        assert!(refused.contains("regular expression"), "{refused}");
    }
}

#[test]
fn drupal() {
    let two = selected(&[tag("node:1"), tag("node_list")], Mode::Hard);
    for (line, field) in [
        ("BAN /", "Cache-Tags"),
        ("BAN /tags", "Cache-Tags"),
        ("BAN /", "Purge-Cache-Tags"),
    ] {
        let read = by(Style::Drupal, line, &[(field, "node:1 node_list")]);
        assert_eq!(read, Some(Ok(two.clone())), "{line} {field}");
    }
    assert_eq!(by(Style::Drupal, "PURGE /a", &[]), Some(Ok(uri("/a"))));
    assert_eq!(
        by(Style::Drupal, "PURGE /site", &[]),
        Some(Ok(hard(host("www.example.com"))))
    );
    assert!(
        by(Style::Drupal, "BAN /", &[])
            .unwrap()
            .unwrap_err()
            .contains("\"Cache-Tags\"")
    );
    assert!(
        by(Style::Drupal, "BAN /", &[("Cache-Tags", " ")])
            .unwrap()
            .is_err()
    );
    assert_eq!(by(Style::Drupal, "GET /", &[("Cache-Tags", "a")]), None);
}

#[test]
fn magento() {
    let by = |pattern| {
        by(
            Style::Magento,
            "PURGE /",
            &[("X-Magento-Tags-Pattern", pattern)],
        )
    };
    assert_eq!(
        by("((^|,)cat_p_1(,|$))|((^|,)cat_p_2(,|$))"),
        Some(Ok(selected(&[tag("cat_p_1"), tag("cat_p_2")], Mode::Hard)))
    );
    assert_eq!(by("((^|,)cms_b_x(,|$))"), Some(Ok(hard(tag("cms_b_x")))));
    assert_eq!(by(".*"), Some(Ok(hard(Selector::All))));
    for wrong in [
        "cat",
        "((^|,)cat.+(,|$))",
        "((^|,)cat(,|$)",
        "(^|,)(,|$)",
        "",
    ] {
        assert!(by(wrong).unwrap().is_err(), "{wrong}");
    }
    let many: Vec<String> = (0..256)
        .map(|number| format!("((^|,)cat_p_{number}(,|$))"))
        .collect();
    let Some(Ok(purge)) = by(&many.join("|")) else {
        panic!("a long pattern is refused");
    };
    assert_eq!(
        purge.target,
        Target::Selected((0..256).map(|n| tag(&format!("cat_p_{n}"))).collect())
    );
}

#[test]
fn fos_http_cache() {
    let by = |line, fields: &[(&str, &str)]| by(Style::Fos, line, fields);
    assert_eq!(by("PURGE /a", &[]), Some(Ok(uri("/a"))));
    assert_eq!(by("PURGE /purge/a", &[]), Some(Ok(uri("/a"))));
    assert_eq!(
        by("PURGE /", &[("Clear-Cache", "true")]),
        Some(Ok(hard(Selector::All)))
    );
    assert_eq!(
        by("PURGETAGS /", &[("X-Cache-Tags", "a,b")]),
        Some(Ok(selected(&[tag("a"), tag("b")], Mode::Hard)))
    );
    assert_eq!(
        by("PURGEKEYS /", &[("xkey-softpurge", "a b")]),
        Some(Ok(selected(&[tag("a"), tag("b")], Mode::Soft)))
    );
    assert_eq!(
        by(
            "BAN /",
            &[
                ("X-Host", ".*"),
                ("X-Url", ".*"),
                ("X-Content-Type", ".*"),
                ("X-Cache-Tags", "(^|,)(a|b\\-c)(,|$)")
            ]
        ),
        Some(Ok(selected(&[tag("a"), tag("b-c")], Mode::Hard)))
    );
    // A refresh is a request for the page.
    assert_eq!(by("GET /a", &[("X-Refresh", "1")]), None);
}

#[test]
fn bans_of_fos_http_cache() {
    let ban = |hosts, url, kind| {
        by(
            Style::Fos,
            "BAN /",
            &[("X-Host", hosts), ("X-Url", url), ("X-Content-Type", kind)],
        )
        .unwrap()
    };
    assert_eq!(ban(".*", ".*", ".*"), Ok(hard(Selector::All)));
    assert_eq!(
        ban("^(a.com|B.com)$", ".*", ".*"),
        Ok(selected(&[host("a.com"), host("b.com")], Mode::Hard))
    );
    assert_eq!(
        ban("a\\.com", "^/x/.*", ".*"),
        Ok(hard(prefix("a.com", "/x/")))
    );
    assert_eq!(ban(".*", "^/x", ".*"), Ok(hard(prefix("*", "/x"))));
    assert_eq!(ban(".*", "/.*", ".*"), Ok(hard(Selector::All)));
    assert_eq!(ban("www.example.com", "^/x$", ".*"), Ok(uri("/x")));
    assert!(ban(".*", "\\.png$", ".*").unwrap_err().contains("X-Url"));
    assert!(ban(".*\\.com", ".*", ".*").unwrap_err().contains("X-Host"));
    assert!(
        ban(".*", ".*", "image/.*")
            .unwrap_err()
            .contains("X-Content-Type")
    );
    assert!(by(Style::Fos, "BAN /", &[]).unwrap().is_err());
}

#[test]
fn api_platform() {
    let by = |line, fields: &[(&str, &str)]| by(Style::ApiPlatform, line, fields);
    assert_eq!(
        by("PURGE /", &[("xkey", "/books/1 /books")]),
        Some(Ok(selected(&[tag("/books/1"), tag("/books")], Mode::Hard)))
    );
    for pattern in [
        "(/books/1|/books)($|\\,)",
        "((^|\\,)/books/1($|\\,))|((^|\\,)/books($|\\,))",
    ] {
        assert_eq!(
            by("BAN /", &[("ApiPlatform-Ban-Regex", pattern)]),
            Some(Ok(selected(&[tag("/books/1"), tag("/books")], Mode::Hard))),
            "{pattern}"
        );
    }
    assert!(by("BAN /", &[]).unwrap().is_err());
}

#[test]
fn the_first_style_that_understands_it_counts() {
    let read = |styles: &[Style]| {
        asked("BAN /", &[("Cache-Tags", "a")], |asked| {
            Style::read_any(styles, asked)
        })
    };
    assert_eq!(read(&[Style::Wordpress]), None);
    assert!(read(&[Style::Fos]).unwrap().is_err());
    assert_eq!(read(&[Style::Fos, Style::Drupal]), Some(Ok(hard(tag("a")))));
    for style in Style::ALL {
        assert_eq!(Style::of_name(style.name().as_bytes()), Some(style));
    }
    assert_eq!(Style::of_name(b"squid"), None);
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        method in "(PURGE|BAN|GET|PURGETAGS|PURGEKEYS)",
        target in "[/.*()|^$\\\\a%]{1,20}",
        value in "[/.*()|^$\\\\a, ]{0,40}",
    ) {
        let names = ["X-Cache-Tags", "X-Url", "X-Host", "xkey", "X-Magento-Tags-Pattern", "ApiPlatform-Ban-Regex"];
        for name in names {
            let line = format!("{method} {target}");
            asked(&line, &[(name, &value)], |asked| {
                let _ = Style::read_any(&Style::ALL, asked);
                let _ = Form::Plain.read(asked);
            });
        }
    }
}
