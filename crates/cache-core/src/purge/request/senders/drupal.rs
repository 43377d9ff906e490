//! Drupal.

use super::by_tag;
use crate::purge::fields::Separators;
use crate::purge::request::{Purge, Refusal, Request, below, field, mode, of_selectors};
use crate::purge::selector::Selector;

/// - varnish_purge: `BAN` with `Cache-Tags: a b`; without configuration `BAN /tags` likewise, `BAN <path>*`, and `PURGE
///   /site` or `BAN /site` for everything, with the cache's own Host
/// - HTTP purger: `BAN` with `Purge-Cache-Tags: a b`, or `a|b`
pub(super) fn any(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    let is_ban = request.method == b"BAN";
    if !is_ban && request.method != b"PURGE" {
        return Ok(None);
    }
    let mut tags = Vec::new();
    let mut has_tags = false;
    for name in [&b"cache-tags"[..], b"purge-cache-tags"] {
        if let Some(value) = field(request, name) {
            has_tags = true;
            for part in value.split(|&b| b == b'|') {
                Separators::Either.words(part, &mut |tag| tags.push(tag.to_vec()));
            }
        }
    }
    if has_tags && is_ban {
        return by_tags(request, &tags).map(Some);
    }
    if has_tags {
        return Ok(None);
    }
    match request.target {
        b"/site" => of_selectors(mode(request), vec![Selector::all()]).map(Some),
        b"/tags" if is_ban => Err(Refusal::new("BAN /tags needs Cache-Tags")),
        [start @ .., b'*'] if is_ban && !start.contains(&b'*') => below(request, start).map(Some),
        target if is_ban && target.contains(&b'*') => Err(Refusal::new(
            "of patterns only a \"*\" at the end of a path is understood",
        )),
        _ => Ok(None),
    }
}

fn by_tags(request: &Request<'_>, tags: &[Vec<u8>]) -> Result<Purge, Refusal> {
    if tags
        .iter()
        .any(|tag| tag.iter().any(|b| b"()^$\\*".contains(b)))
    {
        return Err(Refusal::new(
            "tags are separated by blanks or \"|\"; regular expressions aren't understood",
        ));
    }
    of_selectors(mode(request), tags.iter().map(|tag| by_tag(tag)).collect())
}
