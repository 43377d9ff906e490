//! The cache key of a request: where it comes from, and whether it may lack the request's content.

use std::borrow::Cow;

use bytes::Bytes;
use cache_core::complex_value::{is_as_sent, is_derivable};
use cache_core::post::{is_of_post, is_variable_of_post};
use cache_core::uri::Target;
use ngx::ffi::*;
use ngx::ngx_log_error;

use crate::conf::variables::Setting;
use crate::conf::{LocConf, MainConf, set_md5};
use crate::ngx::request::Request;
use crate::ngx::text;
use crate::ngx::upstream::came_by_accel_redirect;
use crate::ngx::values::{OtherUri, Scope, names_group};
use crate::request::cache_variables::CacheVariables;

/// The fault of a key without the body, beside those of [`Setting`].
const NO_BODY: usize = 31;

/// The cache key of a request. `None` if it has none.
pub fn of_request(r: Request, conf: &LocConf, main: &MainConf) -> Option<Cow<'static, [u8]>> {
    let key = match source_as_set(r, conf, main)? {
        KeySource::Variable(key) | KeySource::Computed(_, key) => key,
        KeySource::Script => return Some(Cow::Owned(set_md5::digest(r.unparsed_uri()).to_vec())),
        KeySource::Value(value) | KeySource::Md5(value) => {
            // SAFETY: compiled in this configuration.
            unsafe { r.evaluate(value, Scope::head_as_get(r)) }?
        }
    };
    (!key.is_empty()).then_some(Cow::Borrowed(key))
}

/// Where the key comes from: what `$cache_key` says, else the directive, else the script's own (where variables
/// configure the location) or the URI.
fn source_as_set(r: Request, conf: &LocConf, main: &MainConf) -> Option<KeySource> {
    let variables = CacheVariables::of(r, conf, main);
    if let Some(key) = variables.value(Setting::Key) {
        let place = main.variables.get(Setting::Key as usize)?;
        return Some(if place.computed {
            KeySource::Computed(place.index, key)
        } else {
            KeySource::Variable(key)
        });
    }
    if conf.key.is_none() && !r.is_subrequest() && r.unparsed_uri().is_empty() {
        // nginx has refused it before its target was read. The default keys are made of that: all such requests
        // would have one record.
        return None;
    }
    let by_variables = variables
        .value(Setting::Lock)
        .or(variables.value(Setting::Pass))
        .is_some();
    // What the client has asked for doesn't say what these are for.
    let goes_elsewhere = r.is_subrequest() || came_by_accel_redirect(r);
    Some(KeySource::Value(match (conf.key, by_variables) {
        (Some(value), _) => value,
        (None, _) if goes_elsewhere => main.current_key?,
        (None, true) => return Some(KeySource::Script),
        (None, false) => main.default_key?,
    }))
}

fn md5(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&set_md5::digest(text))
}

/// Where a key comes from.
#[derive(Clone, Copy)]
pub enum KeySource {
    /// `$cache_key`, computed before.
    Variable(&'static [u8]),
    /// `$cache_key` of this index, which a `map` or the like computes when it is asked for.
    Computed(usize, &'static [u8]),
    /// The MD5 of `$request_uri`.
    Script,
    /// The directive, or its default.
    Value(*mut ngx_http_complex_value_t),
    /// The MD5 of a value.
    Md5(*mut ngx_http_complex_value_t),
}

impl KeySource {
    /// The text that makes the key, with `$variables`, if it is known.
    pub fn template(&self) -> Option<&'static [u8]> {
        match self {
            KeySource::Variable(_) | KeySource::Computed(..) => None,
            KeySource::Script => Some(b"$request_uri"),
            // SAFETY: compiled in this configuration, with its text.
            KeySource::Value(value) | KeySource::Md5(value) => unsafe {
                Some(text::bytes(&(**value).value))
            },
        }
    }

    /// The key of a GET of the request's own URI, whatever its method. What `set` has put into `$cache_key` stands
    /// as it is.
    pub fn of_get(self, r: Request) -> Option<Bytes> {
        self.within(r, Scope::Get)
    }

    fn within(self, r: Request, scope: Scope<'_>) -> Option<Bytes> {
        let key = match self {
            KeySource::Variable(key) => key,
            KeySource::Computed(index, _) => r.variable_in(index, scope)?,
            KeySource::Script => return Some(md5(r.unparsed_uri())),
            // SAFETY: compiled in this configuration.
            KeySource::Value(value) => unsafe { r.evaluate(value, scope) }?,
            // SAFETY: likewise.
            KeySource::Md5(value) => return unsafe { r.evaluate(value, scope) }.map(md5),
        };
        (!key.is_empty()).then(|| Bytes::copy_from_slice(key))
    }

    /// The key under which a GET of the request's own URI is looked up. `None` if the key may say something that the
    /// request has and a GET hasn't: its method, which `set` may have put into it, something of its content, or what a
    /// rewrite has made of its URI. Of what a `map` is made nginx doesn't tell: so it is seen what is asked for.
    pub fn of_get_for_certain(self, r: Request) -> Option<Bytes> {
        if let KeySource::Variable(_) = self {
            return None;
        }
        let template = self.template();
        if template
            .is_some_and(|template| is_of_post(template) || r.names_written_variable(template))
            || !(r.has_uri_as_sent() || template.is_some_and(is_as_sent))
            || template.is_some_and(names_group) && !r.has_captures_of_uri()
        {
            return None;
        }
        let key = self.of_get(r)?;
        let again = r.as_any_get(is_variable_of_post, || self.within(r, Scope::Own))?;
        (again? == key).then_some(key)
    }

    /// The key of a GET of another URI, if it can be known.
    pub fn of_other(self, r: Request, target: &Target) -> Option<Bytes> {
        let other = OtherUri {
            unparsed: target.in_origin_form(),
            uri: target.decoded_path(r.merges_slashes())?,
            args: target.query.clone().unwrap_or_default(),
        };
        let value = match self {
            KeySource::Variable(_) | KeySource::Computed(..) => return None,
            KeySource::Script => return Some(md5(&other.unparsed)),
            KeySource::Value(value) | KeySource::Md5(value) => value,
        };
        // SAFETY: compiled in this configuration, with its text.
        let key = unsafe {
            if !is_derivable(text::bytes(&(*value).value)) {
                return None;
            }
            r.evaluate(value, Scope::GetOf(&other))?
        };
        if matches!(self, KeySource::Md5(_)) {
            return Some(md5(key));
        }
        (!key.is_empty()).then(|| Bytes::copy_from_slice(key))
    }
}

/// Where the key of a request comes from. What `$cache_key` holds may be the work of a `set_md5`: of one that would
/// make the same of this request.
pub fn source(r: Request, conf: &LocConf, main: &MainConf) -> Option<KeySource> {
    let source = source_as_set(r, conf, main)?;
    let KeySource::Variable(key) = source else {
        return Some(source);
    };
    let made = conf.md5_keys.iter().find(|value| {
        // SAFETY: compiled in this configuration.
        unsafe { r.evaluate(**value, Scope::Apart) }.is_some_and(|text| md5(text) == key)
    });
    Some(made.map_or(source, |value| KeySource::Md5(*value)))
}

/// The text that makes the key, with `$variables`, if it is known.
pub fn template(r: Request) -> Option<&'static [u8]> {
    let (conf, main) = (r.loc_conf::<LocConf>()?, r.main_conf::<MainConf>()?);
    source(r, conf, main)?.template()
}

/// Makes a key again that `set_md5 $cache_key` has made of `$request_body` before the body was read.
pub fn make_key_again(r: Request, conf: &LocConf, main: &MainConf) {
    let (Some(body), Some(place)) = (main.request_body, main.variables.get(Setting::Key as usize))
    else {
        return;
    };
    if !r.has_body() || r.is_subrequest() || !r.was_missed(body) {
        return;
    }
    if let Some(KeySource::Md5(value)) = source(r, conf, main) {
        r.forget_variable(body);
        // SAFETY: compiled in this configuration.
        if let Some(text) = unsafe { r.evaluate(value, Scope::Own) } {
            r.write_variable(place.index, &set_md5::digest(text));
        }
    }
}

/// Whether something was made of the request's content without it: a variable of the body was asked for before the body
/// was read, or doesn't have one that lies in a file. Two requests may have one key then.
pub fn misses_body(r: Request, conf: &LocConf, main: &MainConf) -> bool {
    if !r.has_body() || r.is_subrequest() {
        return false;
    }
    let was_read = |index: &usize| r.was_missed(*index) || r.written_variable(*index).is_some();
    let mut read = [main.request_body, main.request_body_file]
        .into_iter()
        .flatten()
        .filter(was_read)
        .peekable();
    if read.peek().is_none() || read.any(|index| !r.was_missed(index)) {
        return false;
    }
    if conf.first_fault(NO_BODY) {
        let remedy = if r.is_body_in_file() {
            "it lies in a file; raise \"client_body_buffer_size\""
        } else {
            "it is asked for before it is read; have it in \"redis_cache_key\""
        };
        ngx_log_error!(
            NGX_LOG_ERR,
            r.log(),
            "redis_cache: $request_body has no value: {remedy}; requests go to the backend"
        );
    }
    true
}
