//! When a record past its freshness may stand in for the backend: `redis_cache_use_stale`.

use std::fmt;
use std::ops::BitOr;

/// What went wrong when the backend was asked about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection, or one that broke, or a response that is no HTTP: nginx answers 502 to all of them.
    Error,
    /// No response in time: nginx answers 504.
    Timeout,
    /// The backend answered with this status.
    Status(u16),
}

impl Failure {
    /// Reads the failure, if it is one, from a response. `generated`: nginx made the response in want of one
    /// of the backend.
    #[must_use]
    pub const fn of(status: u16, generated: bool) -> Option<Self> {
        match (status, generated) {
            (504, true) => Some(Self::Timeout),
            // A response without a header has no status.
            (502, true) | (0, _) => Some(Self::Error),
            (403 | 404 | 429 | 500..=599, _) => Some(Self::Status(status)),
            _ => None,
        }
    }

    /// The failure as a number other than 0, for shared memory.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Error => 1,
            Self::Timeout => 2,
            Self::Status(status) => status as u32,
        }
    }

    /// What [`Failure::code`] gave.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::Error),
            2 => Some(Self::Timeout),
            status => u16::try_from(status).ok().map(Self::Status),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("no answer"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

/// The cases in which a stale record may be served. Sets are joined by `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseStale(u16);

/// The names that nginx's users know from `proxy_cache_use_stale`, and `http_5xx` for all of 500 to 599.
const NAMES: [(&[u8], UseStale); 12] = [
    (b"error", UseStale::ERROR),
    (b"timeout", UseStale::TIMEOUT),
    (b"invalid_header", UseStale::INVALID_HEADER),
    (b"updating", UseStale::UPDATING),
    (b"http_500", UseStale::HTTP_500),
    (b"http_502", UseStale::HTTP_502),
    (b"http_503", UseStale::HTTP_503),
    (b"http_504", UseStale::HTTP_504),
    (b"http_403", UseStale::HTTP_403),
    (b"http_404", UseStale::HTTP_404),
    (b"http_429", UseStale::HTTP_429),
    (b"http_5xx", UseStale::HTTP_5XX),
];

impl UseStale {
    /// Never.
    pub const NONE: Self = Self(0);
    /// No connection, or one that broke.
    pub const ERROR: Self = Self(1);
    /// No response in time.
    pub const TIMEOUT: Self = Self(1 << 1);
    /// A response that is no HTTP. nginx doesn't tell it from [`UseStale::ERROR`].
    pub const INVALID_HEADER: Self = Self(1 << 2);
    /// While the record is being refilled.
    pub const UPDATING: Self = Self(1 << 3);
    /// Status 500.
    pub const HTTP_500: Self = Self(1 << 4);
    /// Status 502 of the backend.
    pub const HTTP_502: Self = Self(1 << 5);
    /// Status 503.
    pub const HTTP_503: Self = Self(1 << 6);
    /// Status 504 of the backend.
    pub const HTTP_504: Self = Self(1 << 7);
    /// Status 403.
    pub const HTTP_403: Self = Self(1 << 8);
    /// Status 404.
    pub const HTTP_404: Self = Self(1 << 9);
    /// Status 429.
    pub const HTTP_429: Self = Self(1 << 10);
    /// Any status from 500 to 599.
    pub const HTTP_5XX: Self = Self(1 << 11);
    /// What stale-if-error speaks of (RFC 5861 4): "500, 502, 503 or 504", and no response at all.
    pub const STALE_IF_ERROR: Self = Self(
        Self::ERROR.0
            | Self::TIMEOUT.0
            | Self::INVALID_HEADER.0
            | Self::HTTP_500.0
            | Self::HTTP_502.0
            | Self::HTTP_503.0
            | Self::HTTP_504.0,
    );

    /// The set of one name; `None` if it is none. "off" is no name: it is the empty set, alone.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, set)| *set)
    }

    /// Whether all cases of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the record may be served because of this failure.
    #[must_use]
    pub const fn allows(self, failure: Failure) -> bool {
        let cases = match failure {
            Failure::Error => Self::ERROR.0 | Self::INVALID_HEADER.0,
            Failure::Timeout => Self::TIMEOUT.0,
            Failure::Status(403) => Self::HTTP_403.0,
            Failure::Status(404) => Self::HTTP_404.0,
            Failure::Status(429) => Self::HTTP_429.0,
            Failure::Status(500) => Self::HTTP_500.0 | Self::HTTP_5XX.0,
            Failure::Status(502) => Self::HTTP_502.0 | Self::HTTP_5XX.0,
            Failure::Status(503) => Self::HTTP_503.0 | Self::HTTP_5XX.0,
            Failure::Status(504) => Self::HTTP_504.0 | Self::HTTP_5XX.0,
            Failure::Status(500..=599) => Self::HTTP_5XX.0,
            Failure::Status(_) => 0,
        };
        self.0 & cases != 0
    }
}

impl Default for UseStale {
    /// `error timeout invalid_header http_5xx updating`, the way of the Lua script.
    fn default() -> Self {
        Self::ERROR | Self::TIMEOUT | Self::INVALID_HEADER | Self::HTTP_5XX | Self::UPDATING
    }
}

impl BitOr for UseStale {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_failure_or_not() {
        let cases = [
            (200, false, None),
            (304, false, None),
            (403, false, Some(Failure::Status(403))),
            (410, false, None),
            (502, false, Some(Failure::Status(502))),
            (502, true, Some(Failure::Error)),
            (504, true, Some(Failure::Timeout)),
            (504, false, Some(Failure::Status(504))),
            (599, false, Some(Failure::Status(599))),
        ];
        for (status, generated, wanted) in cases {
            assert_eq!(Failure::of(status, generated), wanted, "{status}");
            let code = wanted.map_or(0, Failure::code);
            assert_eq!(Failure::from_code(code), wanted, "{status}");
        }
    }

    #[test]
    fn names_allow_what_they_say() {
        let cases: [(&[u8], &[Failure]); 9] = [
            (b"error", &[Failure::Error]),
            (b"timeout", &[Failure::Timeout]),
            (b"invalid_header", &[Failure::Error]),
            (b"updating", &[]),
            (b"http_500", &[Failure::Status(500)]),
            (b"http_503", &[Failure::Status(503)]),
            (b"http_404", &[Failure::Status(404)]),
            (
                b"http_5xx",
                &[
                    Failure::Status(500),
                    Failure::Status(503),
                    Failure::Status(520),
                ],
            ),
            (b"http_429", &[Failure::Status(429)]),
        ];
        let all = [
            Failure::Error,
            Failure::Timeout,
            Failure::Status(403),
            Failure::Status(404),
            Failure::Status(429),
            Failure::Status(500),
            Failure::Status(503),
            Failure::Status(520),
        ];
        for (name, allowed) in cases {
            let set = UseStale::named(name).unwrap_or(UseStale::NONE);
            for failure in all {
                assert_eq!(
                    set.allows(failure),
                    allowed.contains(&failure),
                    "{} and {failure}",
                    String::from_utf8_lossy(name)
                );
            }
        }
        assert_eq!(UseStale::named(b"off"), None);
        assert_eq!(UseStale::named(b"HTTP_500"), None);
    }

    #[test]
    fn the_default_is_the_way_of_the_script() {
        let set = UseStale::default();
        assert!(set.contains(UseStale::UPDATING));
        assert!(set.allows(Failure::Error) && set.allows(Failure::Status(599)));
        assert!(!set.allows(Failure::Status(404)));
        assert!(!UseStale::NONE.allows(Failure::Error));
    }
}
