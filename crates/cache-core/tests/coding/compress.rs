//! `redis_cache_compress`: its words, and which responses it means.

use cache_core::coding::{BadOption, Compress, ContentCoding};

use super::{Lines, headers};

fn parse(text: &str) -> Result<Option<Compress>, BadOption> {
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    Compress::parse(&words, |size| std::str::from_utf8(size).ok()?.parse().ok())
}

#[test]
fn words() {
    assert_eq!(parse("off"), Ok(None));
    for (words, coding, level) in [
        ("gzip", ContentCoding::Gzip, 6),
        ("gzip level=1 min=0 types=*", ContentCoding::Gzip, 1),
        ("gzip level=9", ContentCoding::Gzip, 9),
        ("zstd", ContentCoding::Zstd, 3),
        ("zstd level=1 min=0 types=*", ContentCoding::Zstd, 1),
        ("zstd level=12", ContentCoding::Zstd, 12),
    ] {
        let compress = parse(words).unwrap().unwrap();
        assert_eq!(
            (compress.coding(), compress.level()),
            (coding, level),
            "{words}"
        );
    }
    let text = String::from;
    let cases = [
        ("", BadOption::Coding(text(""))),
        ("on", BadOption::Coding(text("on"))),
        ("br", BadOption::Coding(text("br"))),
        ("zstd off", BadOption::Option(text("off"))),
        ("zstd level=0", BadOption::Level(text("level=0"), 12)),
        ("zstd level=-1", BadOption::Level(text("level=-1"), 12)),
        ("zstd level=03", BadOption::Level(text("level=03"), 12)),
        ("zstd level=13", BadOption::Level(text("level=13"), 12)),
        ("zstd level=300", BadOption::Level(text("level=300"), 12)),
        ("zstd level=", BadOption::Level(text("level="), 12)),
        ("off min=1", BadOption::Option(text("min=1"))),
        ("gzip size=1", BadOption::Option(text("size=1"))),
        ("gzip min=", BadOption::Min(text("min="))),
        ("gzip min=x", BadOption::Min(text("min=x"))),
        ("gzip level=0", BadOption::Level(text("level=0"), 9)),
        ("gzip level=10", BadOption::Level(text("level=10"), 9)),
        ("gzip types=", BadOption::Type(text(""))),
        ("gzip types=text", BadOption::Type(text("text"))),
        ("gzip types=text/a,*/b", BadOption::Type(text("*/b"))),
        ("gzip types=a/*/*", BadOption::Type(text("a/*/*"))),
        ("gzip types=text/h*", BadOption::Type(text("text/h*"))),
        ("gzip min=1 min=2", BadOption::Twice(text("min=2"))),
    ];
    for (words, bad) in cases {
        assert_eq!(parse(words), Err(bad), "{words}");
    }
}

#[test]
#[rustfmt::skip]
fn which_responses() {
    const HTML: (&str, &str) = ("Content-Type", "text/html");
    let standard = parse("gzip").unwrap().unwrap();
    let length = |length| Some(length);
    // (what it is, status, header, length, whether)
    let cases: &[(&str, u16, Lines<'_>, Option<u64>, bool)] = &[
        ("a page", 200, &[HTML], length(1024), true),
        ("its length isn't known yet", 200, &[HTML], None, true),
        ("too short", 200, &[HTML], length(1023), false),
        ("404", 404, &[HTML], length(5000), true),
        ("403", 403, &[HTML], length(5000), true),
        ("no other status", 203, &[HTML], length(5000), false),
        ("500", 500, &[HTML], length(5000), false),
        ("no type", 200, &[], length(5000), false),
        ("two types", 200, &[HTML, HTML], length(5000), false),
        ("with a charset, in capitals", 200, &[("content-type", "Text/HTML ; charset=utf-8")], length(5000), true),
        ("JSON", 200, &[("Content-Type", "application/json")], length(5000), true),
        ("JSON by its suffix", 200, &[("Content-Type", "application/ld+json")], length(5000), true),
        ("SVG", 200, &[("Content-Type", "image/svg+xml")], length(5000), true),
        ("an image", 200, &[("Content-Type", "image/png")], length(5000), false),
        ("coded by the backend", 200, &[HTML, ("Content-Encoding", "gzip")], length(5000), false),
        ("coded in its own way", 200, &[HTML, ("Content-Encoding", "x-rot13")], length(5000), false),
        ("a part", 200, &[HTML, ("Content-Range", "bytes 0-1/2")], length(5000), false),
        ("9111 5.2.2.6 no-transform", 200, &[HTML, ("Cache-Control", "max-age=9, No-Transform")], length(5000), false),
        ("9111 5.2.2.6 in another line", 200, &[HTML, ("Cache-Control", "public"), ("Cache-Control", "no-transform=1")], length(5000), false),
        ("another directive", 200, &[HTML, ("Cache-Control", "no-transformers")], length(5000), true),
        ("9530 Repr-Digest", 200, &[HTML, ("Repr-Digest", "sha-256=:AA==:")], length(5000), false),
        ("9530 Content-Digest", 200, &[HTML, ("Content-Digest", "sha-256=:AA==:")], length(5000), false),
        ("3230 Digest", 200, &[HTML, ("Digest", "sha-256=AA==")], length(5000), false),
        ("Content-MD5", 200, &[HTML, ("Content-MD5", "AA==")], length(5000), false),
        ("9421 a signature", 200, &[HTML, ("Signature-Input", "a=()")], length(5000), false),
        ("what it varies on doesn't matter", 200, &[HTML, ("Vary", "Accept-Encoding, Cookie")], length(5000), true),
    ];
    for (what, status, lines, length, wanted) in cases {
        assert_eq!(standard.applies(*status, &headers(lines), *length), *wanted, "{what}");
    }
    let own = parse("gzip min=5 types=image/*,application/X-Own").unwrap().unwrap();
    for (name, length, wanted) in [("image/png", 5, true), ("application/x-own", 5, true), ("image/png", 4, false), ("text/html", 5000, false)] {
        assert_eq!(own.applies(200, &headers(&[("Content-Type", name)]), Some(length)), wanted, "{name}");
    }
    let all = parse("gzip types=*").unwrap().unwrap();
    assert!(all.applies(200, &headers(&[("Content-Type", "video/mp4")]), None));
}

#[test]
fn what_is_worth_it() {
    for (length, coded, wanted) in [
        (1000, 900, true),
        (1000, 901, false),
        (0, 20, false),
        (5, 25, false),
    ] {
        assert_eq!(
            Compress::is_worth_it(length, coded),
            wanted,
            "{length} {coded}"
        );
    }
}
