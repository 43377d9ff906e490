//! What is kept of a record in memory.

use bytes::Bytes;
use cache_core::record::{Kept, RawRecord};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn maybe() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(text())
}

proptest! {
    #[test]
    fn a_record_comes_back(key in text(), status in maybe(), headers in maybe(), meta in maybe(), variants in maybe(), labels in maybe(), body in maybe(), pttl: i64, log: u64) {
        let record = RawRecord { pttl, status, headers, body, meta };
        let bytes = Bytes::from(Kept::of(key.clone(), &record, (variants.clone(), labels.clone()), log).encode().unwrap());
        let kept = Kept::decode(&bytes).unwrap();
        prop_assert_eq!((&kept.key, &kept.variants, &kept.labels, kept.log), (&key, &variants, &labels, log));
        prop_assert_eq!(kept.record(pttl, record.body.clone()), record);
        // One byte more or less is another string.
        prop_assert_eq!(Kept::decode(&bytes.slice(..bytes.len() - 1)), None);
        prop_assert_eq!(Kept::decode(&[&bytes[..], b"x"].concat().into()), None);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(kept) = Kept::decode(&bytes.clone().into()) {
            prop_assert_eq!(kept.encode(), Some(bytes));
        }
    }
}
