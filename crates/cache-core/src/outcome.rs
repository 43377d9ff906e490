//! What happened to a request, in the words that users read: header, variable, log.

mod reason;

use std::fmt;

pub use reason::Reason;

/// Value of the response header named by `redis_cache_header`: the words of the Lua script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Answered from a fresh record, or from the fill of another request.
    Hit,
    /// Answered from a record past its freshness.
    Stale,
    /// Answered by the backend, and being stored.
    Store,
    /// Answered by the backend, not stored.
    Skip,
}

impl Word {
    /// The word as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Stale => "STALE",
            Self::Store => "STORE",
            Self::Skip => "SKIP",
        }
    }
}

/// Value of `$redis_cache_status`: the words of `$upstream_cache_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheStatus {
    /// A fresh record, or the fill of another request.
    Hit,
    /// No record.
    Miss,
    /// The record wasn't looked up.
    Bypass,
    /// The record was too old; the response comes from the backend.
    Expired,
    /// A record past its freshness, because the backend is slow, failed, or not asked yet.
    Stale,
    /// A record past its freshness while somebody refills it.
    Updating,
    /// A record that the backend confirmed by 304.
    Revalidated,
    /// The request asked for a purge.
    Purge,
}

impl CacheStatus {
    /// All that there are, each at its own place.
    pub const ALL: [Self; 8] = [
        Self::Hit,
        Self::Miss,
        Self::Bypass,
        Self::Expired,
        Self::Stale,
        Self::Updating,
        Self::Revalidated,
        Self::Purge,
    ];

    /// The word as a value of a label, and in JSON.
    #[must_use]
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Expired => "expired",
            Self::Stale => "stale",
            Self::Updating => "updating",
            Self::Revalidated => "revalidated",
            Self::Purge => "purge",
        }
    }

    /// The word as logged.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Bypass => "BYPASS",
            Self::Expired => "EXPIRED",
            Self::Stale => "STALE",
            Self::Updating => "UPDATING",
            Self::Revalidated => "REVALIDATED",
            Self::Purge => "PURGE",
        }
    }
}

/// Where a response comes from: value of `$redis_cache_source`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// The memory tier.
    Memory,
    /// The store.
    Store,
    /// The backend.
    #[default]
    Backend,
}

impl Source {
    /// The word as logged.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Store => "store",
            Self::Backend => "backend",
        }
    }
}

/// How a request is answered, and why so. The header that `$cache_header` names, Cache-Status, the variables, the log and the
/// counters are made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    word: Option<Word>,
    status: CacheStatus,
    reason: Option<Reason>,
    source: Source,
}

impl Outcome {
    const fn new(word: Word, status: CacheStatus, reason: Reason, source: Source) -> Self {
        Self {
            word: Some(word),
            status,
            reason: Some(reason),
            source,
        }
    }

    /// A fresh record is the response.
    #[must_use]
    pub const fn fresh(source: Source) -> Self {
        Self::new(Word::Hit, CacheStatus::Hit, Reason::Fresh, source)
    }

    /// A stale record is the response, and this request starts its refill.
    #[must_use]
    pub const fn stale(source: Source) -> Self {
        Self::new(Word::Stale, CacheStatus::Stale, Reason::Stale, source)
    }

    /// A stale record is the response, and a refill is running already, or none can.
    #[must_use]
    pub const fn updating(source: Source) -> Self {
        Self::new(Word::Stale, CacheStatus::Updating, Reason::Updating, source)
    }

    /// A stale record is the response, because the backend fails.
    #[must_use]
    pub const fn in_place_of_failure(source: Source) -> Self {
        Self::new(
            Word::Stale,
            CacheStatus::Stale,
            Reason::BackendFailed,
            source,
        )
    }

    /// The response is that of a fill that this request starts: because of this status; with this reason it is known already
    /// not to be stored.
    #[must_use]
    pub const fn filled(status: CacheStatus, known: Option<Reason>) -> Self {
        match known {
            None => Self::new(Word::Store, status, Reason::Storing, Source::Backend),
            Some(reason) => Self::new(Word::Skip, status, reason, Source::Backend),
        }
    }

    /// The response is that of another request's fill, which is stored or isn't.
    #[must_use]
    pub const fn joined(stored: bool) -> Self {
        if stored {
            let (word, status) = (Word::Hit, CacheStatus::Hit);
            return Self::new(word, status, Reason::Subscribed, Source::Backend);
        }
        let (word, status) = (Word::Skip, CacheStatus::Miss);
        Self::new(word, status, Reason::StoreUnavailable, Source::Backend)
    }

    /// The backend has confirmed a record, which is the response: `own`, this request's fill has asked it.
    #[must_use]
    pub const fn confirmed(own: bool, source: Source) -> Self {
        let (status, reason) = if own {
            (CacheStatus::Revalidated, Reason::Revalidated)
        } else {
            (CacheStatus::Hit, Reason::Subscribed)
        };
        Self::new(Word::Hit, status, reason, source)
    }

    /// The same request, whose response turns out not to be stored.
    #[must_use]
    pub const fn not_stored(self, reason: Reason) -> Self {
        Self::new(Word::Skip, self.status, reason, Source::Backend)
    }

    /// The same request before its header goes, whose fill may have ended by then. A response that a fill couldn't keep isn't
    /// being stored any more. What the store says of it comes later than most headers, and counts at the end alone.
    #[must_use]
    pub const fn after_fill(self, ended: Option<Reason>) -> Self {
        match (self.word, ended) {
            (
                Some(Word::Store),
                Some(
                    reason @ (Reason::Truncated
                    | Reason::TooLarge
                    | Reason::CaptureMemory
                    | Reason::CaptureTimeout),
                ),
            ) => self.not_stored(reason),
            _ => self,
        }
    }

    /// The response is the backend's in the client's own request, past the cache; or the cache's own, where the backend isn't to
    /// be asked.
    #[must_use]
    pub const fn passed(reason: Reason) -> Self {
        let status = match reason {
            Reason::MethodNotListed
            | Reason::Content
            | Reason::ContentUnknown
            | Reason::Slice
            | Reason::Bypass
            | Reason::Upgrade => CacheStatus::Bypass,
            _ => CacheStatus::Miss,
        };
        Self::new(Word::Skip, status, reason, Source::Backend)
    }

    /// The request asks for a purge, and the cache itself answers.
    #[must_use]
    pub const fn purge() -> Self {
        Self {
            word: None,
            status: CacheStatus::Purge,
            reason: None,
            source: Source::Backend,
        }
    }

    /// The word of the Lua script. `None`: the request asks for a purge.
    #[must_use]
    pub const fn word(&self) -> Option<Word> {
        self.word
    }

    /// The value of `$redis_cache_status`.
    #[must_use]
    pub const fn status(&self) -> CacheStatus {
        self.status
    }

    /// Why the request was answered so, whatever has become of its fill since.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The value of `$redis_cache_source`. `None`: the response is the cache's own.
    #[must_use]
    pub const fn source(&self) -> Option<Source> {
        match (self.word, self.reason) {
            (None, _) | (_, Some(Reason::OnlyIfCached | Reason::StoreRequired)) => None,
            _ => Some(self.source),
        }
    }

    /// Whether the memory tier has answered.
    #[must_use]
    pub const fn is_from_memory(&self) -> bool {
        // Nothing of the cache's own has this source.
        matches!(self.source, Source::Memory)
    }

    /// The value of `$redis_cache_reason`: what has become of the request's fill says more, if that is known.
    #[must_use]
    pub const fn reason_after(&self, fill: Option<Reason>) -> Option<Reason> {
        match fill {
            Some(fill) => Some(fill),
            None => self.reason,
        }
    }
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

display_as_str!(Word, CacheStatus, Reason);
