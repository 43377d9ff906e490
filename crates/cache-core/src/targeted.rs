//! Which field says how this cache is to treat a response: one that is meant for it (RFC 9213,
//! Surrogate-Control), else Cache-Control.

use crate::cache_control::{self, CacheControl, Directive, Elements};
use crate::headers::Headers;
use crate::ignore::Ignore;

mod dictionary;

/// The field that governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// X-Accel-Expires: what other fields say of lifetime, and against storing, doesn't count.
    AccelExpires,
    /// CDN-Cache-Control (RFC 9213 3.1).
    CdnCacheControl,
    /// Surrogate-Control (Edge Architecture Specification 1.0).
    SurrogateControl,
    /// Cache-Control, and beside it Expires.
    CacheControl,
}

/// What the governing field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governing {
    /// Which it is.
    pub by: By,
    /// What it says. Nothing where Cache-Control governs and is ignored.
    pub says: CacheControl,
}

/// The first of CDN-Cache-Control, Surrogate-Control and Cache-Control that says something, is valid and
/// isn't ignored. The others, and Expires beside the first two, then say nothing (RFC 9213 2.2).
#[must_use]
pub fn governing(headers: &Headers, ignore: Ignore) -> Governing {
    if !ignore.cdn_cache_control
        && let Some(says) = dictionary::read(headers.get_all("CDN-Cache-Control"))
    {
        return Governing {
            by: By::CdnCacheControl,
            says,
        };
    }
    if !ignore.surrogate_control
        && let Some(says) = surrogate(headers.get_all("Surrogate-Control"))
    {
        return Governing {
            by: By::SurrogateControl,
            says,
        };
    }
    let says = if ignore.cache_control {
        CacheControl::default()
    } else {
        cache_control::parse(headers.get_all("Cache-Control"))
    };
    Governing {
        by: By::CacheControl,
        says,
    }
}

/// What governs a response or a record: X-Accel-Expires, if `accel_expires` says so, over what [`governing`] finds.
pub(crate) fn governing_over(headers: &Headers, accel_expires: bool, ignore: Ignore) -> Governing {
    let governing = governing(headers, ignore);
    if accel_expires {
        governing.under_accel_expires()
    } else {
        governing
    }
}

impl Governing {
    /// As it is beside an X-Accel-Expires: the backend has told nginx itself to cache the response, so
    /// nothing that was said to all caches is in the way. What must not be done with a stale record stays.
    #[must_use]
    pub fn under_accel_expires(self) -> Self {
        Self {
            by: By::AccelExpires,
            says: CacheControl {
                no_store: false,
                no_cache: false,
                no_cache_fields: Vec::new(),
                private: false,
                private_fields: Vec::new(),
                must_understand: false,
                ..self.says
            },
        }
    }
}

/// Reads Surrogate-Control: `no-store` and `max-age=SECONDS[+SECONDS]`, the second of which is how long
/// past its freshness a response may be used. A directive with a parameter is meant for a surrogate of that
/// name, hence for somebody else. `None` if nothing is said on storing, or nothing that can be read: then
/// Cache-Control says it.
fn surrogate<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<CacheControl> {
    let mut found = CacheControl::default();
    for element in lines.flat_map(Elements::of) {
        if element.contains(&b';') {
            continue;
        }
        let directive = Directive::of(element);
        if directive.name.eq_ignore_ascii_case(b"no-store") {
            found.no_store = true;
        } else if directive.name.eq_ignore_ascii_case(b"max-age") {
            let (fresh, stale) = directive.split_argument(b'+')?;
            cache_control::shorten(&mut found.max_age, fresh);
            if let Some(stale) = stale {
                cache_control::shorten(&mut found.stale_while_revalidate, stale);
                cache_control::shorten(&mut found.stale_if_error, stale);
            }
        }
    }
    (found.no_store || found.max_age.is_some()).then_some(found)
}
