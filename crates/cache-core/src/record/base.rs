//! What the hash under a key says of the key's variants.

use bytes::Bytes;

use super::hash::RawRecord;
use super::meta::parse_meta;
use crate::vary::Family;

/// What the hash under a key says of its variants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// Reply of PTTL.
    pub pttl: i64,
    /// Field [`super::STATUS_FIELD`].
    pub status: Option<Bytes>,
    /// Field [`super::HEADERS_FIELD`].
    pub headers: Option<Bytes>,
    /// Field [`super::META_FIELD`].
    pub meta: Option<Bytes>,
    /// Field [`super::VARIANTS_FIELD`].
    pub variants: Option<Bytes>,
    /// Length of the field [`super::BODY_FIELD`], 0 without it.
    pub length: u64,
}

impl Base {
    /// The same of a record as read, beside which the field [`super::VARIANTS_FIELD`] says this.
    #[must_use]
    pub fn of(record: &RawRecord, variants: Bytes) -> Self {
        Self {
            pttl: record.pttl,
            status: record.status.clone(),
            headers: record.headers.clone(),
            meta: record.meta.clone(),
            variants: Some(variants),
            length: record.body.as_ref().map_or(0, |body| body.len() as u64),
        }
    }

    /// The variants of the key. `None` if the record isn't the one that the field was written with: the Lua
    /// script leaves the field when it writes over the rest.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        let variants = self.variants.as_ref()?;
        let meta = parse_meta(self.meta.as_ref()?)?;
        let tie = meta.tie.as_ref().filter(|tie| tie.slot == 0)?;
        let (status, headers) = (self.status.as_ref()?, self.headers.as_ref()?);
        if self.pttl < 0 || !meta.belongs_to(self.pttl, status, headers, self.length) {
            return None;
        }
        Family::parse(variants)
            .filter(|family| family.token == tie.family && family.ids.first() == Some(&tie.id))
    }
}
