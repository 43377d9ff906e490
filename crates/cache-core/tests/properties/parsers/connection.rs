//! Taking fields off that don't belong into a record. The input: a line of the fields that Connection
//! names, then header lines.

use bytes::Bytes;
use cache_core::headers::{is_token, trim_ows};
use cache_core::record::strip_for_storage;

use super::{cut, headers};

/// What stays is unchanged and in order, none of it is named, and nothing is taken that isn't.
pub fn holds(input: &[u8]) {
    let (named, rest) = cut(input, b'\n');
    let all = headers(rest);
    let options = [Bytes::copy_from_slice(named)];
    let kept = strip_for_storage(&all, &options);

    assert_eq!(strip_for_storage(&kept, &options), kept, "once is enough");
    let mut from = all.iter();
    for header in &kept {
        assert!(from.any(|original| original == header), "order or content");
        for hop in [&b"Connection"[..], b"Transfer-Encoding", b"TE", b"Keep-Alive"] {
            assert!(!header.is(hop));
        }
        // a name that is no token is no header to be sent, whoever names it
        let mut listed = named.split(|&b| b == b',').map(trim_ows);
        assert!(!is_token(&header.name) || !listed.any(|option| header.is(option)));
    }
    if named.is_empty() {
        let end_to_end = |name: &[u8]| [&b"ETag"[..], b"Link", b"X-A"].contains(&name);
        for header in all.iter().filter(|header| end_to_end(&header.name)) {
            assert!(kept.iter().any(|other| other == header));
        }
    }
}
