//! The JSON form of a purge: that of draft-nottingham-http-invalidation, with more types.

use serde_json::{Map, Value};

use super::{Purge, Refusal, Uri, of_selectors};
use crate::purge::kind::{Kind, Mode};
use crate::purge::selector::{Scope, Selector, authority};
use crate::purge::tag_id::TagId;
use crate::uri::{Origin, Target, percent_encode};

/// Longest body, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// Most selectors of a body.
pub const MAX_SELECTORS: usize = 256;

/// The purge that a body asks for. `own` is the origin that the request was sent to: that of a path, and of a group where
/// `groups` says nothing else.
///
/// `{"type": T, "selectors": [...], "purge": true|false}`; soft unless `purge` is true. T is
/// - `uri`, `uri-prefix`: absolute URIs, `//host/path` for any scheme and port, or paths. A `*` at the end of a prefix is
///   passed over
/// - `host`, `origin`, `tag`
/// - `group`: groups of the own origin; or, as the draft has it, selectors are origins and `groups` has the groups
/// - `all`: without selectors
///
/// Members of other names count for nothing, as the draft demands.
///
/// # Errors
///
/// [`Refusal`] for all else.
pub fn json(body: &[u8], own: Option<&Origin>) -> Result<Purge, Refusal> {
    if body.len() > MAX_BODY {
        return Err(refusal(format!("the body is longer than {MAX_BODY} bytes")));
    }
    let object: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| refusal(format!("the body is no JSON object: {error}")))?;
    let mode = mode(&object)?;
    let Some(Value::String(of_type)) = object.get("type") else {
        return Err(refusal("\"type\" is missing, or no string"));
    };
    if of_type == "all" {
        if object.get("selectors").is_some_and(|list| !is_empty(list)) {
            return Err(refusal("type \"all\" has no \"selectors\""));
        }
        return of_selectors(mode, vec![Selector::all()]);
    }
    let texts = strings(&object, "selectors")?;
    let each = |one: &dyn Fn(&str) -> Result<Selector, Refusal>| {
        let selectors = texts.iter().map(|text| one(text)).collect::<Result<_, _>>();
        of_selectors(mode, selectors?)
    };
    match of_type.as_str() {
        "uri" => uris(mode, &texts, own),
        "uri-prefix" => each(&|text| prefix(text, own)).map(|purge| Purge {
            kind: Kind::Prefix,
            ..purge
        }),
        "host" => each(&host),
        "origin" => {
            each(&|text| origin(text).map(|origin| Selector::Within(Scope::Origin(origin))))
        }
        "tag" => each(&|text| Ok(Selector::Tag(TagId::of_tag(text.as_bytes())))),
        "group" => of_selectors(mode, groups(&object, &texts, own)?),
        other => Err(refusal(format!(
            "type \"{}\" isn't known: it is one of uri, uri-prefix, host, origin, tag, group, all",
            other.escape_default()
        ))),
    }
}

fn mode(object: &Map<String, Value>) -> Result<Mode, Refusal> {
    match object.get("purge") {
        None | Some(Value::Bool(false)) => Ok(Mode::Soft),
        Some(Value::Bool(true)) => Ok(Mode::Hard),
        Some(_) => Err(refusal("\"purge\" is neither true nor false")),
    }
}

fn is_empty(list: &Value) -> bool {
    list.is_null() || list.as_array().is_some_and(Vec::is_empty)
}

/// The strings of a list that has some.
fn strings<'a>(object: &'a Map<String, Value>, name: &str) -> Result<Vec<&'a str>, Refusal> {
    let Some(Value::Array(list)) = object.get(name) else {
        return Err(refusal(format!("\"{name}\" is missing, or no array")));
    };
    if list.is_empty() {
        return Err(refusal(format!("\"{name}\" is empty")));
    }
    if list.len() > MAX_SELECTORS {
        return Err(too_many(name, list.len()));
    }
    let text = |value: &'a Value| value.as_str().filter(|text| !text.is_empty());
    list.iter().map(text).collect::<Option<_>>().ok_or_else(|| {
        refusal(format!(
            "\"{name}\" has a member that is no string, or an empty one"
        ))
    })
}

fn uris(mode: Mode, texts: &[&str], own: Option<&Origin>) -> Result<Purge, Refusal> {
    let (mut keys, mut selectors) = (Vec::new(), Vec::new());
    for text in texts {
        let (scope, path) = parts(text, own)?;
        let target = Target::of_request(&path).ok_or_else(|| no_uri(text))?;
        let uri = match scope {
            Scope::Origin(origin) if Some(&origin) == own && text.starts_with('/') => {
                Uri::Here(target)
            }
            Scope::Origin(origin) => Uri::At(origin, target),
            // a key has a scheme
            scope => {
                selectors.push(Selector::uri(scope, &path).ok_or_else(|| no_uri(text))?);
                continue;
            }
        };
        if !keys.contains(&uri) {
            keys.push(uri);
        }
    }
    selectors.sort_unstable();
    selectors.dedup();
    Ok(Purge {
        kind: Kind::Key,
        mode,
        keys,
        selectors,
    })
}

fn prefix(text: &str, own: Option<&Origin>) -> Result<Selector, Refusal> {
    let (scope, path) = parts(text.strip_suffix('*').unwrap_or(text), own)?;
    // a path is that of a host: which scheme its clients use, the sender may not know
    let scope = match scope {
        Scope::Origin(origin) if !text.starts_with('/') => Scope::Origin(origin),
        Scope::Origin(origin) => Scope::host(origin.host()).ok_or_else(|| no_uri(text))?,
        scope => scope,
    };
    Selector::prefix(scope, &path).ok_or_else(|| no_uri(text))
}

fn host(text: &str) -> Result<Selector, Refusal> {
    Scope::host(text.as_bytes())
        .map(Selector::Within)
        .ok_or_else(|| {
            let text = text.escape_default();
            refusal(format!(
                "\"{text}\" is no host: write it as example.com, without scheme and port"
            ))
        })
}

fn origin(text: &str) -> Result<Origin, Refusal> {
    let bytes = text.as_bytes();
    authority(bytes.strip_suffix(b"/").unwrap_or(bytes))
        .and_then(|(https, authority)| Origin::new(https, authority))
        .ok_or_else(|| {
            let text = text.escape_default();
            refusal(format!(
                "\"{text}\" is no origin: write it as https://example.com:443"
            ))
        })
}

fn groups(
    object: &Map<String, Value>,
    texts: &[&str],
    own: Option<&Origin>,
) -> Result<Vec<Selector>, Refusal> {
    let of = |origin: &Origin, groups: &[&str]| -> Vec<Selector> {
        let id = |group: &&str| Selector::Group(TagId::of_group(origin, group.as_bytes()));
        groups.iter().map(id).collect()
    };
    if !object.contains_key("groups") {
        let own = own.ok_or_else(|| refusal("the request names no host: send the field Host"))?;
        return Ok(of(own, texts));
    }
    let groups = strings(object, "groups")?;
    let selectors = texts.len() * groups.len();
    if selectors > MAX_SELECTORS {
        return Err(too_many("groups", selectors));
    }
    let mut found = Vec::with_capacity(selectors);
    for text in texts {
        found.extend(of(&origin(text)?, &groups));
    }
    Ok(found)
}

/// Where a URI is, and its path with its arguments. Bytes that aren't ASCII are percent-encoded (RFC 3987 3.1).
fn parts(text: &str, own: Option<&Origin>) -> Result<(Scope, Vec<u8>), Refusal> {
    let bytes = text.as_bytes();
    if bytes.iter().any(|b| *b <= b' ' || *b == 0x7f) {
        return Err(no_uri(text));
    }
    let split = |text| {
        let end = |b: &u8| b"/?#".contains(b);
        <[u8]>::split_at(text, text.iter().position(end).unwrap_or(text.len()))
    };
    let (scope, path) = if let Some((https, rest)) = authority(bytes) {
        let (authority, path) = split(rest);
        (Origin::new(https, authority).map(Scope::Origin), path)
    } else if let Some(rest) = bytes.strip_prefix(b"//") {
        let (host, path) = split(rest);
        (Scope::host(host), path)
    } else {
        (own.cloned().map(Scope::Origin), bytes)
    };
    let path = if path.starts_with(b"/") {
        path.to_vec()
    } else if path.len() < bytes.len() {
        // "https://example.com?a"
        [b"/", path].concat()
    } else {
        return Err(no_uri(text));
    };
    let scope = scope.ok_or_else(|| no_uri(text))?;
    Ok((scope, percent_encode(&path)))
}

fn no_uri(text: &str) -> Refusal {
    let text = text.escape_default();
    refusal(format!(
        "\"{text}\" is no URI: write it as https://example.com/path, or /path"
    ))
}

fn too_many(name: &str, count: usize) -> Refusal {
    refusal(format!(
        "\"{name}\" has {count} members; {MAX_SELECTORS} is the most"
    ))
}

fn refusal(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(sentence)
}
