//! A record of the tier as this worker reads it.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::record::{self, Base, Broken, Decoded, Kept, RawRecord, ReadFrom, Record};
use cache_core::rules::Rules;
use cache_core::vary::{Family, Select};
use tier::{Handle, View};

use super::recent::Charge;
use super::usable::Usable;
use crate::ngx::event::exact_msec;
use crate::ngx::memory;
use crate::ngx::output::Body;
use crate::shm::tier::{Records, Spot};

/// A body of so many bytes is copied: to keep it in its place takes longer.
const COPIED: usize = 2 << 10;

/// The record has left the tier meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

/// A record of the tier.
pub struct Entry {
    records: Rc<Records>,
    handle: Handle,
    /// Whether it was used since somebody looked for what to forget.
    used: Cell<bool>,
    /// Its key in the store.
    key: Bytes,
    /// The key's field `variants`.
    variants: Option<Bytes>,
    /// Bytes before its body.
    head: usize,
    /// Bytes of its body.
    length: usize,
    /// Where its body lies, if in one piece.
    body: Option<Spot>,
    /// When it expires in its store, in milliseconds.
    expires: u64,
    /// The number in the store's log of purges up to which none concerns it.
    log: u64,
    /// The number up to which it was judged,
    judged: Cell<u64>,
    /// and whether a purge has made it stale.
    is_soft: Cell<bool>,
    reading: OnceCell<Reading>,
    /// What its key says of variants, if that counts.
    family: OnceCell<Box<Family>>,
    /// The record as it was read, for requests that need all of it.
    decoded: OnceCell<Box<(Decoded, Charge)>>,
    charge: Charge,
}

/// What was made of it.
struct Reading {
    rules: Rc<Rules>,
    /// When, in milliseconds.
    at: u64,
    usable: Result<Option<Usable>, Broken>,
    _charge: Charge,
}

/// A record that may be the response to a request.
pub enum Seen<'a> {
    /// It is none, or none for this request.
    Nothing,
    /// What requests need of it, and the milliseconds since that was made.
    Usable(&'a Usable, u64),
    /// It was read by other rules than these: see [`Entry::record`].
    OtherRules,
}

impl Entry {
    /// The record of an entry of the index, whose head this is. `used`: by it is counted what the worker keeps.
    pub fn new(
        records: &Rc<Records>,
        handle: Handle,
        view: &View,
        kept: &Kept,
        used: &Rc<Cell<usize>>,
    ) -> Entry {
        // The head's own memory isn't kept.
        let key = Bytes::copy_from_slice(&kept.key);
        let variants = kept.variants.as_deref().map(Bytes::copy_from_slice);
        let texts = key.len() + variants.as_ref().map_or(0, Bytes::len);
        Entry {
            records: Rc::clone(records),
            handle,
            used: Cell::new(false),
            key,
            variants,
            head: view.head_len,
            length: view.body_len,
            body: records.spot(handle, view.head_len, view.body_len),
            expires: view.meta,
            log: kept.log,
            judged: Cell::new(kept.log),
            is_soft: Cell::new(false),
            reading: OnceCell::new(),
            family: OnceCell::new(),
            decoded: OnceCell::new(),
            charge: Charge::new(used, size_of::<Entry>() + texts),
        }
    }

    /// The entry.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Its key in the store.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// The number in the store's log of purges up to which none concerns it.
    pub fn log(&self) -> u64 {
        self.log
    }

    /// The number in the log up to which this worker knows what the purges mean for it.
    pub fn judged(&self) -> u64 {
        self.judged.get()
    }

    /// Whether a purge has made it stale.
    pub fn is_soft(&self) -> bool {
        self.is_soft.get()
    }

    /// It was judged up to this number.
    pub fn set_judged(&self, number: u64, is_soft: bool) {
        self.judged.set(number);
        self.is_soft.set(is_soft);
    }

    /// Has the processor fetch what a hit reads, before the first of it is read: most of it isn't in its caches if there are
    /// many records. `hash`: of its key.
    pub fn prefetch(&self, hash: u128) {
        memory::prefetch(self, size_of::<Entry>());
        memory::prefetch(self.key.as_ptr(), self.key.len());
        // A larger one is read by the system alone.
        let copied = self.body.filter(|_| self.length <= COPIED);
        self.records.prefetch(self.handle, hash, copied);
        if let Some(usable) = self.usable() {
            usable.ready.prefetch();
        }
    }

    /// Whether it is the record of this key.
    pub fn is_of(&self, key: &[u8]) -> bool {
        self.key == key
    }

    /// Notes that it is used.
    pub fn note_use(&self) {
        self.used.set(true);
    }

    /// Whether it was used since this was asked before.
    pub fn take_use(&self) -> bool {
        self.used.take()
    }

    /// The key's field `variants`.
    pub fn variants(&self) -> Option<&Bytes> {
        self.variants.as_ref()
    }

    /// What the key says of its variants, in this field.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn base(&self, variants: Bytes) -> Result<Base, Gone> {
        let kept = self.kept()?;
        Ok(Base {
            length: self.length as u64,
            ..Base::of(&kept.record(self.left(exact_msec()), None), variants)
        })
    }

    /// The variants of its key, if that has some and they count.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn family(&self) -> Result<Option<&Family>, Gone> {
        if self.family.get().is_none()
            && let Some(variants) = &self.variants
            && let Some(family) = self.base(variants.clone())?.family()
        {
            let _ = self.family.set(Box::new(family));
        }
        Ok(self.family.get().map(Box::as_ref))
    }

    /// What is left of its expiry, in milliseconds.
    pub fn left(&self, now: u64) -> i64 {
        i64::try_from(self.expires.saturating_sub(now)).unwrap_or(i64::MAX)
    }

    /// What is kept of it beside its body.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn kept(&self) -> Result<Kept, Gone> {
        let head = self.records.copy(self.handle, 0, self.head);
        head.and_then(|head| Kept::decode(&head)).ok_or(Gone)
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
        let body = Some(self.body()?);
        Ok(self.kept()?.record(self.left(exact_msec()), body))
    }

    /// Its body in one piece.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn body(&self) -> Result<Bytes, Gone> {
        self.body_copied_by(|bytes| Some(Bytes::copy_from_slice(bytes)))
    }

    /// The same. `copy`: how a small one is copied.
    fn body_copied_by(&self, copy: impl FnOnce(&[u8]) -> Option<Bytes>) -> Result<Bytes, Gone> {
        let shared = match self.body {
            Some(spot) if self.length <= COPIED => self.records.copy_spot(self.handle, spot, copy),
            Some(spot) => self.records.share_spot(self.handle, spot),
            None => None,
        };
        shared
            .or_else(|| self.records.copy(self.handle, self.head, self.length))
            .ok_or(Gone)
    }

    /// Its body where it lies, or a copy if it is small or can't be kept there. `copy`: how a small one is copied.
    ///
    /// # Errors
    ///
    /// It has left the tier.
    pub fn body_in_place(&self, copy: impl FnOnce(&[u8]) -> Option<Bytes>) -> Result<Body, Gone> {
        if self.body.is_none()
            && let Some(pieces) = self.records.share(self.handle, self.head, self.length)
        {
            return Ok(Body::of(pieces));
        }
        self.body_copied_by(copy).map(Body::from)
    }

    /// The record for a request, if it was read by these rules before, or never.
    ///
    /// # Errors
    ///
    /// It has left the tier, or is no usable record.
    pub fn see(
        &self,
        rules: &Rc<Rules>,
        (from, select): (ReadFrom<'_>, Select<'_>),
        now: u64,
    ) -> Result<Result<Seen<'_>, Broken>, Gone> {
        let reading = match self.reading.get() {
            Some(reading) => reading,
            None => {
                let reading = self.read(rules, now)?;
                self.reading.get_or_init(|| reading)
            }
        };
        if reading.rules != *rules {
            return Ok(Ok(Seen::OtherRules));
        }
        Ok(match &reading.usable {
            Ok(Some(usable)) if usable.is_for(from, select) => {
                Ok(Seen::Usable(usable, now.saturating_sub(reading.at)))
            }
            Ok(_) => Ok(Seen::Nothing),
            Err(broken) => Err(*broken),
        })
    }

    /// What requests need of it, once it was seen.
    pub fn usable(&self) -> Option<&Usable> {
        self.reading.get()?.usable.as_ref().ok()?.as_ref()
    }

    /// All of the record for a request, as it is now.
    ///
    /// # Errors
    ///
    /// It has left the tier, or is no usable record.
    pub fn record(
        &self,
        rules: &Rc<Rules>,
        from: ReadFrom<'_>,
        select: Select<'_>,
    ) -> Result<Result<Option<Rc<Record>>, Broken>, Gone> {
        let now = exact_msec();
        let own;
        let (decoded, later) = match self.see(rules, (from, select), now)? {
            Ok(Seen::Usable(_, later)) => match self.decoded() {
                Some(decoded) => (decoded, later),
                None => return Err(Gone),
            },
            Ok(Seen::Nothing) => return Ok(Ok(None)),
            Ok(Seen::OtherRules) => match self.decode(rules, now)? {
                Ok(Some(decoded)) => {
                    own = decoded;
                    (&own, 0)
                }
                Ok(None) => return Ok(Ok(None)),
                Err(broken) => return Ok(Err(broken)),
            },
            Err(broken) => return Ok(Err(broken)),
        };
        let Some(record) = decoded.for_request(from, select) else {
            return Ok(Ok(None));
        };
        Ok(Ok(Some(Rc::new(record.later(later, self.body()?)))))
    }

    /// The record as it was read first, without its body. `None` if it has left the tier since.
    fn decoded(&self) -> Option<&Decoded> {
        if self.decoded.get().is_none() {
            let Reading { rules, at, .. } = self.reading.get()?;
            let decoded = self.decode(rules, *at).ok()?.ok()??;
            let charge = Charge::new(self.charge.counter(), 2 * self.head);
            let _ = self.decoded.set(Box::new((decoded, charge)));
        }
        self.decoded.get().map(|both| &both.0)
    }

    /// Reads it as it was at a time, in milliseconds.
    fn decode(&self, rules: &Rules, at: u64) -> Result<Result<Option<Decoded>, Broken>, Gone> {
        let raw = self.kept()?.record(self.left(at), None);
        Ok(record::decode_head(&raw, Some(self.length), rules))
    }

    fn read(&self, rules: &Rc<Rules>, now: u64) -> Result<Reading, Gone> {
        let usable = match self.decode(rules, now)? {
            Ok(Some(decoded)) => Usable::of(&decoded).map(Some),
            Ok(None) => Ok(None),
            Err(broken) => Err(broken),
        };
        let bytes = usable
            .as_ref()
            .map_or(0, |usable| usable.as_ref().map_or(0, Usable::bytes));
        Ok(Reading {
            rules: Rc::clone(rules),
            at: now,
            usable,
            _charge: Charge::new(self.charge.counter(), bytes),
        })
    }
}
