//! WordPress.

use crate::purge::request::pattern;
use crate::purge::request::{Purge, Refusal, Request, at, below, field, host, mode, of_selectors};
use crate::purge::selector::Selector;

/// - nginx-helper: `GET /purge<path>`; `PURGE /purgeall`: its site
/// - proxy-cache-purge: `PURGE <url>`; `PURGE /.*` and `PURGE <path>.*` with `X-Purge-Method: regex`; `X-Ban-Regex`
/// - W3 Total Cache: `PURGE <url>`; `PURGE /.*`
pub(super) fn any(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    match request.method {
        b"GET" => request
            .target
            .strip_prefix(b"/purge")
            .and_then(behind_purge)
            .map(|target| at(request, &target))
            .transpose(),
        b"PURGE" => by_method(request),
        _ => Ok(None),
    }
}

/// What is to be purged: a path, arguments, or nothing. `None` if it is the rest of a longer word.
pub(super) fn behind_purge(rest: &[u8]) -> Option<Vec<u8>> {
    match rest.first() {
        Some(b'/') => Some(rest.to_vec()),
        Some(b'?') | None => Some([b"/", rest].concat()),
        Some(_) => None,
    }
}

fn by_method(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    if request.target == b"/purgeall" {
        let selector = Selector::Within(host(request)?);
        return of_selectors(mode(request), vec![selector]).map(Some);
    }
    if let Some(pattern) = field(request, b"x-ban-regex") {
        return with_any_arguments(request, &pattern).map(Some);
    }
    if is_regex(request) || without_rest(request.target).is_some() {
        return by_regex(request).map(Some);
    }
    Ok(None)
}

/// Whether the request says that its target is a regular expression.
pub(super) fn is_regex(request: &Request<'_>) -> bool {
    field(request, b"x-purge-method").is_some_and(|method| method.eq_ignore_ascii_case(b"regex"))
}

/// A target that is a regular expression. The beginning of a path is all that they write.
fn by_regex(request: &Request<'_>) -> Result<Purge, Refusal> {
    let start = without_rest(request.target).unwrap_or(request.target);
    if start.iter().any(|b| br"\^$*()[]{}|".contains(b)) {
        return Err(Refusal::new(
            "of regular expressions only \".*\" at the end of a path is understood",
        ));
    }
    below(request, start)
}

/// What is before `.*` or `(.*)`, if that is the end of the path. Arguments behind it are those of a page, and would match
/// nothing.
fn without_rest(target: &[u8]) -> Option<&[u8]> {
    let path = target.split(|&b| b == b'?').next()?;
    [&b"(.*)"[..], b".*"]
        .into_iter()
        .find_map(|end| path.strip_suffix(end))
}

/// proxy-cache-purge, method `ban-regex`: a page with any arguments, with a slash at its end or without.
fn with_any_arguments(request: &Request<'_>, pattern: &[u8]) -> Result<Purge, Refusal> {
    let path = pattern::any_arguments(pattern).ok_or_else(|| {
        Refusal::new(r"X-Ban-Regex isn't understood: only ^/path($|/$|\?.*|/\?.*) is")
    })?;
    let host = host(request)?;
    let slash = [path, b"/"].concat();
    let ends = [path, &*slash].map(|path| (path.to_vec(), [path, b"?"].concat()));
    let selectors = ends
        .iter()
        .filter(|(path, _)| !path.is_empty())
        .flat_map(|(path, arguments)| {
            [
                Selector::uri(host.clone(), path),
                Selector::prefix(host.clone(), arguments),
            ]
        })
        .flatten()
        .collect();
    of_selectors(mode(request), selectors)
}
