//! Why a response came as it came, in one header field for people who look after a site.

use crate::cache_status_field::{integer, string};
use crate::outcome::Outcome;
use crate::vary::VariantId;

/// Who asked the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody, for this response.
    Nobody,
    /// A fill that this request has started.
    Own,
    /// A fill that another request has started; this one got its response as it came.
    Joined,
    /// The same; this one has waited, and got the record.
    Waited,
    /// This request itself, past the cache.
    Past,
}

impl Asked {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "none",
            Self::Own => "own",
            Self::Joined => "joined",
            Self::Waited => "waited",
            Self::Past => "passed",
        }
    }
}

/// What is told.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// What has become of the request.
    pub outcome: Outcome,
    /// Who asked the backend.
    pub asked: Asked,
    /// Age of the record, in seconds.
    pub age: Option<u32>,
    /// What is left of its freshness, in seconds.
    pub ttl: Option<i64>,
    /// The variant that the request asks for, of a key that has some.
    pub variant: Option<VariantId>,
    /// The zone.
    pub zone: Option<&'a str>,
    /// The store.
    pub store: Option<&'a str>,
    /// The server of the store that has the key.
    pub node: Option<&'a str>,
    /// The key.
    pub key: Option<&'a [u8]>,
}

impl Explained<'_> {
    /// The value of the field: parameters as those of Cache-Status (RFC 9211), whose strings are in quotes.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let mut text = b"status=".to_vec();
        text.extend_from_slice(self.outcome.status().as_str().as_bytes());
        if let Some(source) = self.outcome.source() {
            text.extend_from_slice(b"; source=");
            text.extend_from_slice(source.as_str().as_bytes());
        }
        if let Some(reason) = self.outcome.reason() {
            text.extend_from_slice(b"; reason=");
            string(&mut text, reason.as_str().as_bytes());
        }
        text.extend_from_slice(b"; fill=");
        text.extend_from_slice(self.asked.as_str().as_bytes());
        let numbers = [("age", self.age.map(i64::from)), ("ttl", self.ttl)];
        for (name, number) in numbers {
            if let Some(number) = number {
                text.extend_from_slice(format!("; {name}=").as_bytes());
                integer(&mut text, number);
            }
        }
        if let Some(variant) = self.variant {
            text.extend_from_slice(b"; variant=");
            string(&mut text, &variant.to_hex());
        }
        let strings = [
            ("zone", self.zone.map(str::as_bytes)),
            ("store", self.store.map(str::as_bytes)),
            ("node", self.node.map(str::as_bytes)),
            ("key", self.key),
        ];
        for (name, value) in strings {
            if let Some(value) = value {
                text.extend_from_slice(format!("; {name}=").as_bytes());
                string(&mut text, value);
            }
        }
        text
    }
}
