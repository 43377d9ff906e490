//! Why a request was answered as it was, and what became of its response.

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// Why a response came as it came, or why it wasn't stored: value of `$redis_cache_reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])+ $name,)+
        }

        impl Reason {
            /// All that there are, each at its own place.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The reason as a phrase for the log and `$redis_cache_reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// The record was fresh.
    Fresh = "fresh",
    /// The record was stale; this request starts its refill.
    Stale = "stale",
    /// The record was stale and a refill was running already.
    Updating = "stale, being refilled",
    /// The response of another request's fill was shared.
    Subscribed = "shared a fill",
    /// The response is on its way to the store.
    Storing = "being stored",
    /// The response was stored.
    Stored = "stored",
    /// The backend has confirmed the record (304), which is fresh again.
    Revalidated = "revalidated",

    /// The request's method isn't one of `redis_cache_methods`.
    MethodNotListed = "method not listed",
    /// A GET or HEAD with content, which the key says nothing of.
    Content = "content in a GET",
    /// The key or a condition is made of the request's content, which can't be told to it.
    ContentUnknown = "content unknown to the key",
    /// nginx fetches the response in slices, by `$slice_range`.
    Slice = "slice",
    /// `redis_cache_bypass` held: no lookup.
    Bypass = "bypass",
    /// `redis_cache_no_store` held: the operator wants the response not stored.
    NoStoreDirective = "redis_cache_no_store",
    /// The client wants the response not stored (Cache-Control: no-store, RFC 9111 5.2.1.5).
    NoStoreAsked = "no-store of the request",
    /// The client wants a record or nothing (only-if-cached, RFC 9111 5.2.1.7), and there is none for it.
    OnlyIfCached = "only-if-cached",
    /// The request asks for another protocol (Upgrade) or a tunnel (CONNECT).
    Upgrade = "upgrade or tunnel",
    /// The request isn't GET or HEAD and is to be carried out under conditions only (RFC 9110 13.1).
    Conditional = "conditional",
    /// Zone, store or key is not configured, or names something that doesn't exist.
    NotConfigured = "zone, store or key missing",
    /// The key hasn't been asked for as often as `redis_cache_min_uses` wants it.
    FewUses = "too few uses",

    /// The store is down, slow or talking nonsense.
    StoreUnavailable = "store unavailable",
    /// The same where the backend isn't to be asked instead (`redis_cache_on_error fail`).
    StoreRequired = "store unavailable, backend spared",
    /// The key holds something that is no hash; it is left alone.
    WrongType = "key of another type",
    /// The store refused or lost the write.
    StoreFailed = "store failed",
    /// The record that the backend confirmed isn't there any more, or is another.
    RecordChanged = "record changed meanwhile",
    /// The claim of the fill in the fleet has ended before it was stored: another machine may have stored its own.
    ClaimLost = "claim lost",

    /// Waited as long as `redis_cache_lock_timeout` for somebody else's fill.
    LockTimeout = "lock timeout",
    /// The zone has no room for another lock.
    ZoneFull = "zone full",
    /// As many requests as allowed wait for this key already.
    TooManyWaiters = "too many waiters",
    /// The fill waited for turned out not to be storable.
    WaitersReleased = "fill not storable",
    /// The request wants a part (Range) of what isn't stored anyway.
    Part = "range of what isn't stored",
    /// The responses vary, and each on something else (RFC 9111 4.1).
    VariesOtherwise = "varies otherwise",
    /// The key was made by another No-Vary-Search than the response has.
    SearchOtherwise = "other no-vary-search",
    /// No free `worker_connections` for a fill.
    NoConnections = "no free worker connections",
    /// Captured bodies fill `redis_cache_capture_memory`, or the worker has no memory for more.
    CaptureMemory = "capture memory full",
    /// The worker has no memory left.
    NoMemory = "no memory",

    /// The response's status isn't one of `redis_cache_valid`.
    StatusNotListed = "status not listed",
    /// `redis_cache_valid any` lets the status pass, but it is one that isn't stored without an explicit
    /// lifetime (RFC 9111 3); or it is the response to a POST (RFC 9110 9.3.3).
    NoFreshness = "no explicit freshness",
    /// X-Accel-Expires: 0.
    AccelExpires = "x-accel-expires",
    /// Cache-Control: must-understand, and the status isn't understood (RFC 9111 5.2.2.3).
    NotUnderstood = "status not understood",
    /// Cache-Control: no-store (RFC 9111 5.2.2.5).
    NoStore = "no-store",
    /// Cache-Control: private (RFC 9111 5.2.2.7).
    Private = "private",
    /// Cache-Control: no-cache (RFC 9111 5.2.2.4), and nothing to validate the response by.
    NoCache = "no-cache",
    /// The response sets a cookie (RFC 9111 7.3).
    SetCookie = "set-cookie",
    /// The backend was asked without the client's cookie, and gave nothing that could be stored; the next time it is
    /// asked with it.
    WithoutCookie = "not storable without the cookie",
    /// The backend was asked without fields that the client has sent, and gave nothing that could take the record's
    /// place; the next time it is asked with them.
    WithoutHeader = "not storable without the client's header",
    /// The response varies on more than request fields, `*`, or on what is no field name
    /// (RFC 9111 4.1).
    Vary = "vary *",
    /// The request carries credentials and the response doesn't allow sharing (RFC 9111 3.5).
    Authorization = "authorization",
    /// 1xx comes before the response proper (RFC 9110 15.2).
    Interim = "interim answer",
    /// 206 is only a part (RFC 9111 3.3).
    PartialContent = "partial content",
    /// 304 without a record that it could confirm (RFC 9111 4.3.3).
    NotModified = "not modified",
    /// The body ended before its Content-Length (RFC 9111 3.3).
    Truncated = "truncated",
    /// The body is larger than `redis_cache_max_size`.
    TooLarge = "too large",
    /// The body took longer than `redis_cache_capture_timeout`.
    CaptureTimeout = "capture timeout",
    /// A response that is read while it happens, and may never end.
    EventStream = "event stream",
    /// While it was fetched, another request has changed what it tells of (RFC 9111 4.4), or it was a POST's and a newer record is
    /// there.
    Invalidated = "invalidated meanwhile",
    /// The response had no lifetime left when it came, or when all of it had, and staleness isn't allowed.
    Expired = "expired already",
    /// X-Accel-Redirect: the response is decided by nginx, request by request.
    AccelRedirect = "x-accel-redirect",
    /// An internal redirect led to a location with access rules: who gets in is decided request by request.
    AccessRules = "access rules",
    /// A header that can't be sent again as it stands.
    HeaderInvalid = "invalid header",
    /// The backend gave no response, or an error while a stale record was there.
    BackendFailed = "backend failed",
}

impl Reason {
    /// Its place in [`Reason::ALL`].
    #[must_use]
    pub const fn place(self) -> usize {
        self as usize
    }

    /// What is said of a fill that has ended with this reason. `known`: why its response was known beforehand not to be
    /// stored. Why the store can't be written to says more than that a write has failed.
    #[must_use]
    pub const fn of_fill(self, known: Option<Self>) -> Self {
        match (known, self) {
            (Some(known @ (Self::StoreUnavailable | Self::WrongType)), Self::StoreFailed) => known,
            _ => self,
        }
    }

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
}
