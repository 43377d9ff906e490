//! What happened to a request, in the words that users read: header, variable, log.

use std::fmt;

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

/// Why a response came as it came, or why it wasn't stored: value of `$redis_cache_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The record was fresh.
    Fresh,
    /// The record was stale; this request starts its refill.
    Stale,
    /// The record was stale and a refill was running already.
    Updating,
    /// The response of another request's fill was shared.
    Subscribed,
    /// The response is on its way to the store.
    Storing,
    /// The response was stored.
    Stored,
    /// The backend has confirmed the record (304), which is fresh again.
    Revalidated,

    /// The request's method isn't one of `redis_cache_methods`.
    MethodNotListed,
    /// A GET or HEAD with content, which the key says nothing of.
    Content,
    /// The key or a condition is made of the request's content, which can't be told to it.
    ContentUnknown,
    /// nginx fetches the response in slices, by `$slice_range`.
    Slice,
    /// `redis_cache_bypass` held: no lookup.
    Bypass,
    /// `redis_cache_no_store` held: the operator wants the response not stored.
    NoStoreDirective,
    /// The client wants the response not stored (Cache-Control: no-store, RFC 9111 5.2.1.5).
    NoStoreAsked,
    /// The client wants a record or nothing (only-if-cached, RFC 9111 5.2.1.7), and there is none for it.
    OnlyIfCached,
    /// The request asks for another protocol (Upgrade) or a tunnel (CONNECT).
    Upgrade,
    /// The request isn't GET or HEAD and is to be carried out under conditions only (RFC 9110 13.1).
    Conditional,
    /// Zone, store or key is not configured, or names something that doesn't exist.
    NotConfigured,

    /// The store is down, slow or talking nonsense.
    StoreUnavailable,
    /// The same where the backend isn't to be asked instead (`redis_cache_on_error fail`).
    StoreRequired,
    /// The key holds something that is no hash; it is left alone.
    WrongType,
    /// The store refused or lost the write.
    StoreFailed,
    /// The record that the backend confirmed isn't there any more, or is another.
    RecordChanged,
    /// The claim of the fill in the fleet has ended before it was stored: another machine may have stored its own.
    ClaimLost,

    /// Waited as long as `redis_cache_lock_timeout` for somebody else's fill.
    LockTimeout,
    /// The zone has no room for another lock.
    ZoneFull,
    /// As many requests as allowed wait for this key already.
    TooManyWaiters,
    /// The fill waited for turned out not to be storable.
    WaitersReleased,
    /// The request wants a part (Range) of what isn't stored anyway.
    Part,
    /// The responses vary, and each on something else (RFC 9111 4.1).
    VariesOtherwise,
    /// No free `worker_connections` for a fill.
    NoConnections,
    /// Captured bodies fill `redis_cache_capture_memory`, or the worker has no memory for more.
    CaptureMemory,
    /// The worker has no memory left.
    NoMemory,

    /// The response's status isn't one of `redis_cache_valid`.
    StatusNotListed,
    /// `redis_cache_valid any` lets the status pass, but it is one that isn't stored without an explicit
    /// lifetime (RFC 9111 3).
    NoFreshness,
    /// X-Accel-Expires: 0.
    AccelExpires,
    /// Cache-Control: must-understand, and the status isn't understood (RFC 9111 5.2.2.3).
    NotUnderstood,
    /// Cache-Control: no-store (RFC 9111 5.2.2.5).
    NoStore,
    /// Cache-Control: private (RFC 9111 5.2.2.7).
    Private,
    /// Cache-Control: no-cache (RFC 9111 5.2.2.4), and nothing to validate the response by.
    NoCache,
    /// The response sets a cookie (RFC 9111 7.3).
    SetCookie,
    /// The backend was asked without the client's cookie, and gave nothing that could be stored; the next time it is
    /// asked with it.
    WithoutCookie,
    /// The backend was asked without fields that the client has sent, and gave nothing that could take the record's
    /// place; the next time it is asked with them.
    WithoutHeader,
    /// The response varies on more than request fields, `*`, or on what is no field name
    /// (RFC 9111 4.1).
    Vary,
    /// The request carries credentials and the response doesn't allow sharing (RFC 9111 3.5).
    Authorization,
    /// 1xx comes before the response proper (RFC 9110 15.2).
    Interim,
    /// 206 is only a part (RFC 9111 3.3).
    PartialContent,
    /// 304 without a record that it could confirm (RFC 9111 4.3.3).
    NotModified,
    /// The body ended before its Content-Length (RFC 9111 3.3).
    Truncated,
    /// The body is larger than `redis_cache_max_size`.
    TooLarge,
    /// The body took longer than `redis_cache_capture_timeout`.
    CaptureTimeout,
    /// A response that is read while it happens, and may never end.
    EventStream,
    /// While it was fetched, another request has changed what it tells of (RFC 9111 4.4).
    Invalidated,
    /// The response had no lifetime left when it came, and staleness isn't allowed.
    Expired,
    /// X-Accel-Redirect: the response is decided by nginx, request by request.
    AccelRedirect,
    /// An internal redirect led to a location with access rules: who gets in is decided request by request.
    AccessRules,
    /// A header that can't be sent again as it stands.
    HeaderInvalid,
    /// The backend gave no response, or an error while a stale record was there.
    BackendFailed,
}

impl Reason {
    /// Whether the response itself, or its location, says that it isn't for a shared cache: the next one will say so
    /// too, whoever asks. Not so what lies with the request, the operator or a backend in trouble.
    #[must_use]
    pub const fn is_of_response(self) -> bool {
        matches!(
            self,
            Self::AccelExpires
                | Self::NoStore
                | Self::Private
                | Self::NoCache
                | Self::SetCookie
                | Self::Vary
                | Self::TooLarge
                | Self::CaptureTimeout
                | Self::EventStream
                | Self::AccessRules
        )
    }

    /// Whether it lies with the request alone: the same response to another one may be stored.
    #[must_use]
    pub const fn is_of_request(self) -> bool {
        matches!(
            self,
            Self::NoStoreDirective | Self::NoStoreAsked | Self::Authorization
        )
    }

    /// The reason as a phrase for the log and `$redis_cache_reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Updating => "stale, being refilled",
            Self::Subscribed => "shared a fill",
            Self::Storing => "being stored",
            Self::Stored => "stored",
            Self::Revalidated => "revalidated",
            Self::MethodNotListed => "method not listed",
            Self::Content => "content in a GET",
            Self::ContentUnknown => "content unknown to the key",
            Self::Slice => "slice",
            Self::Bypass => "bypass",
            Self::NoStoreDirective => "redis_cache_no_store",
            Self::NoStoreAsked => "no-store of the request",
            Self::OnlyIfCached => "only-if-cached",
            Self::Upgrade => "upgrade or tunnel",
            Self::Conditional => "conditional",
            Self::NotConfigured => "zone, store or key missing",
            Self::StoreUnavailable => "store unavailable",
            Self::StoreRequired => "store unavailable, backend spared",
            Self::WrongType => "key of another type",
            Self::StoreFailed => "store failed",
            Self::RecordChanged => "record changed meanwhile",
            Self::ClaimLost => "claim lost",
            Self::LockTimeout => "lock timeout",
            Self::ZoneFull => "zone full",
            Self::TooManyWaiters => "too many waiters",
            Self::WaitersReleased => "fill not storable",
            Self::Part => "range of what isn't stored",
            Self::VariesOtherwise => "varies otherwise",
            Self::NoConnections => "no free worker connections",
            Self::CaptureMemory => "capture memory full",
            Self::NoMemory => "no memory",
            Self::StatusNotListed => "status not listed",
            Self::NoFreshness => "no explicit freshness",
            Self::AccelExpires => "x-accel-expires",
            Self::NotUnderstood => "status not understood",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::SetCookie => "set-cookie",
            Self::WithoutCookie => "not storable without the cookie",
            Self::WithoutHeader => "not storable without the client's header",
            Self::Vary => "vary *",
            Self::Authorization => "authorization",
            Self::Interim => "interim answer",
            Self::PartialContent => "partial content",
            Self::NotModified => "not modified",
            Self::Truncated => "truncated",
            Self::TooLarge => "too large",
            Self::CaptureTimeout => "capture timeout",
            Self::EventStream => "event stream",
            Self::Invalidated => "invalidated meanwhile",
            Self::Expired => "expired already",
            Self::AccelRedirect => "x-accel-redirect",
            Self::AccessRules => "access rules",
            Self::HeaderInvalid => "invalid header",
            Self::BackendFailed => "backend failed",
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
