//! What a response varies on (RFC 9110 12.5.5) and which requests it may answer (RFC 9111 4.1).
//!
//! Requests whose normalised values of the fields named by Vary are the same have the same
//! [`VariantId`]: a response made for one of them answers all of them, and nobody else. Where the
//! variants of a key live is [`family`]'s affair.

pub mod family;
mod normalise;

use md5::{Digest, Md5};

use crate::headers::{Headers, is_token, trim_ows};
use crate::hex;

pub use family::{
    Family, MAX_VARIANTS, Placement, begins_with, choose_slot, slot_key, slot_prefix,
};
pub use normalise::normalise;
pub(crate) use normalise::weight;

/// Most fields that a response may vary on.
const MAX_NAMES: usize = 64;
/// Longest list of them, in bytes.
const MAX_TEXT: usize = 1024;

/// The fields that a response varies on, in the one order that makes equal lists equal: lower case, sorted,
/// each once. Their text is a list separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names(Box<[u8]>);

/// No request matches the response but the one that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatchable {
    /// It varies on more than header fields: `*` (RFC 9110 12.5.5, RFC 9111 4.1).
    Any,
    /// A member of the list is no field name.
    Name,
    /// It varies on more fields than are kept apart.
    TooMany,
}

/// Reads the lines of Vary. Without any, or with empty ones only, the response doesn't vary.
///
/// # Errors
///
/// [`Unmatchable`] if a member of any line forbids using the response for another request.
pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Names, Unmatchable> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        // RFC 9110 5.6.1: empty members count for nothing.
        for member in line.split(|&b| b == b',').map(trim_ows) {
            match member {
                b"" => {}
                b"*" => return Err(Unmatchable::Any),
                name if is_token(name) => names.push(name.to_ascii_lowercase()),
                _ => return Err(Unmatchable::Name),
            }
        }
    }
    if names.is_empty() {
        return Ok(Names::default());
    }
    names.sort_unstable();
    names.dedup();
    let text = names.join(&b',');
    if names.len() > MAX_NAMES || text.len() > MAX_TEXT {
        return Err(Unmatchable::TooMany);
    }
    Ok(Names(text.into_boxed_slice()))
}

impl Names {
    /// Whether the response doesn't vary.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b',').filter(|name| !name.is_empty())
    }

    /// The names, separated by commas.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads what [`Names::as_bytes`] gives, and nothing else.
    fn from_text(text: &[u8]) -> Option<Self> {
        let names = parse(std::iter::once(text)).ok()?;
        (!names.is_empty() && names.as_bytes() == text).then_some(names)
    }
}

/// The header fields of a request, as the backend is asked with them.
pub trait RequestFields {
    /// Calls `take` with the value of each line of this name (in lower case), in order.
    fn lines(&self, name: &[u8], take: &mut dyn FnMut(&[u8]));
}

impl RequestFields for Headers {
    fn lines(&self, name: &[u8], take: &mut dyn FnMut(&[u8])) {
        self.get_all(name).for_each(take);
    }
}

/// Names a variant: a digest of the fields that it was selected by, so that requests which the RFC
/// takes for the same have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariantId(pub [u8; 16]);

impl VariantId {
    /// The variant that a request asks for, of a response that varies on `names`.
    #[must_use]
    pub fn of(names: &Names, request: &(impl RequestFields + ?Sized)) -> Self {
        let mut hash = Md5::new();
        for name in names.iter() {
            update(&mut hash, name);
            match joined(name, request) {
                // A field that is absent isn't one that is empty (RFC 9111 4.1).
                None => hash.update([0]),
                Some(value) => {
                    hash.update([1]);
                    update(&mut hash, &normalise(name, &value));
                }
            }
        }
        Self(hash.finalize().into())
    }

    /// In lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> [u8; 32] {
        hex::encode16(&self.0)
    }

    /// Reads what [`VariantId::to_hex`] gives.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        hex::decode16(text).map(Self)
    }
}

/// A text and its length: no two lists of texts have the same digest.
fn update(hash: &mut Md5, text: &[u8]) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

/// The lines of a field as one value (RFC 9110 5.3). `None` if there is none.
fn joined(name: &[u8], request: &(impl RequestFields + ?Sized)) -> Option<Vec<u8>> {
    let mut value: Option<Vec<u8>> = None;
    request.lines(name, &mut |line| match &mut value {
        None => value = Some(line.to_vec()),
        Some(value) => {
            value.push(b',');
            value.extend_from_slice(line);
        }
    });
    value
}

/// What a response varies on, and the variant that it is: that of the request it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The fields.
    pub on: Names,
    /// Which one it is.
    pub id: VariantId,
}

/// The variant that a request asks for, of a response that varies on these fields; `None` if the
/// request isn't known any more.
pub type Select<'a> = &'a dyn Fn(&Names) -> Option<VariantId>;
