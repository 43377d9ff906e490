//! Lists as users write them: statuses, methods, fields that are ignored.

use cache_core::status_code::{FINAL_STATUSES, parse_status};
use cache_core::ignore::Ignore;
use cache_core::rules::{MethodList, StatusList};
use cache_core::rules::items;

/// Separators are of one kind; a list holds what it lists and nothing else.
pub fn holds(input: &[u8]) {
    let found: Vec<&[u8]> = items(input).collect();
    let written = found.join(&b","[..]);
    assert_eq!(items(&written).collect::<Vec<_>>(), found);

    if let Ok(list) = StatusList::parse(input) {
        let any = found.iter().any(|item| item.eq_ignore_ascii_case(b"any"));
        for status in FINAL_STATUSES {
            let listed = found.contains(&status.to_string().as_bytes());
            assert_eq!(list.contains(status), any || listed, "{status}");
            assert_eq!(list.age(status), None);
        }
        assert_eq!(StatusList::parse(&written), Ok(list));
    }
    let _ = StatusList::empty().with_directive(&found);
    for item in &found {
        if let Some(status) = parse_status(item) {
            assert_eq!(status.to_string().as_bytes(), *item);
        }
        assert_eq!(
            Ignore::named(item),
            Ignore::named(&item.to_ascii_uppercase())
        );
    }

    if let Ok(list) = MethodList::parse(input) {
        assert!(found.iter().all(|method| list.contains(method)));
        assert!(!list.contains(b""));
        assert_eq!(MethodList::parse(&written), Ok(list));
    }
}
