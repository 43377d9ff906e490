//! Which purge a request asks for.

mod answer;
mod json;
mod pattern;
mod senders;
mod style;

use std::borrow::Cow;
use std::fmt;

use super::kind::{Kind, Mode};
use super::selector::{Scope, Selector};
use crate::uri::{Origin, Target};
use crate::vary::RequestFields;

pub use answer::{done, failed, refused};
pub use json::{MAX_BODY, MAX_SELECTORS as MAX_JSON_SELECTORS, json};
pub use senders::{asked, claimed, is_of_purges};
pub use style::{Style, Styles};

/// Most selectors of one request. 7,500 bytes of tags, which senders put into a field, are fewer.
const MAX_SELECTORS: usize = 2048;

/// A request that may ask for a purge.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its method, as it came.
    pub method: &'a [u8],
    /// Its target in origin form, as it came.
    pub target: &'a [u8],
    /// Its origin, by scheme and Host. `None` if it names no host.
    pub origin: Option<&'a Origin>,
    /// Its header.
    pub fields: &'a dyn RequestFields,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A purge.
    Purge(Purge),
    /// That the response be fetched anew and stored (FOSHttpCache's refresh).
    Refresh,
}

/// A purge: by keys, by entries of the log, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// The kind, for the answer.
    pub kind: Kind,
    /// What becomes of the records.
    pub mode: Mode,
    /// URIs whose records are purged by key.
    pub keys: Vec<Uri>,
    /// What is put into the log: each once.
    pub selectors: Vec<Selector>,
}

/// A URI whose record is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// The request's own.
    Own,
    /// Another one of the request's own origin.
    Here(Target),
    /// One of this origin.
    At(Origin, Target),
}

impl Uri {
    /// The same as an entry of the log, for where its key can't be known: if a key isn't made of the URI alone, or another
    /// host's location makes it. Scheme and port of a purge through a proxy say nothing, so those of the request's own host
    /// count for nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the request names no host.
    pub fn selector(&self, request: &Request<'_>) -> Result<Selector, Refusal> {
        let found = match self {
            Self::Own => Selector::uri(host(request)?, request.target),
            Self::Here(target) => Selector::uri(host(request)?, &target.in_origin_form()),
            Self::At(origin, target) => {
                Selector::uri(Scope::Origin(origin.clone()), &target.in_origin_form())
            }
        };
        found.ok_or_else(no_path)
    }
}

/// Why a request that asks for a purge isn't understood: a sentence for its sender, who gets it with status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Cow<'static, str>);

impl Refusal {
    fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// What a request asks for that `redis_cache_purge` takes for a purge: the record of its URI, or all whose URI begins so if
/// it ends in `*`, or in `.*` as senders of regular expressions write it. A URI that has a `*` there itself is written
/// with `%2A`.
///
/// # Errors
///
/// [`Refusal`] if it names no URI or no host.
pub fn plain(request: &Request<'_>) -> Result<Purge, Refusal> {
    at(request, request.target)
}

/// The same for another URI of the request's origin.
fn at(request: &Request<'_>, target: &[u8]) -> Result<Purge, Refusal> {
    if let Some(start) = target.strip_suffix(b"*") {
        return below(request, start.strip_suffix(b".").unwrap_or(start));
    }
    let uri = if target == request.target {
        Uri::Own
    } else {
        Uri::Here(Target::of_request(target).ok_or_else(no_path)?)
    };
    if !target.starts_with(b"/") {
        return Err(no_path());
    }
    Ok(Purge {
        kind: Kind::Key,
        mode: mode(request),
        keys: vec![uri],
        selectors: Vec::new(),
    })
}

/// All that begin so, at the request's host.
fn below(request: &Request<'_>, start: &[u8]) -> Result<Purge, Refusal> {
    let selector = Selector::prefix(host(request)?, start).ok_or_else(no_path)?;
    let purge = of_selectors(mode(request), vec![selector])?;
    Ok(Purge {
        kind: Kind::Prefix,
        ..purge
    })
}

/// A purge by entries of the log, at least one.
fn of_selectors(mode: Mode, mut selectors: Vec<Selector>) -> Result<Purge, Refusal> {
    let Some(kind) = selectors.first().map(Selector::kind) else {
        return Err(Refusal::new("the request names nothing to purge"));
    };
    selectors.sort_unstable();
    selectors.dedup();
    if selectors.len() > MAX_SELECTORS {
        return Err(Refusal::new(format!(
            "the request names {} tags; {MAX_SELECTORS} is the most, send several requests",
            selectors.len()
        )));
    }
    Ok(Purge {
        kind,
        mode,
        keys: Vec::new(),
        selectors,
    })
}

/// Hard, unless the field that Fastly has for it asks for less.
fn mode(request: &Request<'_>) -> Mode {
    match field(request, b"fastly-soft-purge") {
        Some(value) if value == b"1" => Mode::Soft,
        _ => Mode::Hard,
    }
}

/// The request's host, with any scheme and port: proxies change both.
fn host(request: &Request<'_>) -> Result<Scope, Refusal> {
    request
        .origin
        .and_then(|origin| Scope::host(origin.host()))
        .ok_or_else(|| Refusal::new("the request names no host: send the field Host"))
}

/// A field of the request, its lines joined as RFC 9110 5.3 has it, without blanks at the ends.
fn field(request: &Request<'_>, name: &[u8]) -> Option<Vec<u8>> {
    let mut value: Option<Vec<u8>> = None;
    request.fields.lines(name, &mut |line| {
        let line = crate::headers::trim_ows(line);
        match &mut value {
            None => value = Some(line.to_vec()),
            Some(value) => {
                value.push(b',');
                value.extend_from_slice(line);
            }
        }
    });
    value
}

fn no_path() -> Refusal {
    Refusal::new("the request's target is no path that begins with \"/\"")
}
