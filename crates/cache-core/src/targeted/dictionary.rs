//! A targeted field as RFC 9213 2.1 reads it: a Dictionary of Structured Fields (RFC 9651 3.2) whose members
//! are directives of Cache-Control.

use std::error::Error;
use std::fmt;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

use crate::cache_control::{CacheControl, field_names};
use crate::units::MAX_SECONDS;

/// Reads the lines of one field. `None` if it is empty or invalid: then it is ignored (RFC 9213 2.1, 2.2).
/// Parameters are, too.
///
/// A known directive with a value of another type makes the field invalid: a lifetime that is no Integer
/// says that whoever wrote it meant something else.
pub fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<CacheControl> {
    let mut lines = lines.peekable();
    lines.peek()?;
    // One field of several lines (RFC 9651 4.2).
    let text = lines.collect::<Vec<_>>().join(&b", "[..]);
    let mut found = Members::default();
    Parser::new(&text)
        .parse_dictionary_with_visitor(&mut found)
        .ok()?;
    found.any.then_some(found.says)
}

#[derive(Default)]
struct Members {
    says: CacheControl,
    any: bool,
}

/// The value of a member.
enum Value<'de> {
    /// `name=60`
    Integer(i64),
    /// `name` or `name=?0`
    Boolean(bool),
    /// `name="text"` or `name=text`
    Text(&'de [u8]),
    /// Anything else.
    Other,
}

#[derive(Debug)]
struct WrongType;

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("directive with a value of another type")
    }
}

impl Error for WrongType {}

impl Members {
    /// A member; of two with one name the last counts (RFC 9651 4.2.2).
    fn set(&mut self, name: &str, value: &Value<'_>) -> Result<(), WrongType> {
        let says = &mut self.says;
        match name {
            "no-store" => says.no_store = value.is_set(),
            "must-understand" => says.must_understand = value.is_set(),
            "must-revalidate" => says.must_revalidate = value.is_set(),
            "proxy-revalidate" => says.proxy_revalidate = value.is_set(),
            "public" => says.public = value.is_set(),
            "no-cache" => (says.no_cache, says.no_cache_fields) = value.restriction(),
            "private" => (says.private, says.private_fields) = value.restriction(),
            "max-age" => says.max_age = Some(value.seconds()?),
            "s-maxage" => says.s_maxage = Some(value.seconds()?),
            "stale-while-revalidate" => says.stale_while_revalidate = Some(value.seconds()?),
            "stale-if-error" => says.stale_if_error = Some(value.seconds()?),
            _ => {}
        }
        Ok(())
    }
}

impl Value<'_> {
    /// A directive without an argument: whatever it has for one doesn't matter (RFC 9111 5.2).
    fn is_set(&self) -> bool {
        !matches!(self, Self::Boolean(false))
    }

    /// Whether it is there, and the fields that it is limited to.
    fn restriction(&self) -> (bool, Vec<Box<[u8]>>) {
        let fields = match self {
            Self::Text(list) => field_names(list),
            _ => Vec::new(),
        };
        (self.is_set(), fields)
    }

    /// delta-seconds (RFC 9111 1.2.2); less than none is none.
    fn seconds(&self) -> Result<u32, WrongType> {
        match *self {
            Self::Integer(value) => {
                let most = i64::from(MAX_SECONDS);
                Ok(u32::try_from(value.clamp(0, most)).unwrap_or(MAX_SECONDS))
            }
            _ => Err(WrongType),
        }
    }
}

impl<'de> DictionaryVisitor<'de> for &mut Members {
    type Out = ();
    type Error = WrongType;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, WrongType> {
        self.any = true;
        Ok(Member {
            members: self,
            name: key.as_str(),
        })
    }

    fn finish(self) -> Result<(), WrongType> {
        Ok(())
    }
}

struct Member<'a, 'de> {
    members: &'a mut Members,
    name: &'de str,
}

impl<'de> EntryVisitor<'de> for Member<'_, 'de> {
    type Error = WrongType;

    fn item(self) -> Result<impl ItemVisitor<'de>, WrongType> {
        Ok(move |item: BareItemFromInput<'de>| {
            let text;
            let value = match item {
                BareItemFromInput::Integer(value) => Value::Integer(value.into()),
                BareItemFromInput::Boolean(value) => Value::Boolean(value),
                BareItemFromInput::Token(value) => {
                    text = value.as_str().to_owned();
                    Value::Text(text.as_bytes())
                }
                BareItemFromInput::String(value) => {
                    text = value.as_str().to_owned();
                    Value::Text(text.as_bytes())
                }
                _ => Value::Other,
            };
            self.members.set(self.name, &value)?;
            Ok::<_, WrongType>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, WrongType> {
        self.members.set(self.name, &Value::Other)?;
        Ok(Ignored)
    }
}
