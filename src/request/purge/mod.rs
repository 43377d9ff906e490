//! Requests that ask for a purge: which they are, who may send them, and what they are told. The cache answers them by
//! itself: none reaches the backend.

use std::borrow::Cow;

use cache_core::purge::request::{Asked, Purge, Styles, asked, claimed, is_of_purges, plain};
use cache_core::uri::Origin;
use cache_core::vary::RequestFields;

use crate::conf::{LocConf, MainConf};
use crate::ngx::headers;
use crate::ngx::request::{Code, Request};
use crate::ngx::values::Scope;
use crate::request::settings;

use keys::Keys;

/// What the sender is told.
pub(super) mod answer;

/// Under which keys the records of a URI are.
pub(super) mod keys;

/// The purge itself.
pub(super) mod carry;

/// What is done with a request.
pub enum Turn {
    /// It is none of these.
    Usual,
    /// The response is fetched anew and stored.
    Refresh,
    /// It is answered, or will be: this is what the phase handler returns.
    Answered(Code),
}

/// The header of a request.
pub(super) struct Fields(pub(super) Request);

impl RequestFields for Fields {
    fn lines(&self, name: &[u8], take: &mut dyn FnMut(&[u8])) {
        headers::of_request(self.0, name, take);
    }
}

/// Recognises a request for a purge in a location that caches, and sees to it.
pub fn enter(r: Request, conf: &LocConf, main: &MainConf) -> Turn {
    let styles = conf.purge_styles.unwrap_or_default();
    if r.is_subrequest() || (styles.is_empty() && !has_condition(conf)) {
        return Turn::Usual;
    }
    let may_ask = may_ask(r, styles);
    // SAFETY: filled by nginx's own setter.
    let holds = unsafe { r.holds(conf.purge(), Scope::Own) };
    if !may_ask && !holds {
        return Turn::Usual;
    }
    let origin = Origin::new(r.is_https(), r.authority());
    let fields = Fields(r);
    let request = request(r, origin.as_ref(), &fields);
    let asked = if may_ask {
        asked(&request, styles)
    } else {
        Ok(None)
    };
    let asked = match asked {
        Ok(None) if holds => plain(&request).map(|purge| Some(Asked::Purge(purge))),
        asked => asked,
    };
    if let Ok(None) = asked
        && !is_of_purges(r.method())
    {
        return Turn::Usual;
    }
    let allowed = is_allowed(r, conf);
    if let Ok(Some(Asked::Refresh)) = asked {
        // Of others the field means nothing.
        return if allowed { Turn::Refresh } else { Turn::Usual };
    }
    let answer = match asked {
        _ if !allowed => answer::forbidden(),
        Ok(Some(Asked::Purge(purge))) => return begin(r, conf, main, &purge, &request),
        Ok(Some(Asked::Refresh)) => return Turn::Refresh,
        Ok(None) => answer::method(&allow(conf, styles)),
        Err(refusal) => answer::refused(&refusal),
    };
    Turn::Answered(answer::at_once(r, conf, main, answer))
}

/// Whether the location has a condition that may hold.
fn has_condition(conf: &LocConf) -> bool {
    // SAFETY: filled by nginx's own setter.
    unsafe { Request::templates(conf.purge()).any(|text| !text.is_empty() && text != b"0") }
}

/// Whether a request may be one of these styles, by what costs little to look at.
fn may_ask(r: Request, styles: Styles) -> bool {
    use cache_core::purge::request::Style::{Fos, Wordpress};
    is_of_purges(r.method())
        || r.is_get_or_head()
            && (styles.has(Wordpress) && r.unparsed_uri().starts_with(b"/purge")
                || styles.has(Fos) && headers::has(r, b"x-refresh"))
}

/// Whether the client may purge.
pub(super) fn is_allowed(r: Request, conf: &LocConf) -> bool {
    conf.purge_allow
        .as_ref()
        .is_some_and(|list| list.allows(r.peer()))
}

/// The methods of the location, for Allow.
fn allow(conf: &LocConf, styles: Styles) -> String {
    let methods = conf.methods.clone().unwrap_or_default();
    let listed = methods.iter().map(String::from_utf8_lossy);
    let listed = listed.map(Cow::into_owned);
    let all: Vec<_> = listed.chain(claimed(styles).map(str::to_owned)).collect();
    all.join(", ")
}

/// A request as it is recognised.
pub(super) fn request<'a>(
    r: Request,
    origin: Option<&'a Origin>,
    fields: &'a Fields,
) -> cache_core::purge::request::Request<'a> {
    cache_core::purge::request::Request {
        method: r.method(),
        target: r.unparsed_uri(),
        origin,
        fields,
    }
}

/// Begins a purge in a location that caches.
fn begin(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    purge: &Purge,
    request: &cache_core::purge::request::Request<'_>,
) -> Turn {
    let Some((zone, store)) = settings::place(r, conf, main) else {
        let answer = answer::unavailable("the location has no store");
        return Turn::Answered(answer::at_once(r, conf, main, answer));
    };
    let code = match Keys::of(r, conf, main, purge, request) {
        Ok(keys) => {
            let stores = vec![(Some(zone), store)];
            answer::later(r, conf, main, carry::out(r, stores, purge, keys))
        }
        Err(refusal) => answer::at_once(r, conf, main, answer::refused(&refusal)),
    };
    Turn::Answered(code)
}
