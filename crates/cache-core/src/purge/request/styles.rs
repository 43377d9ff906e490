//! The requests of known software.

use super::super::digest::Digest;
use super::super::entry::{Mode, Selector};
use super::super::fields::words;
use super::pattern::{self, Uris};
use super::{Asked, Purge, Refused, Target, begins_with, hard, uri};

/// Whose requests are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Plugins for Varnish: `PURGE`, also by `xkey`.
    Varnish,
    /// FOSHttpCache, for Varnish, nginx and Symfony.
    Fos,
    /// Magento 2.
    Magento,
    /// Drupal with its purge modules.
    Drupal,
    /// WordPress: nginx-helper, Proxy Cache Purge, W3 Total Cache.
    Wordpress,
    /// API Platform.
    ApiPlatform,
}

impl Style {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Varnish,
        Self::Fos,
        Self::Magento,
        Self::Drupal,
        Self::Wordpress,
        Self::ApiPlatform,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Varnish => "varnish",
            Self::Fos => "fos",
            Self::Magento => "magento",
            Self::Drupal => "drupal",
            Self::Wordpress => "wordpress",
            Self::ApiPlatform => "api-platform",
        }
    }

    /// The style of a name.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|style| style.name().as_bytes() == name)
    }

    /// Reads a request by several styles. `None` if it is no purge by any of them.
    #[must_use]
    pub fn read_any(styles: &[Self], asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
        let mut refused = None;
        for style in styles {
            match style.read(asked) {
                Some(Ok(purge)) => return Some(Ok(purge)),
                Some(Err(why)) => {
                    refused.get_or_insert(why);
                }
                None => {}
            }
        }
        refused.map(Err)
    }

    /// Reads a request. `None` if it is no purge.
    #[must_use]
    pub fn read(self, asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
        match self {
            Self::Varnish => varnish(asked),
            Self::Fos => fos(asked),
            Self::Magento => magento(asked),
            Self::Drupal => drupal(asked),
            Self::Wordpress => wordpress(asked),
            Self::ApiPlatform => api_platform(asked),
        }
    }
}

fn varnish(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    match asked.method {
        b"PURGE" => Some(by_keys(asked).unwrap_or_else(|| by_target(asked, asked.target))),
        b"PURGEKEYS" => Some(by_keys(asked).unwrap_or_else(|| Err(no_field("xkey-purge")))),
        _ => None,
    }
}

fn fos(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    match asked.method {
        b"PURGE" if is_true((asked.field)("Clear-Cache").as_deref()) => {
            Some(Ok(hard(Selector::All)))
        }
        b"PURGE" => {
            let behind = asked.target.strip_prefix(b"/purge");
            let target = behind.filter(|target| target.first() == Some(&b'/'));
            Some(uri(asked, target.unwrap_or(asked.target)))
        }
        b"PURGETAGS" => Some(tagged(asked, "X-Cache-Tags")),
        b"PURGEKEYS" => Some(by_keys(asked).unwrap_or_else(|| Err(no_field("xkey-softpurge")))),
        b"BAN" => Some(fos_ban(asked)),
        _ => None,
    }
}

fn fos_ban(asked: &Asked<'_>) -> Result<Purge, Refused> {
    if let Some(tags) = (asked.field)("X-Cache-Tags").filter(|tags| tags != b".*") {
        return by_pattern("X-Cache-Tags", &tags);
    }
    let of_type = (asked.field)("X-Content-Type");
    if of_type.is_some_and(|pattern| pattern != b".*") {
        let why = "\"X-Content-Type\" can't be purged by: purge by tags, by host or by path";
        return Err(Refused(why.into()));
    }
    let (host, url) = ((asked.field)("X-Host"), (asked.field)("X-Url"));
    if host.is_none() && url.is_none() {
        return Err(no_field("X-Cache-Tags"));
    }
    let host = host.unwrap_or_else(|| b".*".to_vec());
    let url = url.unwrap_or_else(|| b".*".to_vec());
    let hosts = pattern::hosts(&host).ok_or_else(|| {
        not_understood(
            "X-Host",
            &host,
            "\".*\", \"example.com\" and \"^(a.com|b.com)$\"",
        )
    })?;
    let uris = pattern::uris(&url)
        .ok_or_else(|| not_understood("X-Url", &url, "\".*\", \"^/path\" and \"^/path$\""))?;
    banned(asked, hosts, &uris)
}

/// Records of these hosts, or of any, with these URIs.
fn banned(asked: &Asked<'_>, hosts: Option<Vec<Vec<u8>>>, uris: &Uris) -> Result<Purge, Refused> {
    let hosts = hosts.map(|hosts| {
        hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect::<Vec<_>>()
    });
    let Some(hosts) = hosts else {
        return Ok(hard(match uris {
            Uris::Any => Selector::All,
            Uris::Begin(path) | Uris::Exactly(path) => begins_with(Selector::ANY_HOST, path)?,
        }));
    };
    let mut selectors = Vec::with_capacity(hosts.len());
    for host in hosts {
        selectors.push(match uris {
            Uris::Any => Selector::Host(host),
            Uris::Begin(path) => begins_with(&host, path)?,
            Uris::Exactly(path) if host == asked.site.host => return uri(asked, path),
            Uris::Exactly(path) => begins_with(&host, path)?,
        });
    }
    Ok(Purge {
        target: Target::Selected(selectors),
        mode: Mode::Hard,
    })
}

fn magento(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    const FIELD: &str = "X-Magento-Tags-Pattern";
    if asked.method != b"PURGE" {
        return None;
    }
    let Some(tags) = (asked.field)(FIELD) else {
        return Some(match (asked.field)("X-Pool") {
            Some(_) => Err(no_field(FIELD)),
            None => uri(asked, asked.target),
        });
    };
    Some(match tags.as_slice() {
        b".*" => Ok(hard(Selector::All)),
        tags => by_pattern(FIELD, tags),
    })
}

fn drupal(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    const FIELDS: [&str; 2] = ["Cache-Tags", "Purge-Cache-Tags"];
    match (asked.method, asked.target) {
        (b"BAN" | b"PURGE", b"/site") => Some(Ok(hard(Selector::Host(asked.site.host.clone())))),
        (b"BAN", _) => {
            let field = FIELDS
                .into_iter()
                .find(|field| (asked.field)(field).is_some());
            Some(tagged(asked, field.unwrap_or("Cache-Tags")))
        }
        (b"PURGE", target) => Some(uri(asked, target)),
        _ => None,
    }
}

fn wordpress(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    match asked.method {
        b"GET" => {
            let target = asked.target.strip_prefix(b"/purge")?;
            (target.first() == Some(&b'/')).then(|| uri(asked, target))
        }
        b"PURGE" if asked.target == b"/purgeall" => {
            Some(Ok(hard(Selector::Host(asked.site.host.clone()))))
        }
        b"PURGE" => Some(by_target(asked, asked.target)),
        _ => None,
    }
}

fn api_platform(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    const FIELD: &str = "ApiPlatform-Ban-Regex";
    match asked.method {
        b"PURGE" => Some(by_keys(asked).unwrap_or_else(|| uri(asked, asked.target))),
        b"BAN" => Some(match (asked.field)(FIELD) {
            Some(pattern) => by_pattern(FIELD, &pattern),
            None => Err(no_field(FIELD)),
        }),
        _ => None,
    }
}

/// A target that is a path, or one behind which `.*` stands for all that begin so.
fn by_target(asked: &Asked<'_>, target: &[u8]) -> Result<Purge, Refused> {
    let Some(begin) = target.strip_suffix(b".*") else {
        return uri(asked, target);
    };
    let text = pattern::literal(begin)
        .ok_or_else(|| not_understood("the URI", target, "\"/path\" and \"/path.*\""))?;
    Ok(hard(begins_with(&asked.site.host, &text)?))
}

/// By the fields of vmod xkey.
fn by_keys(asked: &Asked<'_>) -> Option<Result<Purge, Refused>> {
    const FIELDS: [(&str, Mode); 3] = [
        ("xkey-softpurge", Mode::Soft),
        ("xkey-purge", Mode::Hard),
        ("xkey", Mode::Hard),
    ];
    let named = |(field, mode): (&'static str, Mode)| Some(((asked.field)(field)?, mode, field));
    let (tags, mode, field) = FIELDS.into_iter().find_map(named)?;
    Some(by_tags(field, words(&tags), mode))
}

/// By the words of a field.
fn tagged(asked: &Asked<'_>, field: &str) -> Result<Purge, Refused> {
    let tags = (asked.field)(field).ok_or_else(|| no_field(field))?;
    by_tags(field, words(&tags), Mode::Hard)
}

fn by_pattern(field: &str, pattern: &[u8]) -> Result<Purge, Refused> {
    let tags = pattern::words(pattern)
        .ok_or_else(|| not_understood(field, pattern, "\"(^|,)(a|b)(,|$)\""))?;
    by_tags(field, tags.iter().map(Vec::as_slice), Mode::Hard)
}

fn by_tags<'a>(
    field: &str,
    tags: impl Iterator<Item = &'a [u8]>,
    mode: Mode,
) -> Result<Purge, Refused> {
    let selectors: Vec<_> = tags
        .map(|tag| Selector::Label(Digest::of_tag(tag)))
        .collect();
    if selectors.is_empty() {
        return Err(Refused(format!("\"{field}\" names no tag")));
    }
    Ok(Purge {
        target: Target::Selected(selectors),
        mode,
    })
}

fn is_true(value: Option<&[u8]>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case(b"true") || value == b"1")
}

fn no_field(field: &str) -> Refused {
    Refused(format!(
        "the request needs the field \"{field}\", which says what to purge"
    ))
}

fn not_understood(field: &str, pattern: &[u8], known: &str) -> Refused {
    let shown = crate::shown::shown(pattern.get(..200).unwrap_or(pattern));
    Refused(format!(
        "\"{shown}\" in {field} is a regular expression of another shape than {known}: purge by tags, by host or by the beginning of a path"
    ))
}
