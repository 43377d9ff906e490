//! The `$redis_cache_*` variables, which say what happened to a request, and nginx's own `$upstream_*`.

use std::borrow::Cow;

use cache_core::shown::shown;
use ngx::ffi::*;

pub mod upstream;

use crate::conf::default_key;
use crate::conf::variables::name;
use crate::conf::{LocConf, MainConf};
use crate::fill::search;
use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::ngx::text;
use crate::request::cache_status;
use crate::request::context::Context;
use crate::request::settings;
use crate::shm::Zone;

/// What nginx calls for a variable's value.
type Handler = unsafe extern "C" fn(
    *mut ngx_http_request_t,
    *mut ngx_http_variable_value_t,
    usize,
) -> ngx_int_t;

type Reader = fn(&'static Context) -> Option<String>;

/// The variables that the module exports.
const EXPORTS: &[(&str, Reader)] = &[
    ("redis_cache_status", |context| {
        context.status().map(|s| s.as_str().to_owned())
    }),
    ("redis_cache_reason", |context| {
        context.reason().map(|r| r.as_str().to_owned())
    }),
    ("redis_cache_source", |context| {
        context.source().map(|source| source.as_str().to_owned())
    }),
    ("redis_cache_age", |context| {
        context.age().map(|age| age.to_string())
    }),
    ("redis_cache_ttl", |context| {
        context.ttl().map(|ttl| ttl.to_string())
    }),
    ("redis_cache_fill_time", |context| {
        let ms = cache_status::fill_time(context)?;
        Some(format!("{}.{:03}", ms / 1000, ms % 1000))
    }),
    ("redis_cache_key", |context| {
        cache_status::key(context).map(|key| shown(key).into_owned())
    }),
];

/// Adds the variables, before the configuration is read.
pub fn add(cf: *mut ngx_conf_t) -> Code {
    // SAFETY: nginx calls with the configuration being read.
    unsafe {
        let pool = (*cf).pool;
        for (index, (export, _)) in EXPORTS.iter().enumerate() {
            let Some(mut name) = name(pool, export) else {
                return ERROR;
            };
            let flags = NGX_HTTP_VAR_NOCACHEABLE as ngx_uint_t;
            let Some(variable) = ngx_http_add_variable(cf, &mut name, flags).as_mut() else {
                return ERROR;
            };
            variable.get_handler = Some(read);
            variable.data = index;
        }
        // Arguments are read anew where they, or the location, may be others meanwhile.
        let for_keys: [(&str, u32, Handler); 2] = [
            ("redis_cache_authority", 0, authority),
            ("redis_cache_args", NGX_HTTP_VAR_NOCACHEABLE, args),
        ];
        for (export, flags, handler) in for_keys {
            let Some(mut name) = name(pool, export) else {
                return ERROR;
            };
            match ngx_http_add_variable(cf, &mut name, flags as ngx_uint_t).as_mut() {
                Some(variable) => variable.get_handler = Some(handler),
                None => return ERROR,
            }
        }
    }
    OK
}

/// Puts our handlers in front of those of nginx's `$upstream_*`, after the configuration was read.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn complete(cf: *mut ngx_conf_t) {
    // SAFETY: by contract.
    unsafe { upstream::wrap(cf) };
}

/// `$redis_cache_authority`
unsafe extern "C" fn authority(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    _: usize,
) -> ngx_int_t {
    guard("variable", ERROR, || {
        // SAFETY: nginx calls with a live request and a place to write to.
        unsafe {
            let found = Request::new(r).map(default_key::authority);
            put((*r).pool, &mut *value, found.as_deref());
        }
        OK
    })
}

/// `$redis_cache_args`: the arguments in the form that the location gives them, and by option the responses of the path. As
/// with `$args`, no arguments are a value, too.
unsafe extern "C" fn args(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    _: usize,
) -> ngx_int_t {
    guard("variable", ERROR, || {
        // SAFETY: nginx calls with a live request and a place to write to. What is borrowed are the request's own
        // arguments, as `$args` has them.
        unsafe {
            let Some(request) = Request::new(r) else {
                return ERROR;
            };
            let form = request
                .loc_conf::<LocConf>()
                .and_then(|conf| conf.args.as_deref());
            let form = form.map(|form| {
                if form.heeds_rules() {
                    let rule = search::given(request, || zone(request));
                    form.apply_with(rule.as_deref(), request.args())
                } else {
                    form.apply(request.args())
                }
            });
            let text = match form {
                None | Some(Cow::Borrowed(_)) => Some((*r).args),
                Some(Cow::Owned(text)) => text::copy((*r).pool, &text),
            };
            let Some(text) = text else {
                return ERROR;
            };
            set(&mut *value, text);
        }
        OK
    })
}

/// The zone of the request's location.
fn zone(r: Request) -> Option<Zone> {
    let (conf, main) = (r.loc_conf::<LocConf>()?, r.main_conf::<MainConf>()?);
    settings::zone(r, conf, main)
}

/// Gives a variable this value, or none.
unsafe fn put(pool: *mut ngx_pool_t, value: &mut ngx_http_variable_value_t, text: Option<&[u8]>) {
    // SAFETY: by the caller, a live pool.
    match text.and_then(|text| unsafe { text::copy(pool, text) }) {
        Some(text) => set(value, text),
        None => {
            value.set_not_found(1);
            value.set_no_cacheable(0);
        }
    }
}

/// Gives a variable this text, which lives as long as the request.
fn set(value: &mut ngx_http_variable_value_t, text: ngx_str_t) {
    value.data = text.data;
    value.set_len(u32::try_from(text.len).unwrap_or(0));
    value.set_valid(1);
    value.set_not_found(0);
    value.set_no_cacheable(0);
}

unsafe extern "C" fn read(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    index: usize,
) -> ngx_int_t {
    guard("variable", ERROR, || {
        // SAFETY: nginx calls with a live request and a place to write to.
        unsafe {
            let found = Request::new(r)
                .and_then(Context::of)
                .and_then(|context| EXPORTS.get(index).and_then(|(_, read)| read(context)));
            put((*r).pool, &mut *value, found.as_deref().map(str::as_bytes));
        }
        OK
    })
}
