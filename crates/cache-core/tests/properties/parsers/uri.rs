//! URIs that a response names. The input: the target that was asked for, the request's Host, a reference.

use cache_core::invalidation::other_targets;
use cache_core::uri::{Origin, Target, resolve};

use super::{cut, shown};

/// A target is in its plainest form at once, is found again by its own name, and belongs to one origin.
pub fn holds(input: &[u8]) {
    let (own, rest) = cut(input, b'\n');
    let (host, reference) = cut(rest, b'\n');
    let Some(base) = Target::of_request(own) else {
        return;
    };
    is_plain(&base);
    let origin = Origin::new(false, host);
    let found = resolve(reference, &base, origin.as_ref());
    if let Some(target) = &found {
        is_plain(target);
        assert!(reference.is_ascii() || !target.path.is_empty());
        // a relative reference means the same wherever it stands
        if resolve(reference, &base, None).is_some() {
            assert_eq!(resolve(reference, &base, None), found);
        }
        comes_back(target, &base);
    }
    let absolute = |scheme: &str| [scheme.as_bytes(), b"://", host, reference].concat();
    if reference.starts_with(b"/") && origin.is_some() {
        assert_eq!(resolve(&absolute("https"), &base, origin.as_ref()), None);
        assert_eq!(resolve(&absolute("http"), &base, None), None, "no origin");
    }
    for target in other_targets(&base, origin.as_ref(), [reference, own].into_iter()) {
        assert_ne!(target, base);
    }
}

fn is_plain(target: &Target) {
    assert!(target.path.starts_with(b"/"), "{target:?}");
    let mut segments = target.path.split(|&b| b == b'/');
    assert!(segments.all(|segment| segment != b"." && segment != b".."));
    let text = target.in_origin_form();
    assert_eq!(
        Target::of_request(&text).as_ref(),
        Some(target),
        "{}",
        shown(&text)
    );
    for merge in [false, true] {
        let Some(path) = target.decoded_path(merge) else {
            continue;
        };
        assert!(path.starts_with(b"/") && !path.contains(&0));
        assert!(path.len() <= target.path.len());
    }
}

fn comes_back(target: &Target, base: &Target) {
    let text = target.in_origin_form();
    // "//b" would name a host; a reference is written in printable ASCII
    if !text.starts_with(b"//") && text.iter().all(u8::is_ascii_graphic) {
        let again = resolve(&text, base, None);
        assert_eq!(again.as_ref(), Some(target), "{}", shown(&text));
    }
}
