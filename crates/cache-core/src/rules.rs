//! What the operator allows at one location: the settings by which responses are stored and used.

mod ahead;
mod lists;

use std::borrow::Cow;

use crate::freshness::Heuristic;
use crate::ignore::Ignore;
use crate::use_stale::UseStale;

pub use ahead::Ahead;
pub use lists::{BadList, MethodList, StatusList, items};

/// What the operator allows at one location. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Statuses that may be stored.
    pub statuses: StatusList,
    /// Seconds that a response is fresh where it states nothing.
    pub age: u32,
    /// A guess from Last-Modified, which comes before `age`.
    pub heuristic: Option<Heuristic>,
    /// Seconds past its freshness for which a record may be served.
    pub stale: u32,
    /// Seconds past its freshness for which it may be served where the backend fails. `None`, or less: as long as `stale`.
    pub stale_on_error: Option<u32>,
    /// Fields that decide nothing.
    pub ignore: Ignore,
    /// What becomes of responses with Set-Cookie.
    pub set_cookie: SetCookie,
    /// Largest body that is stored, in bytes.
    pub max_size: u64,
    /// When a stale record stands in for the backend.
    pub use_stale: UseStale,
    /// Whether the backend is asked to confirm a record (RFC 9111 4.3) instead of sending it again.
    pub revalidate: bool,
    /// When a fresh record is refilled that is asked for. `None`: never.
    pub ahead: Option<Ahead>,
    /// How many variants a key may have.
    pub variants: usize,
}

impl Rules {
    /// Seconds that a record is kept past its freshness.
    #[must_use]
    pub fn kept(&self) -> u32 {
        self.stale_on_error
            .map_or(self.stale, |longer| longer.max(self.stale))
    }

    /// The rules where further fields aren't heeded.
    #[must_use]
    pub fn ignoring(&self, more: Ignore) -> Cow<'_, Self> {
        let ignore = self.ignore | more;
        if ignore == self.ignore {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            ignore,
            ..self.clone()
        })
    }
}

impl Default for Rules {
    /// The defaults of the directives.
    fn default() -> Self {
        Self {
            statuses: StatusList::default(),
            age: 120,
            heuristic: None,
            stale: 100,
            stale_on_error: None,
            ignore: Ignore::NONE,
            set_cookie: SetCookie::Off,
            max_size: 8 << 20,
            use_stale: UseStale::default(),
            revalidate: true,
            ahead: None,
            variants: 16,
        }
    }
}

/// `redis_cache_set_cookie`: whether a response that sets a cookie is stored, cookie and all (RFC 9111 7.3
/// leaves it to Cache-Control; most backends that set one don't think of caches).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// Never.
    #[default]
    Off,
    /// If it says by `public` or `s-maxage` that it is for everybody.
    Public,
}
