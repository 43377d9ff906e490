//! The requests that content management systems and libraries send (`redis_cache_purge_style`).
//!
//! Only these forms are known. A request that looks like another one is refused: an answer that says it is done must not
//! stand for a purge of less than was meant.

mod drupal;
mod fos;
mod wordpress;

use super::pattern::{self, TagPattern};
use super::style::{Style, Styles};
use super::{Asked, Purge, Refusal, Request, field, mode, of_selectors, plain};
use crate::headers::trim_ows;
use crate::purge::fields::Separators;
use crate::purge::kind::Mode;
use crate::purge::selector::Selector;
use crate::purge::tag_id::TagId;

/// Fields that make a request more than one for its URI, and the style that reads them.
const MEANINGFUL: [(&[u8], Style); 10] = [
    (b"X-Magento-Tags-Pattern", Style::Magento),
    (b"ApiPlatform-Ban-Regex", Style::ApiPlatform),
    (b"X-Cache-Tags", Style::Fos),
    (b"Clear-Cache", Style::Fos),
    (b"xkey", Style::Varnish),
    (b"xkey-purge", Style::Varnish),
    (b"xkey-softpurge", Style::Varnish),
    (b"Cache-Tags", Style::Drupal),
    (b"Purge-Cache-Tags", Style::Drupal),
    (b"X-Ban-Regex", Style::Wordpress),
];

/// What a request asks for in one of these styles. `None` if it is no request of theirs.
///
/// # Errors
///
/// [`Refusal`] if it is one, but not of a form that is known.
pub fn asked(request: &Request<'_>, styles: Styles) -> Result<Option<Asked>, Refusal> {
    if styles.is_empty() {
        return Ok(None);
    }
    if styles.has(Style::Fos) && fos::refreshes(request) {
        return Ok(Some(Asked::Refresh));
    }
    purge(request, styles).map(|purge| purge.map(Asked::Purge))
}

fn purge(request: &Request<'_>, styles: Styles) -> Result<Option<Purge>, Refusal> {
    type Form = fn(&Request<'_>) -> Result<Option<Purge>, Refusal>;
    const FORMS: [(&[Style], Form); 7] = [
        (&[Style::Magento], magento),
        (&[Style::ApiPlatform], api_platform),
        (&[Style::Varnish, Style::Fos, Style::ApiPlatform], xkey),
        (&[Style::Fos], fos::by_fields),
        (&[Style::Drupal], drupal::any),
        (&[Style::Wordpress], wordpress::any),
        (&[Style::Fos], fos::by_location),
    ];
    for (of, form) in FORMS {
        if styles.has_any(of)
            && let Some(purge) = form(request)?
        {
            return Ok(Some(purge));
        }
    }
    if !is_claimed(request.method, styles) {
        return Ok(None);
    }
    if let Some((name, style)) = unread(request) {
        let (name, style) = (String::from_utf8_lossy(name), style.as_str());
        return Err(Refusal::new(format!(
            "{name} isn't read here: it belongs to another method, or to \"redis_cache_purge_style {style}\""
        )));
    }
    match request.method {
        b"PURGE" => plain(request).map(Some),
        b"PURGEKEYS" => Err(Refusal::new("PURGEKEYS needs xkey-purge or xkey-softpurge")),
        b"PURGETAGS" => Err(Refusal::new("PURGETAGS needs X-Cache-Tags")),
        _ => Err(Refusal::new(
            "BAN needs a field that says what is banned, such as X-Url, X-Cache-Tags or Cache-Tags",
        )),
    }
}

/// A field that makes the request more than one for its URI, and the style that reads it.
fn unread(request: &Request<'_>) -> Option<(&'static [u8], Style)> {
    if wordpress::is_regex(request) {
        return Some((b"X-Purge-Method", Style::Wordpress));
    }
    MEANINGFUL
        .into_iter()
        .find(|(name, _)| field(request, &name.to_ascii_lowercase()).is_some())
}

/// The methods that ask for a purge and nothing else.
const METHODS: [&str; 4] = ["PURGE", "BAN", "PURGEKEYS", "PURGETAGS"];

/// Whether a request of this method asks for a purge, in whatever style.
#[must_use]
pub fn is_of_purges(method: &[u8]) -> bool {
    METHODS.iter().any(|known| known.as_bytes() == method)
}

/// The methods that are requests of one of these styles, whatever else they say.
pub fn claimed(styles: Styles) -> impl Iterator<Item = &'static str> {
    METHODS
        .into_iter()
        .filter(move |method| !styles.is_empty() && is_claimed(method.as_bytes(), styles))
}

/// Whether a request of this method is one of these styles whatever else it says.
fn is_claimed(method: &[u8], styles: Styles) -> bool {
    match method {
        b"PURGE" => true,
        b"BAN" => styles.has_any(&[
            Style::Varnish,
            Style::Fos,
            Style::Drupal,
            Style::ApiPlatform,
        ]),
        b"PURGEKEYS" => styles.has_any(&[Style::Varnish, Style::Fos]),
        b"PURGETAGS" => styles.has(Style::Fos),
        _ => false,
    }
}

/// Magento 2: `PURGE /` with `X-Magento-Tags-Pattern`. Its Host is the cache's own.
fn magento(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    match field(request, b"x-magento-tags-pattern") {
        Some(pattern) if request.method == b"PURGE" => {
            by_pattern(request, "X-Magento-Tags-Pattern", &pattern).map(Some)
        }
        _ => Ok(None),
    }
}

/// API Platform: `BAN` with `ApiPlatform-Ban-Regex`.
fn api_platform(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    match field(request, b"apiplatform-ban-regex") {
        Some(pattern) if request.method == b"BAN" => {
            by_pattern(request, "ApiPlatform-Ban-Regex", &pattern).map(Some)
        }
        _ => Ok(None),
    }
}

/// The module xkey of Varnish: `PURGEKEYS` of FOSHttpCache, `PURGE` of API Platform. Of both fields together, the one that
/// does more says how.
fn xkey(request: &Request<'_>) -> Result<Option<Purge>, Refusal> {
    if !matches!(request.method, b"PURGE" | b"PURGEKEYS") {
        return Ok(None);
    }
    const FIELDS: [(&[u8], Option<Mode>); 3] = [
        (b"xkey-softpurge", Some(Mode::Soft)),
        (b"xkey-purge", Some(Mode::Hard)),
        (b"xkey", None),
    ];
    let (mut how, mut tags) = (None, Vec::new());
    for (name, by_name) in FIELDS {
        if let Some(value) = field(request, name) {
            let by_name = by_name.unwrap_or_else(|| mode(request));
            how = how.max(Some(by_name));
            Separators::Either.words(&value, &mut |tag| tags.push(by_tag(tag)));
        }
    }
    how.map(|how| of_selectors(how, tags)).transpose()
}

/// A purge by the pattern of tags that a field has.
fn by_pattern(request: &Request<'_>, name: &str, pattern: &[u8]) -> Result<Purge, Refusal> {
    let selectors = match pattern::tags(pattern) {
        Some(TagPattern::Any) => vec![Selector::all()],
        Some(TagPattern::Tags(tags)) => tags.iter().flat_map(|tag| by_text(tag)).collect(),
        None => {
            return Err(Refusal::new(format!(
                "{name} isn't understood: of regular expressions only lists of tags are, such as \
                 (^|,)(a|b)(,|$) or ((^|,)a(,|$))|((^|,)b(,|$)), and .*"
            )));
        }
    };
    of_selectors(mode(request), selectors)
}

/// A tag, and if it has commas, its parts: in the response they may have been tags of their own.
fn by_text(text: &[u8]) -> Vec<Selector> {
    let mut found = vec![by_tag(trim_ows(text))];
    if text.contains(&b',') {
        Separators::Commas.words(text, &mut |part| found.push(by_tag(part)));
    }
    found
}

fn by_tag(tag: &[u8]) -> Selector {
    Selector::Tag(TagId::of_tag(tag))
}
