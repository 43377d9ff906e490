//! What holds for any input.

use std::collections::BTreeSet;

use cache_core::slices::{Asked, ContentRange, Delivery, Layout, Sliced, Span, Step, asked};
use proptest::prelude::*;

use super::object;

/// What is sent of an object in slices of this size: the places of its bytes in order. No slice is looked for twice.
fn sent(size: u64, total: u64, asked: &Asked, ahead: u64) -> (u64, Vec<u64>, u64) {
    let object = object(size, total);
    let layout = Layout::new(object, asked, Some(b"text/plain"), b"B");
    let length = layout.length();
    let mut delivery = Delivery::new(object, layout, ahead);
    let (mut places, mut texts) = (Vec::new(), 0);
    let mut looked = BTreeSet::new();
    loop {
        match delivery.step(false) {
            Step::Look(slice) => {
                assert!(looked.insert(slice), "slice {slice} is looked for twice");
                delivery.found(slice);
            }
            Step::Text(text) => texts += text.len() as u64,
            Step::Send { slice, from, to } => {
                places.extend((from..to).map(|at| slice * size + at));
            }
            Step::Done => return (length, places, texts),
            other => panic!("{other:?}"),
        }
    }
}

/// The spans that a list of ranges asks for, one by one. `None`: nothing that makes sense.
fn naive(specs: &[(Option<u64>, Option<u64>)], total: u64) -> Option<Vec<(u64, u64)>> {
    let mut spans = Vec::new();
    for spec in specs {
        let (first, last) = match *spec {
            (Some(first), Some(last)) if last < first => return None,
            (Some(first), last) => (first, last.unwrap_or(total - 1).min(total - 1)),
            (None, Some(0)) => continue,
            (None, Some(suffix)) => (total.saturating_sub(suffix), total - 1),
            (None, None) => return None,
        };
        if first < total {
            spans.push((first, last));
        }
    }
    Some(spans)
}

proptest! {
    #[test]
    fn each_byte_once_and_in_order(
        size in 1_u64..40,
        total in 1_u64..300,
        ahead in 0_u64..4,
        specs in prop::collection::vec((prop::option::of(0_u64..320), prop::option::of(0_u64..320)), 1..6),
    ) {
        let text = |n: &Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let list: Vec<_> = specs.iter().map(|(a, b)| format!("{}-{}", text(a), text(b))).collect();
        let range = format!("bytes={}", list.join(", "));
        let found = asked(range.as_bytes(), total);
        let spans = naive(&specs, total);
        match (&found, &spans) {
            (Asked::Nothing, None) => {}
            // More than the whole.
            (Asked::Whole, Some(spans)) => {
                prop_assert!(spans.iter().map(|(first, last)| last - first + 1).sum::<u64>() > total);
            }
            (Asked::Nothing, Some(spans)) => prop_assert!(spans.is_empty()),
            (Asked::Spans(found), Some(spans)) => {
                let found: Vec<_> = found.iter().map(|span| (span.first, span.last)).collect();
                prop_assert_eq!(&found, spans);
            }
            _ => prop_assert!(false, "{}: {:?}", range, found),
        }
        let wanted: Vec<u64> = match &found {
            Asked::Whole => (0..total).collect(),
            Asked::Nothing => Vec::new(),
            Asked::Spans(spans) => spans.iter().flat_map(|s| s.first..=s.last).collect(),
        };
        let (length, places, texts) = sent(size, total, &found, ahead);
        prop_assert_eq!(length, places.len() as u64 + texts);
        // In the order of the request, unless a slice would be needed again: then in that of the object, each byte once.
        let mut slices: Vec<_> = wanted.iter().map(|place| place / size).collect();
        slices.dedup();
        let count = slices.len();
        let distinct: BTreeSet<_> = slices.into_iter().collect();
        if distinct.len() == count {
            prop_assert_eq!(places, wanted);
        } else {
            let wanted: BTreeSet<_> = wanted.into_iter().collect();
            prop_assert_eq!(places, wanted.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn slices_are_all_of_it(size in 1_u64..1000, total in 1_u64..100_000) {
        let object = object(size, total);
        let mut next = 0;
        for slice in 0..object.count() {
            let span = object.span(slice).unwrap();
            prop_assert_eq!(span.first, next);
            prop_assert_eq!(object.slice_of(span.first), slice);
            prop_assert_eq!(object.slice_of(span.last), slice);
            next = span.last + 1;
        }
        prop_assert_eq!(next, total);
        prop_assert_eq!(object.span(object.count()), None);
    }

    #[test]
    fn any_text(text in prop::collection::vec(any::<u8>(), 0..60), total in 1_u64..u64::MAX) {
        let _ = asked(&text, total);
        let _ = asked(&[b"bytes=", &text[..]].concat(), total);
        let _ = ContentRange::parse(&text);
        let _ = ContentRange::parse(&[b"bytes ", &text[..]].concat());
        prop_assert_eq!(Sliced::parse(&text), None);
    }

    #[test]
    fn any_numbers(text in "bytes=[0-9]{0,22}-[0-9]{0,22}(,[0-9]{0,22}-[0-9]{0,22})?", total in 1_u64..u64::MAX) {
        if let Asked::Spans(spans) = asked(text.as_bytes(), total) {
            for span in spans {
                prop_assert!(span.first <= span.last && span.last < total);
            }
        }
    }

    #[test]
    fn content_range_as_written(first in 0_u64..u64::MAX / 2, length in 1_u64..u64::MAX / 4, more in 0_u64..99) {
        let (last, total) = (first + length - 1, first + length + more);
        let text = format!("bytes {first}-{last}/{total}");
        let span = Span::new(first, last).unwrap();
        prop_assert_eq!(ContentRange::parse(text.as_bytes()), Some(ContentRange::Of(span, Some(total))));
    }
}
