use cache_core::purge::{
    Digest, MAX_BODY, MAX_SELECTORS, Mode, Purge, Selector, Site, Target, answer, parse_json,
};
use proptest::prelude::*;

use super::{host, prefix, site, tag};

fn parse(body: &str) -> Result<Purge, String> {
    parse_json(body.as_bytes(), &site("www.example.com")).map_err(|refused| refused.0)
}

fn selected(selectors: &[Selector], mode: Mode) -> Result<Purge, String> {
    Ok(Purge {
        target: Target::Selected(selectors.to_vec()),
        mode,
    })
}

#[test]
fn each_type_is_read() {
    let https = |host: &str, port| Site::new(true, host.as_bytes(), port).unwrap();
    assert_eq!(
        parse(r#"{"type":"tag","selectors":["a","b c"],"purge":true}"#),
        selected(&[tag("a"), tag("b c")], Mode::Hard)
    );
    assert_eq!(
        parse(r#"{"type":"all"}"#),
        selected(&[Selector::All], Mode::Soft)
    );
    assert_eq!(
        parse(r#"{"type":"all","selectors":[],"purge":false}"#),
        selected(&[Selector::All], Mode::Soft)
    );
    assert_eq!(
        parse(r#"{"type":"host","selectors":["A.example.com","[::1]"]}"#),
        selected(&[host("a.example.com"), host("[::1]")], Mode::Soft)
    );
    assert_eq!(
        parse(r#"{"type":"origin","selectors":["https://A:8443"]}"#),
        selected(&[Selector::Origin(https("a", Some(8443)))], Mode::Soft)
    );
    assert_eq!(
        parse(r#"{"type":"uri-prefix","selectors":["https://a/b?c","/d/../e","https://f"]}"#),
        selected(
            &[
                prefix("a", "/b?c"),
                prefix("www.example.com", "/e"),
                host("f")
            ],
            Mode::Soft
        )
    );
    let group = Digest::of_group(&site("www.example.com"), b"x");
    assert_eq!(
        parse(r#"{"type":"group","selectors":["x"]}"#),
        selected(&[Selector::Label(group)], Mode::Soft)
    );
    assert_eq!(
        parse(r#"{"type":"uri","selectors":["https://a/b","/c","http://d:81?e"],"purge":true}"#),
        Ok(Purge {
            target: Target::Uris(vec![
                (https("a", None), b"/b".to_vec()),
                (site("www.example.com"), b"/c".to_vec()),
                (Site::new(false, b"d", Some(81)).unwrap(), b"/?e".to_vec()),
            ]),
            mode: Mode::Hard,
        })
    );
}

#[test]
fn what_isnt_understood_is_said() {
    for (body, why) in [
        ("", "the body is no JSON"),
        ("[]", "no JSON object"),
        (r#"{"selectors":["a"]}"#, "\"type\" is"),
        (r#"{"type":"tags","selectors":["a"]}"#, "\"type\" is"),
        (r#"{"type":"tag"}"#, "names nothing"),
        (r#"{"type":"uri","selectors":[]}"#, "names nothing"),
        (r#"{"type":"tag","selectors":"a"}"#, "no array"),
        (r#"{"type":"tag","selectors":[1]}"#, "is a string"),
        (r#"{"type":"tag","selectors":[""]}"#, "is a string"),
        (r#"{"type":"all","selectors":["a"]}"#, "has no selectors"),
        (r#"{"type":"all","purge":1}"#, "true or false"),
        (r#"{"type":"all","soft":true}"#, "no such member: \"soft\""),
        (r#"{"type":"host","selectors":["a:80"]}"#, "no host"),
        (r#"{"type":"host","selectors":["a/b"]}"#, "no host"),
        (r#"{"type":"origin","selectors":["a"]}"#, "no origin"),
        (
            r#"{"type":"origin","selectors":["https://a/"]}"#,
            "no origin",
        ),
        (r#"{"type":"uri","selectors":["ftp://a/"]}"#, "no URI"),
        (r#"{"type":"uri","selectors":["a"]}"#, "no URI"),
        (r#"{"type":"uri-prefix","selectors":["/%"]}"#, "no path"),
        (r#"{"type":"uri","selectors":["https://a:x/"]}"#, "no URI"),
    ] {
        let said = parse(body).unwrap_err();
        assert!(said.contains(why), "{body}: {said}");
    }
}

#[test]
fn there_are_bounds() {
    let many = |count: usize| {
        let selectors: Vec<String> = (0..count).map(|number| format!("\"{number}\"")).collect();
        format!(r#"{{"type":"tag","selectors":[{}]}}"#, selectors.join(","))
    };
    assert!(parse(&many(MAX_SELECTORS)).is_ok());
    assert!(
        parse(&many(MAX_SELECTORS + 1))
            .unwrap_err()
            .contains("256 selectors")
    );
    let long = format!(
        r#"{{"type":"tag","selectors":["{}"]}}"#,
        "x".repeat(MAX_BODY)
    );
    assert!(
        parse(&long)
            .unwrap_err()
            .contains("larger than 65536 bytes")
    );
}

#[test]
fn the_answer_is_json() {
    let purge = parse(r#"{"type":"tag","selectors":["a"]}"#).unwrap();
    assert_eq!(
        answer(1, &purge),
        r#"{"kind":"tag","mode":"soft","purged":1}"#
    );
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_json(&body, &site("a"));
    }
}
