//! What a stored response says of its own use once it isn't fresh (RFC 9111 4.2.4, RFC 5861).

use crate::cache_control::CacheControl;

/// On which terms a stored response may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// It is never used without asking the backend (no-cache, RFC 9111 5.2.2.4).
    pub always_validate: bool,
    /// It is never used stale: must-revalidate (5.2.2.2), proxy-revalidate (5.2.2.8), s-maxage (5.2.2.10) and
    /// no-cache.
    pub never_stale: bool,
    /// Seconds for which it may be used stale while it is refilled (RFC 5861 3).
    pub while_revalidate: Option<u32>,
    /// Seconds for which it may be used stale when the backend fails (RFC 5861 4).
    pub if_error: Option<u32>,
}

impl Terms {
    /// Reads the terms from what governs the response (see [`crate::targeted`]).
    #[must_use]
    pub fn of(cc: &CacheControl) -> Self {
        let always_validate = cc.always_validate();
        Self {
            always_validate,
            never_stale: always_validate
                || cc.must_revalidate
                || cc.proxy_revalidate
                || cc.s_maxage.is_some(),
            while_revalidate: cc.stale_while_revalidate,
            if_error: cc.stale_if_error,
        }
    }
}
