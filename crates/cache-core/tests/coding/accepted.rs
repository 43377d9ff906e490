//! Accept-Encoding (RFC 9110 12.5.3), as a table.

use cache_core::coding::{Accepted, ContentCoding};

#[test]
#[rustfmt::skip]
fn which_form_is_preferred() {
    // (what it is, lines of Accept-Encoding, prefers gzip, prefers zstd, takes identity)
    let cases: &[(&str, &[&str], bool, bool, bool)] = &[
        ("no field: any, but who can inflate says so", &[], false, false, true),
        ("an empty field: identity alone", &[""], false, false, true),
        ("gzip", &["gzip"], true, false, true),
        ("in a browser's list", &["gzip, deflate, br, zstd"], true, true, true),
        ("codings know no case", &["GZip"], true, false, true),
        ("8.4.1.3 x-gzip", &["x-gzip"], true, false, true),
        ("another coding alone", &["br"], false, false, true),
        ("a name that begins so", &["gzipped, gzip2"], false, false, true),
        ("in another line", &["br", "gzip"], true, false, true),
        ("empty members", &[", ,gzip,"], true, false, true),
        ("a weight", &["gzip;q=0.001"], true, false, true),
        ("white space at the weight", &["gzip ; q=0.5"], true, false, true),
        ("q=0", &["gzip;q=0"], false, false, true),
        ("q=0.000", &["gzip;q=0.000"], false, false, true),
        ("identity preferred", &["gzip;q=0.5, identity"], false, false, true),
        ("identity less", &["gzip, identity;q=0.5"], true, false, true),
        ("no preference", &["gzip, identity"], true, false, true),
        ("identity refused", &["gzip, identity;q=0"], true, false, false),
        ("both refused: without coding (12.4.1)", &["gzip;q=0, identity;q=0"], false, false, false),
        ("any", &["*"], true, true, true),
        ("any, a little", &["*;q=0.1"], true, true, true),
        ("no others", &["gzip, *;q=0"], true, false, false),
        ("none at all", &["*;q=0"], false, false, false),
        ("no others but identity", &["gzip, identity;q=0.1, *;q=0"], true, false, true),
        ("all but gzip", &["gzip;q=0, *"], false, true, true),
        ("any isn't preferred to identity that is named", &["*;q=0.5, identity;q=0.8"], false, false, true),
        ("twice: the least", &["gzip, gzip;q=0"], false, false, true),
        ("what isn't a weight", &["gzip;q=x"], false, false, true),
        ("more than 1", &["gzip;q=1.5"], false, false, true),
        ("a parameter that is none", &["gzip;level=9"], false, false, true),
        ("zstd", &["zstd"], false, true, true),
        ("zstd, in capitals", &["ZSTD"], false, true, true),
        ("zstd with a weight", &["br, zstd;q=0.001"], false, true, true),
        ("zstd in another line", &["gzip", "zstd"], true, true, true),
        ("zstd is accepted, if less than gzip", &["gzip, zstd;q=0.1"], true, true, true),
        ("zstd refused", &["gzip, zstd;q=0"], true, false, true),
        ("all but zstd", &["zstd;q=0, *"], true, false, true),
        ("zstd, no others", &["zstd, *;q=0"], false, true, false),
        ("identity preferred to zstd", &["zstd;q=0.5, identity"], false, false, true),
        ("identity preferred to zstd, but not to gzip", &["gzip, zstd;q=0.5, identity;q=0.7"], true, false, true),
        ("zstd, twice: the least", &["zstd;q=0, zstd"], false, false, true),
        ("a name that begins like zstd", &["zstd2, x-zstd"], false, false, true),
    ];
    for (what, lines, gzip, zstd, identity) in cases {
        let accepted = Accepted::parse(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(accepted.prefers(ContentCoding::Gzip), *gzip, "{what}");
        assert_eq!(accepted.prefers(ContentCoding::Zstd), *zstd, "{what}");
        assert_eq!(accepted.takes_identity(), *identity, "{what}");
    }
    for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
        assert!(!Accepted::IDENTITY.prefers(coding));
    }
}
