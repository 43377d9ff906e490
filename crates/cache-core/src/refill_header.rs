//! Which fields of a client's header the refill of a record carries, beside its credentials ([`crate::credentials`]).
//!
//! The record is for everybody, so the refill leaves out what doesn't select the record: a client whose field makes the
//! backend fail must not keep the page of all others from being refreshed. But some backends want what every client
//! sends.

use crate::complex_value::{is_derivable, variables_of};
use crate::outcome::Reason;
use crate::record::Record;
use crate::rules::Rules;
use crate::vary;

/// How much a refill has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carried {
    /// What selects the record, and what proxies in front have said.
    #[default]
    Usual,
    /// All that the client has sent.
    All,
    /// What selects the record.
    Least,
}

impl Carried {
    /// What the next refill has, after one with this has ended so. `whole`: the client had nothing more to say.
    #[must_use]
    pub fn after(self, reason: Reason, whole: bool) -> Self {
        match reason {
            Reason::Stored | Reason::Revalidated if self == Self::Least => Self::Usual,
            // These say nothing of what was asked.
            Reason::Stored
            | Reason::Revalidated
            | Reason::StoreFailed
            | Reason::RecordChanged
            | Reason::ClaimLost
            | Reason::Invalidated
            | Reason::CaptureMemory
            | Reason::WithoutCookie => self,
            _ => match self {
                Self::Usual if whole => Self::Least,
                Self::Usual => Self::All,
                Self::All => Self::Least,
                Self::Least => Self::Usual,
            },
        }
    }
}

/// What selects a record: the fields that its responses vary on, and those that its key names.
pub struct Selecting {
    vary: Option<vary::Names>,
    in_key: Vec<Vec<u8>>,
    /// The key may be made of any field.
    any: bool,
}

impl Selecting {
    /// `template`: the text that makes the key, with `$variables`, if it is known.
    #[must_use]
    pub fn new(record: &Record, rules: &Rules, template: Option<&[u8]>) -> Self {
        let known = template.filter(|template| is_derivable(template));
        let names = known.map(|template| {
            variables_of(template)
                .filter_map(|name| name.strip_prefix(b"http_").map(<[u8]>::to_vec))
                .collect()
        });
        Self {
            vary: vary::parse(record.said().get_all("Vary"))
                .ok()
                .filter(|_| !rules.ignore.vary),
            any: names.is_none(),
            in_key: names.unwrap_or_default(),
        }
    }

    /// Whether a field, in lower case, is one of them.
    #[must_use]
    pub fn has(&self, field: &[u8]) -> bool {
        let is_in_key = |name: &Vec<u8>| {
            let spelt = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
            field.iter().map(spelt).eq(name.iter().copied())
        };
        field == b"host"
            || field.starts_with(b"content-")
            || self.in_key.iter().any(is_in_key)
            || self
                .vary
                .as_ref()
                .is_some_and(|on| on.iter().any(|name| name == field))
    }

    /// Whether a refill has a field, in lower case.
    #[must_use]
    pub fn lets_pass(&self, carried: Carried, field: &[u8]) -> bool {
        self.any
            || self.has(field)
            || match carried {
                Carried::All => true,
                Carried::Usual => is_of_proxies(field),
                Carried::Least => false,
            }
    }
}

/// Fields by which proxies in front say what they know of the client's connection. A backend may build its links by
/// them.
fn is_of_proxies(field: &[u8]) -> bool {
    matches!(field, b"forwarded" | b"x-real-ip") || field.starts_with(b"x-forwarded-")
}
