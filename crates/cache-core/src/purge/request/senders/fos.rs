//! FOSHttpCache, by its three clients.

use super::wordpress::behind_purge;
use super::{by_pattern, by_tag, unread};
use crate::purge::fields::Separators;
use crate::purge::request::pattern::{self, HostPattern, UrlPattern};
use crate::purge::request::{Purge, Refusal, Request, at, field, mode, of_selectors, plain};
use crate::purge::selector::{Scope, Selector};
use crate::uri::Origin;

/// nginx: `GET` with `X-Refresh: 1`.
pub(super) fn refreshes(request: &Request<'_>) -> bool {
    matches!(request.method, b"GET" | b"HEAD")
        && field(request, b"x-refresh").is_some_and(|value| value == b"1")
}

/// - Varnish: `BAN /` with `X-Host`, `X-Url` and `X-Content-Type`, or with `X-Cache-Tags`
/// - Symfony: `PURGETAGS /` with `X-Cache-Tags: a,b`; `PURGE /` with `Clear-Cache: true`
pub(super) fn by_fields(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    let tags = field(request, b"x-cache-tags");
    match (request.method, tags) {
        (b"BAN", tags) => ban(request, tags),
        (b"PURGETAGS", Some(tags)) => {
            let mut selectors = Vec::new();
            Separators::Commas.words(&tags, &mut |tag| selectors.push(by_tag(tag)));
            of_selectors(mode(request), selectors).map(Some)
        }
        (b"PURGE", None) if field(request, b"clear-cache").is_some_and(|v| v == b"true") => {
            of_selectors(mode(request), vec![Selector::all()]).map(Some)
        }
        _ => Ok(None),
    }
}

/// nginx, with a location for purges: `PURGE /purge<url>`. Whether there is one isn't known, so what is named both ways is
/// purged.
pub(super) fn by_location(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    let behind = request
        .target
        .strip_prefix(b"/purge")
        .and_then(behind_purge);
    let Some(target) = behind.filter(|_| request.method == b"PURGE") else {
        return Ok(None);
    };
    if unread(request).is_some() {
        return Ok(None);
    }
    let (mut purge, other) = (plain(request)?, at(request, &target)?);
    purge.keys.extend(other.keys);
    purge.selectors.extend(other.selectors);
    Ok(Some(purge))
}

fn ban(request: &Request<'_>, tags: Option<Vec<u8>>) -> Result<Option<Purge>, Refusal> {
    let [host, url, content] =
        [&b"x-host"[..], b"x-url", b"x-content-type"].map(|name| field(request, name));
    if tags.is_none() && host.is_none() && url.is_none() && content.is_none() {
        return Ok(None);
    }
    if content.is_some_and(|pattern| pattern != b".*") {
        return Err(Refusal::new(
            "X-Content-Type isn't understood: nothing is selected by its type",
        ));
    }
    let hosts = pattern::hosts(&host.unwrap_or_default()).ok_or_else(|| {
        Refusal::new("X-Host isn't understood: of regular expressions only ^(a|b)$ and .* are")
    })?;
    let url = pattern::url(&url.unwrap_or_default()).ok_or_else(|| {
        Refusal::new(
            "X-Url isn't understood: of regular expressions only ^/path, /path.*, ^/path$ and .* are",
        )
    })?;
    if let Some(tags) = tags {
        if hosts != HostPattern::Any || url != UrlPattern::Any {
            return Err(Refusal::new(
                "X-Cache-Tags goes with X-Host and X-Url only where those are .*",
            ));
        }
        return by_pattern(request, "X-Cache-Tags", &tags).map(Some);
    }
    by_places(request, &hosts, &url).map(Some)
}

fn by_places(
    request: &Request<'_>,
    hosts: &HostPattern,
    url: &UrlPattern,
) -> Result<Purge, Refusal> {
    let scopes = match hosts {
        HostPattern::Any => Some(vec![Scope::Any]),
        HostPattern::Hosts(hosts) => hosts.iter().map(|host| scope(host)).collect(),
    };
    let selectors = scopes.and_then(|scopes| {
        let one = |scope: Scope| match url {
            UrlPattern::Any => Some(Selector::Within(scope)),
            UrlPattern::Begins(text) => Selector::prefix(scope, text),
            UrlPattern::Is(text) => Selector::uri(scope, text),
        };
        scopes.into_iter().map(one).collect::<Option<Vec<_>>>()
    });
    let selectors =
        selectors.ok_or_else(|| Refusal::new("X-Host names something that is no host"))?;
    of_selectors(mode(request), selectors)
}

/// A host as the field Host has it. Its port counts for nothing.
fn scope(host: &[u8]) -> Option<Scope> {
    Scope::host(Origin::new(false, host)?.host())
}
