//! What is kept of a record in memory beside its body: its key and the texts that were read, in one string of bytes.

use bytes::Bytes;

use super::hash::RawRecord;

/// Lengths before the texts.
const FIELDS: usize = 6;

/// Bytes of a length.
const LENGTH: usize = size_of::<u32>();

/// Bytes before the texts: their lengths, and the number of the log.
const HEAD: usize = FIELDS * LENGTH + size_of::<u64>();

/// The length of a text that there isn't.
const NONE: u32 = u32::MAX;

/// A record that is kept, without its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its key in Redis.
    pub key: Bytes,
    /// Field [`super::STATUS_FIELD`].
    pub status: Option<Bytes>,
    /// Field [`super::HEADERS_FIELD`].
    pub headers: Option<Bytes>,
    /// Field [`super::META_FIELD`].
    pub meta: Option<Bytes>,
    /// Field [`super::VARIANTS_FIELD`].
    pub variants: Option<Bytes>,
    /// Field [`super::LABELS_FIELD`].
    pub labels: Option<Bytes>,
    /// The number in the store's log of purges up to which none concerns it.
    pub log: u64,
}

impl Kept {
    /// What is kept of a record that was read, with its fields [`super::VARIANTS_FIELD`] and [`super::LABELS_FIELD`].
    #[must_use]
    pub fn of(
        key: Bytes,
        record: &RawRecord,
        (variants, labels): (Option<Bytes>, Option<Bytes>),
        log: u64,
    ) -> Self {
        Self {
            key,
            status: record.status.clone(),
            headers: record.headers.clone(),
            meta: record.meta.clone(),
            variants,
            labels,
            log,
        }
    }

    /// The record as it was read, with this body and what is left of its expiry, in milliseconds.
    #[must_use]
    pub fn record(&self, pttl: i64, body: Option<Bytes>) -> RawRecord {
        RawRecord {
            pttl,
            status: self.status.clone(),
            headers: self.headers.clone(),
            body,
            meta: self.meta.clone(),
        }
    }

    /// The bytes. `None` if a text is too long for that.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let texts = [
            Some(&self.key),
            self.status.as_ref(),
            self.headers.as_ref(),
            self.meta.as_ref(),
            self.variants.as_ref(),
            self.labels.as_ref(),
        ];
        let whole: usize = texts.iter().flatten().map(|text| text.len()).sum();
        let mut out = Vec::with_capacity(HEAD + whole);
        for text in texts {
            let length = match text {
                Some(text) => u32::try_from(text.len()).ok().filter(|n| *n != NONE)?,
                None => NONE,
            };
            out.extend_from_slice(&length.to_ne_bytes());
        }
        out.extend_from_slice(&self.log.to_ne_bytes());
        for text in texts.into_iter().flatten() {
            out.extend_from_slice(text);
        }
        Some(out)
    }

    /// Reads the bytes, which its texts share. `None` if they are none that [`Kept::encode`] has made.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (head, _) = bytes.split_at_checked(HEAD)?;
        let (lengths, log) = head.split_at_checked(FIELDS * LENGTH)?;
        let mut lengths = lengths.chunks_exact(LENGTH);
        let mut begin = HEAD;
        let mut next = || {
            let length = u32::from_ne_bytes(lengths.next()?.try_into().ok()?);
            if length == NONE {
                return Some(None);
            }
            let end = begin.checked_add(usize::try_from(length).ok()?)?;
            bytes.get(begin..end)?;
            let text = bytes.slice(begin..end);
            begin = end;
            Some(Some(text))
        };
        let kept = Self {
            key: next()??,
            status: next()?,
            headers: next()?,
            meta: next()?,
            variants: next()?,
            labels: next()?,
            log: u64::from_ne_bytes(log.try_into().ok()?),
        };
        (begin == bytes.len()).then_some(kept)
    }
}
