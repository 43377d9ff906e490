//! What a record can be selected by: its site, its URI, its tags and groups.

use bytes::Bytes;

use super::digest::Digest;
use super::uri::normalised;

const VERSION: &[u8] = b"1";

/// What stands for no host.
const NO_HOST: &[u8] = b"-";

/// Scheme, host and port of a request (RFC 9110 4.3.1), as far as the host is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The scheme is `https`.
    pub https: bool,
    /// In lower case. Empty if the request names none.
    pub host: Vec<u8>,
    /// The port, also where it is the scheme's own.
    pub port: u16,
}

impl Site {
    /// A site. `port`: `None` for the scheme's own. `None` if the host is no name: it has blanks, controls or bytes that
    /// aren't ASCII.
    #[must_use]
    pub fn new(https: bool, host: &[u8], port: Option<u16>) -> Option<Self> {
        let is_name = host.iter().all(u8::is_ascii_graphic) && host != NO_HOST;
        is_name.then(|| Self {
            https,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(if https { 443 } else { 80 }),
        })
    }

    /// Its text: `<scheme> <host> <port>`.
    #[must_use]
    pub fn text(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let host = String::from_utf8_lossy(if self.host.is_empty() {
            NO_HOST
        } else {
            &self.host
        });
        format!("{scheme} {host} {}", self.port)
    }

    /// Reads three words of a text.
    pub(super) fn parse<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let https = match words.next()? {
            b"https" => true,
            b"http" => false,
            _ => return None,
        };
        let host = words.next().filter(|host| !host.is_empty())?;
        let port = std::str::from_utf8(words.next()?).ok()?;
        if host == NO_HOST {
            return Self::new(https, b"", port.parse().ok());
        }
        Self::new(https, host, Some(port.parse().ok()?))
    }
}

/// What a record can be selected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Whose it is.
    pub site: Site,
    /// Path and query in one form; see [`Labels::new`].
    pub uri: Bytes,
    /// Tags and groups.
    pub digests: Vec<Digest>,
}

impl Labels {
    /// The labels of a response to a request for this target of a site. `None` if the target is no path: such a record counts
    /// as selected by any purge.
    #[must_use]
    pub fn new(site: Site, target: &[u8], digests: Vec<Digest>) -> Option<Self> {
        Some(Self {
            site,
            uri: normalised(target)?.into(),
            digests,
        })
    }

    /// Writes the field `labels`: `1 <scheme> <host> <port> <uri> <digest> <digest> ...`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(48 + self.uri.len() + self.digests.len() * 17);
        text.extend_from_slice(VERSION);
        text.push(b' ');
        text.extend_from_slice(self.site.text().as_bytes());
        text.push(b' ');
        text.extend_from_slice(&self.uri);
        for digest in &self.digests {
            text.push(b' ');
            text.extend_from_slice(digest.to_string().as_bytes());
        }
        text
    }

    /// Reads the field. `None` for another version or a text that isn't one.
    #[must_use]
    pub fn parse(text: &Bytes) -> Option<Self> {
        let mut words = text.split(|byte| *byte == b' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let site = Site::parse(words.by_ref().take(3))?;
        let uri = words.next().filter(|uri| uri.first() == Some(&b'/'))?;
        let digests = words.map(Digest::parse).collect::<Option<_>>()?;
        Some(Self {
            site,
            uri: text.slice_ref(uri),
            digests,
        })
    }
}
