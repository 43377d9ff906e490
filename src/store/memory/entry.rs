//! A record of the tier as this worker reads it.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::record::{self, Base, Broken, Decoded, Kept, RawRecord, ReadFrom, Record};
use cache_core::rules::Rules;
use cache_core::vary::Select;
use tier::{Handle, View};

use crate::ngx::event::exact_msec;
use crate::shm::tier::Records;

/// A body of so many bytes is copied: to keep it in its place takes longer.
const COPIED: usize = 2 << 10;

/// The record has left the tier meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

/// A record of the tier.
pub struct Entry {
    records: Rc<Records>,
    handle: Handle,
    kept: Kept,
    /// Bytes before its body.
    head: usize,
    /// Bytes of its body.
    length: usize,
    /// When it expires in its store, in milliseconds.
    expires: u64,
    reading: OnceCell<Reading>,
}

/// What was made of it.
struct Reading {
    rules: Rc<Rules>,
    /// When, in milliseconds.
    at: u64,
    /// The record, without its body.
    decoded: Result<Option<Decoded>, Broken>,
}

impl Entry {
    /// The record of an entry of the index, whose head this is.
    pub fn new(records: &Rc<Records>, handle: Handle, view: &View, kept: Kept) -> Entry {
        Entry {
            records: Rc::clone(records),
            handle,
            kept,
            head: view.head_len,
            length: view.body_len,
            expires: view.meta,
            reading: OnceCell::new(),
        }
    }

    /// The entry.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Whether it is the record of this key.
    pub fn is_of(&self, key: &[u8]) -> bool {
        self.kept.key == key
    }

    /// The key's field `variants`.
    pub fn variants(&self) -> Option<&Bytes> {
        self.kept.variants.as_ref()
    }

    /// What the key says of its variants, in this field.
    pub fn base(&self, variants: Bytes) -> Base {
        Base {
            length: self.length as u64,
            ..Base::of(&self.kept.record(self.left(exact_msec()), None), variants)
        }
    }

    /// What is left of its expiry, in milliseconds.
    fn left(&self, now: u64) -> i64 {
        i64::try_from(self.expires.saturating_sub(now)).unwrap_or(i64::MAX)
    }

    /// What is kept of it beside its body.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Bytes of its body.
    pub fn length(&self) -> usize {
        self.length
    }

    /// When it expires in its store, in milliseconds.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The record as its store has it.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn raw(&self) -> Result<RawRecord, Gone> {
        Ok(self
            .kept
            .record(self.left(exact_msec()), Some(self.body()?)))
    }

    /// Its body.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn body(&self) -> Result<Bytes, Gone> {
        let body = if self.length <= COPIED {
            self.records.copy(self.handle, self.head, self.length)
        } else {
            self.records.share(self.handle, self.head, self.length)
        };
        body.ok_or(Gone)
    }

    /// The record for a request, as it is now.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn record(
        &self,
        rules: &Rc<Rules>,
        from: ReadFrom<'_>,
        select: Select<'_>,
    ) -> Result<Result<Option<Rc<Record>>, Broken>, Gone> {
        let now = exact_msec();
        if self.reading.get().is_none() {
            let reading = self.read(rules, now)?;
            let _ = self.reading.set(reading);
        }
        let own;
        let reading = match self.reading.get() {
            Some(reading) if Rc::ptr_eq(&reading.rules, rules) => reading,
            _ => {
                own = self.read(rules, now)?;
                &own
            }
        };
        let decoded = match &reading.decoded {
            Ok(Some(decoded)) => decoded,
            Ok(None) => return Ok(Ok(None)),
            Err(broken) => return Ok(Err(*broken)),
        };
        let Some(record) = decoded.for_request(from, select) else {
            return Ok(Ok(None));
        };
        let later = now.saturating_sub(reading.at);
        Ok(Ok(Some(Rc::new(record.later(later, self.body()?)))))
    }

    fn read(&self, rules: &Rc<Rules>, now: u64) -> Result<Reading, Gone> {
        let raw = self.raw()?;
        let decoded = record::decode(&raw, rules);
        Ok(Reading {
            rules: Rc::clone(rules),
            at: now,
            decoded: decoded.map(|found| found.map(Decoded::without_body)),
        })
    }
}
