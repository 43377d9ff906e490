//! Keys and conditions that are made of a request's content.

use cache_core::complex_value::is_derivable;
use ngx::ffi::*;
use ngx::ngx_log_error;

use crate::conf::variables::Setting;
use crate::conf::{LocConf, MainConf, set_md5};
use crate::ngx::request::Request;
use crate::request::settings::{KeySource, key_source};

/// The fault of a key without the body, beside those of [`Setting`].
const NO_BODY: usize = 31;

/// Whether a request passes by the cache whatever its content is: then nobody needs to wait for that.
pub fn passes_whatever_the_body(r: Request, conf: &LocConf) -> bool {
    [conf.bypass(), conf.no_store()].iter().all(|predicates| {
        // SAFETY: filled by nginx's own setter.
        unsafe { Request::templates(*predicates).all(is_derivable) && r.holds(*predicates) }
    })
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
    if let Some(KeySource::Md5(value)) = key_source(r, conf, main) {
        r.forget_variable(body);
        // SAFETY: compiled in this configuration.
        if let Some(text) = unsafe { r.evaluate(value) } {
            r.write_variable(place.index, &set_md5::digest(text));
        }
    }
}

/// Whether something was made of the request's content without it: a variable of the body was asked for before the body was
/// read, or doesn't have one that lies in a file. Two requests may have one key then.
pub fn misses_body(r: Request, conf: &LocConf, main: &MainConf) -> bool {
    if !r.has_body() || r.is_subrequest() {
        return false;
    }
    let asked = |index: &usize| r.was_missed(*index) || r.written_variable(*index).is_some();
    let mut asked = [main.request_body, main.request_body_file]
        .into_iter()
        .flatten()
        .filter(asked)
        .peekable();
    if asked.peek().is_none() || asked.any(|index| !r.was_missed(index)) {
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
