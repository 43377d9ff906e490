//! Accept-Encoding (RFC 9110 12.5.3), as a table.

use cache_core::coding::Accepted;

#[test]
#[rustfmt::skip]
fn which_form_is_preferred() {
    // (what it is, lines of Accept-Encoding, prefers gzip, takes identity)
    let cases: &[(&str, &[&str], bool, bool)] = &[
        ("no field: any, but who can inflate says so", &[], false, true),
        ("an empty field: identity alone", &[""], false, true),
        ("gzip", &["gzip"], true, true),
        ("in a browser's list", &["gzip, deflate, br, zstd"], true, true),
        ("codings know no case", &["GZip"], true, true),
        ("8.4.1.3 x-gzip", &["x-gzip"], true, true),
        ("another coding alone", &["br"], false, true),
        ("a name that begins so", &["gzipped, gzip2"], false, true),
        ("in another line", &["br", "gzip"], true, true),
        ("empty members", &[", ,gzip,"], true, true),
        ("a weight", &["gzip;q=0.001"], true, true),
        ("white space at the weight", &["gzip ; q=0.5"], true, true),
        ("q=0", &["gzip;q=0"], false, true),
        ("q=0.000", &["gzip;q=0.000"], false, true),
        ("identity preferred", &["gzip;q=0.5, identity"], false, true),
        ("identity less", &["gzip, identity;q=0.5"], true, true),
        ("no preference", &["gzip, identity"], true, true),
        ("identity refused", &["gzip, identity;q=0"], true, false),
        ("both refused: without coding (12.4.1)", &["gzip;q=0, identity;q=0"], false, false),
        ("any", &["*"], true, true),
        ("any, a little", &["*;q=0.1"], true, true),
        ("no others", &["gzip, *;q=0"], true, false),
        ("none at all", &["*;q=0"], false, false),
        ("no others but identity", &["gzip, identity;q=0.1, *;q=0"], true, true),
        ("all but gzip", &["gzip;q=0, *"], false, true),
        ("any isn't preferred to identity that is named", &["*;q=0.5, identity;q=0.8"], false, true),
        ("twice: the least", &["gzip, gzip;q=0"], false, true),
        ("what isn't a weight", &["gzip;q=x"], false, true),
        ("more than 1", &["gzip;q=1.5"], false, true),
        ("a parameter that is none", &["gzip;level=9"], false, true),
    ];
    for (what, lines, gzip, identity) in cases {
        let accepted = Accepted::parse(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(accepted.prefers_gzip(), *gzip, "{what}");
        assert_eq!(accepted.takes_identity(), *identity, "{what}");
    }
    assert!(!Accepted::IDENTITY.prefers_gzip());
}
