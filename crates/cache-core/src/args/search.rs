//! No-Vary-Search: which arguments of a URL make no other response of it (draft-ietf-httpbis-no-vary-search, of 2026).
//!
//! The field may be read as less than it says, never as more: two lists of arguments have one form only if the draft takes
//! them for the same. So arguments stay apart here that the draft takes for one, such as `a` and `a=`.

use std::borrow::Cow;
use std::convert::Infallible;

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::name::{Name, decoded, is_doubtful, name_of};
use super::{is_unreserved, sort};
use crate::hex;

/// Longest text of a rule, in bytes. A longer one is taken for none.
pub const MAX_RULE: usize = 200;

/// What a response says of the arguments of its URL, if not that all of them count.
///
/// It has a text, which is the same for all fields that say the same: `key-order;params=a,b` or `params;except=id`. It
/// holds printable ASCII without blanks, `&` and `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRule {
    key_order: bool,
    params: Params<Name>,
    text: Box<[u8]>,
}

/// Which arguments count, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Params<T> {
    /// All but these.
    AllBut(Vec<T>),
    /// These alone.
    Only(Vec<T>),
}

impl SearchRule {
    /// Reads the lines of the field. `None` if all arguments count, as without the field: it says so, or it can't be read, or
    /// it says more than [`MAX_RULE`] bytes hold.
    #[must_use]
    pub fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut lines = lines.peekable();
        lines.peek()?;
        // One field of several lines (RFC 9651 4.2).
        let text = lines.collect::<Vec<_>>().join(&b", "[..]);
        let mut members = Members::default();
        Parser::new(&text)
            .parse_dictionary_with_visitor(&mut members)
            .ok()?;
        members.rule()
    }

    /// Reads a text that [`SearchRule::text`] gave. `None` for any other.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_RULE {
            return None;
        }
        let names = |list: &[u8]| list.split(|&b| b == b',').map(name_in_field).collect();
        let rest = text.strip_prefix(b"key-order").unwrap_or(text);
        let key_order = rest.len() < text.len();
        let rest = match rest.strip_prefix(b";") {
            Some(rest) if key_order => rest,
            _ => rest,
        };
        let params = if let Some(list) = rest.strip_prefix(b"params=") {
            Params::AllBut(names(list))
        } else if let Some(list) = rest.strip_prefix(b"params;except=") {
            Params::Only(names(list))
        } else if rest == b"params" {
            Params::Only(Vec::new())
        } else {
            Params::AllBut(Vec::new())
        };
        Self::new(key_order, params).filter(|rule| *rule.text == *text)
    }

    /// The rule that says so. `None` if it isn't said that any argument doesn't count, or its place.
    fn new(key_order: bool, params: Params<Vec<u8>>) -> Option<Self> {
        let (word, mut names) = match &params {
            Params::AllBut(names) if names.is_empty() => ("", Vec::new()),
            Params::AllBut(names) => ("params=", names.clone()),
            Params::Only(names) if names.is_empty() => ("params", Vec::new()),
            Params::Only(names) => ("params;except=", names.clone()),
        };
        // Without arguments there is no order.
        let key_order = key_order && word != "params";
        names.sort_unstable();
        names.dedup();
        let mut text = Vec::new();
        if key_order {
            text.extend_from_slice(b"key-order");
        }
        if key_order && !word.is_empty() {
            text.push(b';');
        }
        text.extend_from_slice(word.as_bytes());
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            write_name(&mut text, name);
        }
        if text.is_empty() || text.len() > MAX_RULE {
            return None;
        }
        let names = names.iter().map(|name| Name::exact(name)).collect();
        Some(Self {
            key_order,
            params: match params {
                Params::AllBut(_) => Params::AllBut(names),
                Params::Only(_) => Params::Only(names),
            },
            text: text.into(),
        })
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The arguments as far as they count. The form of the form is the form.
    #[must_use]
    pub fn apply(&self, arguments: &[u8]) -> Vec<u8> {
        let arguments = arguments.split(|&b| b == b'&');
        let mut kept: Vec<_> = arguments.filter(|it| self.has(it)).collect();
        // The draft takes names for the same that are no UTF-8, wherever they aren't.
        if self.key_order && kept.iter().all(|it| is_utf_8(name_of(it))) {
            sort(&mut kept);
        }
        kept.join(&b'&')
    }

    /// Whether an argument counts.
    fn has(&self, argument: &[u8]) -> bool {
        // An empty one is none (WHATWG URL, application/x-www-form-urlencoded parsing, step 3.1).
        if argument.is_empty() {
            return false;
        }
        let name = name_of(argument);
        match &self.params {
            Params::Only(names) if names.is_empty() => false,
            // Some backends split there, so it may hold an argument of any name.
            _ if argument.contains(&b';') => true,
            Params::AllBut(names) => !names.iter().any(|it| it.is(name)),
            Params::Only(names) => {
                is_doubtful(argument) || !is_utf_8(name) || names.iter().any(|it| it.may_be(name))
            }
        }
    }
}

/// Whether a name is UTF-8 once it is decoded.
fn is_utf_8(name: &[u8]) -> bool {
    name.is_ascii() && !name.contains(&b'%')
        || std::str::from_utf8(&decoded(name).collect::<Vec<_>>()).is_ok()
}

/// A name as the field has it ("parse a key"): decoded as the names of arguments are.
fn name_in_field(text: &[u8]) -> Vec<u8> {
    let bytes: Vec<u8> = decoded(text).collect();
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(_) => bytes,
        Cow::Owned(text) => text.into_bytes(),
    }
}

/// Appends a name so that it can be read again, with escapes for all that isn't unreserved (RFC 3986 2.3).
fn write_name(text: &mut Vec<u8>, name: &[u8]) {
    for &byte in name {
        if is_unreserved(byte) {
            text.push(byte);
        } else {
            text.push(b'%');
            text.extend_from_slice(&hex::upper(byte));
        }
    }
}

/// The members of the field that mean something. Others are ignored.
#[derive(Default)]
struct Members {
    key_order: Option<Value>,
    params: Option<Value>,
    except: Option<Value>,
}

/// What a member says; of two with one name the last counts (RFC 9651 4.2.2).
enum Value {
    Boolean(bool),
    /// A list of strings, as far as it was read.
    Strings(Vec<Vec<u8>>),
    Other,
}

impl Members {
    /// "Parse a URL search variance". Whatever is unexpected makes all arguments count.
    fn rule(self) -> Option<SearchRule> {
        let key_order = match self.key_order {
            None => false,
            Some(Value::Boolean(key_order)) => key_order,
            Some(_) => return None,
        };
        let params = match (self.params, self.except) {
            (Some(Value::Boolean(true)), Some(Value::Strings(names))) => Params::Only(names),
            (_, Some(_)) => return None,
            (Some(Value::Boolean(true)), None) => Params::Only(Vec::new()),
            (None | Some(Value::Boolean(false)), None) => Params::AllBut(Vec::new()),
            (Some(Value::Strings(names)), None) => Params::AllBut(names),
            (Some(Value::Other), None) => return None,
        };
        SearchRule::new(key_order, params)
    }
}

impl<'de> DictionaryVisitor<'de> for &mut Members {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        let place = match key.as_str() {
            "key-order" => &mut self.key_order,
            "params" => &mut self.params,
            "except" => &mut self.except,
            _ => return Ok(None),
        };
        Ok(Some(Member(place.insert(Value::Other))))
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Member<'a>(&'a mut Value);

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(move |item: BareItemFromInput<'de>| {
            if let BareItemFromInput::Boolean(value) = item {
                *self.0 = Value::Boolean(value);
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        *self.0 = Value::Strings(Vec::new());
        Ok(self)
    }
}

impl<'de> InnerListVisitor<'de> for Member<'_> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        let list = &mut *self.0;
        Ok(move |item: BareItemFromInput<'de>| {
            if let Value::Strings(names) = &mut *list
                && let BareItemFromInput::String(text) = item
            {
                names.push(name_in_field(text.as_str().as_bytes()));
            } else {
                *list = Value::Other;
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}
