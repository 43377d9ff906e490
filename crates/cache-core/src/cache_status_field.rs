//! The Cache-Status header field (RFC 9211): one member of a Structured Fields list (RFC 8941).

use crate::outcome::{CacheStatus, Reason};

/// The name of the field.
pub const NAME: &str = "Cache-Status";

/// The name of a cache, ready to be sent: a token where it is one, else a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheName(Box<[u8]>);

impl CacheName {
    /// `None` for a name that neither a token nor a string can hold: empty, or not printable ASCII.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        if is_token(name) {
            return Some(Self(name.into()));
        }
        let printable = name.iter().all(|b| matches!(b, b' '..=b'~'));
        (printable && !name.is_empty()).then(|| {
            let mut text = Vec::new();
            string(&mut text, name);
            Self(text.into())
        })
    }
}

/// Why a request went to the backend (RFC 9211 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The cache was configured to not handle this request.
    Bypass,
    /// The request method's semantics require the request to be forwarded.
    Method,
    /// The cache did not contain any responses that matched the request URI.
    UriMiss,
    /// The cache contained a response that matched the request URI, but could not select a response based upon its
    /// header fields.
    VaryMiss,
    /// The cache did not contain any responses that could be used, or it can't tell.
    Miss,
    /// The cache was able to select a fresh response, but the request's semantics did not allow its use.
    Request,
    /// The cache was able to select a response, but it was stale.
    Stale,
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }

    /// Why a request of this outcome was forwarded. `None` if it wasn't.
    #[must_use]
    pub const fn of(status: CacheStatus, reason: Reason) -> Option<Self> {
        match (status, reason) {
            (_, Reason::Subscribed) => Some(Self::UriMiss),
            (_, Reason::OnlyIfCached | Reason::StoreRequired) => None,
            (
                CacheStatus::Hit | CacheStatus::Stale | CacheStatus::Updating | CacheStatus::Purge,
                _,
            ) => None,
            (CacheStatus::Bypass, Reason::MethodNotListed) => Some(Self::Method),
            (CacheStatus::Bypass, _) | (_, Reason::NotConfigured) => Some(Self::Bypass),
            (CacheStatus::Expired | CacheStatus::Revalidated, _) => Some(Self::Stale),
            // The store wasn't asked, or had nothing to say.
            (
                CacheStatus::Miss,
                Reason::StoreUnavailable | Reason::WrongType | Reason::NoMemory,
            ) => Some(Self::Miss),
            (CacheStatus::Miss, _) => Some(Self::UriMiss),
        }
    }
}

/// What a request got to know of those that were on the way already (RFC 9211 2.6).
#[must_use]
pub const fn collapsed(reason: Reason) -> Option<bool> {
    match reason {
        Reason::Subscribed => Some(true),
        // It waited, and went all the same.
        Reason::WaitersReleased | Reason::LockTimeout => Some(false),
        _ => None,
    }
}

/// What the cache did for one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member<'a> {
    /// Why the request was forwarded; `None` is a hit, or a response of the cache's own.
    pub forward: Option<Forward>,
    /// The response is neither a stored one nor the backend's.
    pub own: bool,
    /// The status of the backend's response, where that is known.
    pub forward_status: Option<u16>,
    /// What is left of the freshness of the response, in seconds.
    pub ttl: Option<i64>,
    /// The response is being stored.
    pub stored: bool,
    /// The request was put together with others: tried with success or without.
    pub collapsed: Option<bool>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// More for people.
    pub detail: Option<&'a str>,
}

impl Member<'_> {
    /// The value of the field.
    #[must_use]
    pub fn value(&self, name: &CacheName) -> Vec<u8> {
        let mut text = name.0.to_vec();
        match self.forward {
            None if self.own => {}
            None => text.extend_from_slice(b"; hit"),
            Some(forward) => {
                text.extend_from_slice(b"; fwd=");
                text.extend_from_slice(forward.as_str().as_bytes());
                if let Some(status) = self.forward_status {
                    text.extend_from_slice(b"; fwd-status=");
                    integer(&mut text, status.into());
                }
            }
        }
        if let Some(ttl) = self.ttl {
            text.extend_from_slice(b"; ttl=");
            integer(&mut text, ttl);
        }
        // Both have a meaning only with fwd (2.5, 2.6).
        if self.forward.is_some() {
            if self.stored {
                text.extend_from_slice(b"; stored");
            }
            text.extend_from_slice(match self.collapsed {
                Some(true) => b"; collapsed",
                Some(false) => b"; collapsed=?0",
                None => b"",
            });
        }
        if let Some(key) = self.key {
            text.extend_from_slice(b"; key=");
            string(&mut text, key);
        }
        if let Some(detail) = self.detail {
            text.extend_from_slice(b"; detail=");
            string(&mut text, detail.as_bytes());
        }
        text
    }
}

/// RFC 8941 3.3.4.
fn is_token(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'*' | b'A'..=b'Z' | b'a'..=b'z'))
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(b))
}

/// RFC 8941 4.1.4: at most fifteen digits.
pub(crate) fn integer(text: &mut Vec<u8>, value: i64) {
    const MOST: i64 = 999_999_999_999_999;
    let mut decimal = itoa::Buffer::new();
    let value = decimal.format(value.clamp(-MOST, MOST));
    text.extend_from_slice(value.as_bytes());
}

/// RFC 8941 4.1.6: printable ASCII; other bytes are percent-encoded.
pub(crate) fn string(text: &mut Vec<u8>, value: &[u8]) {
    text.push(b'"');
    for &byte in value {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => text.push(byte),
            _ => {
                text.push(b'%');
                text.extend_from_slice(&crate::hex::upper(byte));
            }
        }
    }
    text.push(b'"');
}
