//! Which codings a client accepts (RFC 9110 12.5.3).

use super::ContentCoding;
use crate::headers::trim_ows;
use crate::vary::weight;

/// What Accept-Encoding says of the forms of a record: weights in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Of gzip; 0: it isn't accepted.
    gzip: u16,
    /// Of zstd.
    zstd: u16,
    /// Of identity, where it is named; 0: it is refused. `None`: it isn't named, and is accepted if nothing else is.
    identity: Option<u16>,
}

/// The least weights that are stated for a coding: in doubt it is accepted less.
#[derive(Default)]
struct Weights {
    gzip: Option<u16>,
    zstd: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Accepted {
    /// A client that gets identity, whatever it says. HTTP/1.0 has no Vary: a cache of it would give the coded form to everybody
    /// (nginx's `gzip_http_version` is 1.1).
    pub const IDENTITY: Self = Self {
        gzip: 0,
        zstd: 0,
        identity: None,
    };

    /// Reads the lines of Accept-Encoding. Without one any coding is acceptable, but a client that can decode one says so: others get
    /// identity, as of nginx.
    #[must_use]
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut weights = Weights::default();
        let members = lines.flat_map(|line| line.split(|&b| b == b','));
        for member in members.map(trim_ows).filter(|member| !member.is_empty()) {
            weights.add(member);
        }
        Self {
            gzip: weights.gzip.or(weights.others).unwrap_or(0),
            zstd: weights.zstd.or(weights.others).unwrap_or(0),
            // `*` doesn't make it preferred, but may refuse it.
            identity: weights.identity.or(weights.others.filter(|&q| q == 0)),
        }
    }

    /// Whether it accepts a coding and doesn't prefer identity to it.
    #[must_use]
    pub fn prefers(self, coding: ContentCoding) -> bool {
        let weight = match coding {
            ContentCoding::Gzip => self.gzip,
            ContentCoding::Zstd => self.zstd,
        };
        weight > 0 && self.identity.is_none_or(|identity| weight >= identity)
    }

    /// Whether identity is acceptable.
    #[must_use]
    pub fn takes_identity(self) -> bool {
        self.identity != Some(0)
    }
}

impl Weights {
    fn add(&mut self, member: &[u8]) {
        let mut parts = member.splitn(2, |&b| b == b';').map(trim_ows);
        let name = parts.next().unwrap_or_default();
        // x-gzip is the same (RFC 9110 8.4.1.3).
        let is = |coding: &[u8]| name.eq_ignore_ascii_case(coding);
        let place = if is(b"gzip") || is(b"x-gzip") {
            &mut self.gzip
        } else if is(b"zstd") {
            &mut self.zstd
        } else if is(b"identity") {
            &mut self.identity
        } else if is(b"*") {
            &mut self.others
        } else {
            return;
        };
        // What isn't a weight is none that accepts anything.
        let weight = parts.next().map_or(1000, |text| weight(text).unwrap_or(0));
        *place = Some(place.map_or(weight, |least| least.min(weight)));
    }
}
