//! The JSON form: `{"type": T, "selectors": [...], "purge": true|false}` (draft-nottingham-http-invalidation), and the answer
//! to any purge.

use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::entry::{Mode, Selector};
use super::labels::Site;
use super::request::{Purge, Refused, Target, begins_with};

/// Selectors of one request.
pub const MAX_SELECTORS: usize = 256;

/// Bytes of the body of one request.
pub const MAX_BODY: usize = 64 << 10;

/// Reads the body of a request. `own`: the site that it came to, to which groups and URIs without a scheme belong.
///
/// # Errors
///
/// What isn't understood.
pub fn parse_json(body: &[u8], own: &Site) -> Result<Purge, Refused> {
    if body.len() > MAX_BODY {
        return refused(format!("the body is larger than {MAX_BODY} bytes"));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refused(format!("the body is no JSON: {error}")))?;
    let Value::Object(members) = value else {
        return refused("the body is no JSON object".into());
    };
    if let Some(name) = members
        .keys()
        .find(|name| !matches!(name.as_str(), "type" | "selectors" | "purge"))
    {
        return refused(format!(
            "no such member: \"{name}\"; \"type\", \"selectors\" and \"purge\" are known"
        ));
    }
    let mode = match members.get("purge") {
        None | Some(Value::Bool(false)) => Mode::Soft,
        Some(Value::Bool(true)) => Mode::Hard,
        Some(_) => return refused("\"purge\" is true or false".into()),
    };
    let selectors = selectors(&members)?;
    let target = target(&members, &selectors, own)?;
    Ok(Purge { target, mode })
}

fn selectors(members: &Map<String, Value>) -> Result<Vec<&str>, Refused> {
    let selectors = match members.get("selectors") {
        None => return Ok(Vec::new()),
        Some(Value::Array(selectors)) => selectors,
        Some(_) => return refused("\"selectors\" is no array".into()),
    };
    if selectors.len() > MAX_SELECTORS {
        return refused(format!("there are more than {MAX_SELECTORS} selectors"));
    }
    let texts = selectors
        .iter()
        .map(|selector| selector.as_str().filter(|text| !text.is_empty()));
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| Refused("a selector is a string, and not empty".into()))
}

fn target(members: &Map<String, Value>, selectors: &[&str], own: &Site) -> Result<Target, Refused> {
    let kind = members.get("type").and_then(Value::as_str);
    if kind == Some("all") {
        if !selectors.is_empty() {
            return refused("\"all\" has no selectors".into());
        }
        return Ok(Target::Selected(vec![Selector::All]));
    }
    let select: fn(&str, &Site) -> Result<Selector, Refused> = match kind {
        Some("uri") => {
            let uris = selectors.iter().map(|text| uri(text, own));
            let uris = uris.collect::<Result<Vec<_>, _>>()?;
            return if uris.is_empty() {
                no_selector()
            } else {
                Ok(Target::Uris(uris))
            };
        }
        Some("uri-prefix") => |text, own| {
            let (site, path) = uri(text, own)?;
            begins_with(&site.host, &path)
        },
        Some("host") => |text, _| match site("http", text) {
            Some(site) if !text.contains(':') || text.ends_with(']') => {
                Ok(Selector::Host(site.host))
            }
            _ => refused(format!("\"{text}\" is no host, as \"www.example.com\"")),
        },
        Some("origin") => |text, _| {
            let parts = text.split_once("://");
            let site = parts.and_then(|(scheme, authority)| site(scheme, authority));
            site.map(Selector::Origin).ok_or_else(|| {
                Refused(format!(
                    "\"{text}\" is no origin, as \"https://www.example.com\""
                ))
            })
        },
        Some("tag") => |text, _| Ok(Selector::Label(Digest::of_tag(text.as_bytes()))),
        Some("group") => |text, own| Ok(Selector::Label(Digest::of_group(own, text.as_bytes()))),
        _ => {
            return refused(
                "\"type\" is \"uri\", \"uri-prefix\", \"host\", \"origin\", \"tag\", \"group\" or \"all\"".into(),
            );
        }
    };
    let selected = selectors
        .iter()
        .map(|text| select(text, own))
        .collect::<Result<Vec<_>, _>>()?;
    if selected.is_empty() {
        no_selector()
    } else {
        Ok(Target::Selected(selected))
    }
}

/// The site of an absolute URI or of the request, and the target.
fn uri(text: &str, own: &Site) -> Result<(Site, Vec<u8>), Refused> {
    if text.starts_with('/') {
        return Ok((own.clone(), text.as_bytes().to_vec()));
    }
    let wrong = || {
        Refused(format!(
            "\"{text}\" is no URI, as \"https://www.example.com/path\" or \"/path\""
        ))
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at_checked(at).ok_or_else(wrong)?,
        None => (rest, "/"),
    };
    let site = site(scheme, authority).ok_or_else(wrong)?;
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok((site, path.into_bytes()))
}

fn site(scheme: &str, authority: &str) -> Option<Site> {
    let https = if scheme.eq_ignore_ascii_case("https") {
        true
    } else if scheme.eq_ignore_ascii_case("http") {
        false
    } else {
        return None;
    };
    let port = crate::uri::port_of(authority.as_bytes());
    let host = match port {
        [] => authority.strip_suffix(':').unwrap_or(authority),
        port => authority.get(..authority.len().checked_sub(port.len() + 1)?)?,
    };
    let number = match port {
        [] => None,
        port => Some(std::str::from_utf8(port).ok()?.parse().ok()?),
    };
    let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ',', '*']);
    is_host.then(|| Site::new(https, host.as_bytes(), number))?
}

fn no_selector<T>() -> Result<T, Refused> {
    refused("\"selectors\" names nothing".into())
}

fn refused<T>(why: String) -> Result<T, Refused> {
    Err(Refused(why))
}

/// The answer to a purge. `purged`: how many records were deleted, or how many selectors were noted.
#[must_use]
pub fn answer(purged: u64, purge: &Purge) -> String {
    let (kind, mode) = (purge.target.kind(), purge.mode.as_str());
    json!({"purged": purged, "kind": kind, "mode": mode}).to_string()
}
