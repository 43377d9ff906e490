//! What a lookup finds.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::record::{Broken, Decoded, RawRecord};
use cache_core::rules::Rules;

use crate::store::memory::Offer;

/// What Redis has under a key. Requests that look for it at the same time share it.
#[derive(Debug)]
pub struct Found {
    /// The record.
    pub record: RawRecord,
    /// Field `variants`.
    pub variants: Option<Bytes>,
    /// Field `labels`.
    pub labels: Option<Bytes>,
    /// What the memory tier calls the server that has sent it, at the address of that connection. 0: none has.
    pub from: u64,
    /// The right to keep it in the memory tier, once it is known whether it is purged.
    pub offer: RefCell<Option<Offer>>,
    /// What the first of them has made of the record.
    pub reading: OnceCell<Reading>,
}

impl Found {
    /// What PTTL says of a key that doesn't exist.
    pub const NO_KEY: i64 = -2;

    /// There is no such key.
    pub fn nothing() -> Found {
        let record = RawRecord {
            pttl: Found::NO_KEY,
            status: None,
            headers: None,
            body: None,
            meta: None,
        };
        Found::new(record, None, None)
    }

    /// What was found.
    pub fn new(record: RawRecord, variants: Option<Bytes>, labels: Option<Bytes>) -> Found {
        Found {
            record,
            variants,
            labels,
            from: 0,
            offer: RefCell::new(None),
            reading: OnceCell::new(),
        }
    }
}

impl Found {
    /// Whether there is no such key.
    pub fn is_nothing(&self) -> bool {
        self.record.pttl == Found::NO_KEY
    }
}

/// A record as it was read by these rules.
#[derive(Debug)]
pub struct Reading {
    /// The rules.
    pub rules: Rc<Rules>,
    /// The record.
    pub decoded: Result<Option<Decoded>, Broken>,
}
