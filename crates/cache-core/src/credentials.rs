//! Which credentials of a client the refill of a record carries. Its response is for everybody, so the backend is asked
//! in nobody's name, unless the record is selected by the credentials or may be shared in spite of them.

use crate::complex_value::{is_derivable, variables_of};
use crate::policy::authorization_allows;
use crate::record::Record;
use crate::rules::Rules;
use crate::targeted::governing_over;
use crate::vary;

/// A field of a request by which a backend knows its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// RFC 6265 4.2.
    Cookie,
    /// RFC 9110 11.6.2.
    Authorization,
}

impl Credential {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Cookie, Self::Authorization];

    /// The name of the field, in lower case.
    #[must_use]
    pub const fn field(self) -> &'static [u8] {
        match self {
            Self::Cookie => b"cookie",
            Self::Authorization => b"authorization",
        }
    }

    /// Whether the value of a variable is made of the field by nginx. `variable` is in lower case, without "$".
    #[must_use]
    pub fn makes(self, variable: &[u8]) -> bool {
        match self {
            // $uid_got is the userid module's cookie.
            Self::Cookie => {
                matches!(variable, b"http_cookie" | b"uid_got") || variable.starts_with(b"cookie_")
            }
            Self::Authorization => matches!(variable, b"http_authorization" | b"remote_user"),
        }
    }

    /// Whether a key that `template`, a value with `$variables`, makes may depend on it. Of what `set` or `map` gave
    /// nobody knows what it was made of.
    #[must_use]
    pub fn may_make(self, template: &[u8]) -> bool {
        !is_derivable(template) || variables_of(template).any(|name| self.makes(&name))
    }

    /// Whether the refill of `record` has it. `in_key`: whether the record's key may depend on it, which takes more to
    /// find out than the rest.
    ///
    /// What the record varies on stays, so that the refill is one of the same variant (RFC 9111 4.1). Authorization
    /// stays where the response may be shared nevertheless (3.5): without it the backend might not answer at all.
    #[must_use]
    pub fn is_kept(self, record: &Record, rules: &Rules, in_key: impl FnOnce() -> bool) -> bool {
        (self == Self::Authorization && shares_authorized(record, rules))
            || (!rules.ignore.vary && self.selects(record))
            || in_key()
    }

    fn selects(self, record: &Record) -> bool {
        vary::parse(record.said().get_all("Vary"))
            .is_ok_and(|on| on.iter().any(|name| name == self.field()))
    }
}

/// Whether a record says that responses like it may be shared though the request had Authorization.
fn shares_authorized(record: &Record, rules: &Rules) -> bool {
    let by_accel_expires = record.meta.as_ref().is_some_and(|meta| meta.accel_expires);
    let ignored = record.meta.as_ref().map(|meta| meta.unsent.ignored);
    let ignore = rules.ignore | ignored.unwrap_or_default();
    let governing = governing_over(&record.said(), by_accel_expires, ignore);
    authorization_allows(&governing.says, ignore)
}
