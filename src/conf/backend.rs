//! `redis_cache_backend`: the location that a fill asks.

use bytes::Bytes;

/// Where a fill goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The location's own handler.
    Own,
    /// This URI in front of the request's own.
    Uri(Bytes),
    /// This named location.
    Named(Bytes),
}

impl Backend {
    /// Reads "/uri" or "@name".
    pub fn parse(text: &[u8]) -> Option<Backend> {
        match text.first()? {
            b'/' => Some(Backend::Uri(Bytes::copy_from_slice(text))),
            b'@' if text.len() > 1 => Some(Backend::Named(Bytes::copy_from_slice(text))),
            _ => None,
        }
    }
}
