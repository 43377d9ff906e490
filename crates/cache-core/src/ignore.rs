//! Which fields of a response decide nothing: `redis_cache_ignore_headers`.

use std::ops::BitOr;

/// Fields that decide nothing here. The Lua script heeded none of them; naming one brings its way
/// back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ignore {
    /// Cache-Control of the response neither forbids storing nor states a lifetime.
    pub cache_control: bool,
    /// Expires states no lifetime.
    pub expires: bool,
    /// A response with Set-Cookie is stored, cookie and all.
    pub set_cookie: bool,
    /// A response with Vary is stored as if it didn't vary.
    pub vary: bool,
    /// A response to a request with Authorization is stored as if it had none.
    pub authorization: bool,
    /// X-Accel-Expires neither forbids storing nor states a lifetime.
    pub accel_expires: bool,
    /// CDN-Cache-Control doesn't take the place of Cache-Control.
    pub cdn_cache_control: bool,
    /// Nor does Surrogate-Control.
    pub surrogate_control: bool,
    /// Date makes no age: the backend's clock is wrong. Expires still counts from it.
    pub date: bool,
    /// Age of the response counts for nothing.
    pub age: bool,
}

impl Ignore {
    /// Nothing is ignored.
    pub const NONE: Self = Self {
        cache_control: false,
        expires: false,
        set_cookie: false,
        vary: false,
        authorization: false,
        accel_expires: false,
        cdn_cache_control: false,
        surrogate_control: false,
        date: false,
        age: false,
    };

    /// The set of one field, by its name without regard to case; `None` if that field can't be
    /// ignored. Sets are joined by `|`.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let mut ignore = Self::NONE;
        let flag = match name.to_ascii_lowercase().as_slice() {
            b"cache-control" => &mut ignore.cache_control,
            b"expires" => &mut ignore.expires,
            b"set-cookie" => &mut ignore.set_cookie,
            b"vary" => &mut ignore.vary,
            b"authorization" => &mut ignore.authorization,
            b"x-accel-expires" => &mut ignore.accel_expires,
            b"cdn-cache-control" => &mut ignore.cdn_cache_control,
            b"surrogate-control" => &mut ignore.surrogate_control,
            b"date" => &mut ignore.date,
            b"age" => &mut ignore.age,
            _ => return None,
        };
        *flag = true;
        Some(ignore)
    }

    /// The names of the fields, in lower case.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.cache_control, "cache-control"),
            (self.expires, "expires"),
            (self.set_cookie, "set-cookie"),
            (self.vary, "vary"),
            (self.authorization, "authorization"),
            (self.accel_expires, "x-accel-expires"),
            (self.cdn_cache_control, "cdn-cache-control"),
            (self.surrogate_control, "surrogate-control"),
        ]
        .into_iter()
        .filter_map(|(ignored, name)| ignored.then_some(name))
        .collect()
    }
}

impl BitOr for Ignore {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            cache_control: self.cache_control || other.cache_control,
            expires: self.expires || other.expires,
            set_cookie: self.set_cookie || other.set_cookie,
            vary: self.vary || other.vary,
            authorization: self.authorization || other.authorization,
            accel_expires: self.accel_expires || other.accel_expires,
            cdn_cache_control: self.cdn_cache_control || other.cdn_cache_control,
            surrogate_control: self.surrogate_control || other.surrogate_control,
            date: self.date || other.date,
            age: self.age || other.age,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_join() {
        let both = [&b"CACHE-control"[..], b"Vary"]
            .into_iter()
            .filter_map(Ignore::named)
            .fold(Ignore::NONE, |all, one| all | one);
        let wanted = Ignore {
            cache_control: true,
            vary: true,
            ..Ignore::NONE
        };
        assert_eq!(both, wanted);
        for name in [
            "x-accel-expires",
            "CDN-Cache-Control",
            "surrogate-control",
            "DATE",
            "age",
        ] {
            let ignore = Ignore::named(name.as_bytes());
            assert!(
                ignore.is_some_and(|ignore| ignore != Ignore::NONE),
                "{name}"
            );
        }
        assert_eq!(Ignore::named(b"X-Accel-Limit-Rate"), None);
        assert_eq!(Ignore::named(b""), None);
    }
}
