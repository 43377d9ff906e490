//! Variables: the `$cache_*` ones that a configuration may set, the `$redis_cache_*` ones that say
//! what happened.

use cache_core::shown::shown;
use ngx::ffi::*;

pub mod upstream;

use crate::conf::Variable;
use crate::conf::locations::{main_conf, name};
use crate::conf::set_md5::unset;
use crate::conf::sites;
use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::ngx::text;
use crate::request::cache_status;
use crate::request::context::Context;

/// The settings of the Lua script, behind `$cache_`.
pub const SETTINGS: &[&str] = &[
    "lock",
    "pass",
    "backend",
    "key",
    "status",
    "method",
    "age",
    "stale",
    "header",
    "lock_timeout",
    "lock_exptime",
];

/// Places of the settings in [`SETTINGS`].
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Setting {
    /// `$cache_lock`
    Lock,
    /// `$cache_pass`
    Pass,
    /// `$cache_backend`
    Backend,
    /// `$cache_key`
    Key,
    /// `$cache_status`
    Status,
    /// `$cache_method`
    Method,
    /// `$cache_age`
    Age,
    /// `$cache_stale`
    Stale,
    /// `$cache_header`
    Header,
    /// `$cache_lock_timeout`
    LockTimeout,
    /// `$cache_lock_exptime`
    LockAge,
}

type Reader = fn(&'static Context) -> Option<String>;

/// The variables that the module exports.
const EXPORTS: &[(&str, Reader)] = &[
    ("redis_cache_status", |context| {
        context.status().map(|s| s.as_str().to_owned())
    }),
    ("redis_cache_reason", |context| {
        context.reason().map(|r| r.as_str().to_owned())
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

/// Adds all variables, before the configuration is read.
pub fn add(cf: *mut ngx_conf_t) -> Code {
    // SAFETY: nginx calls with the configuration being read.
    unsafe {
        let pool = (*cf).pool;
        let Some(conf) = main_conf(cf) else {
            return ERROR;
        };
        for setting in SETTINGS {
            let Some(mut name) = name(pool, &format!("cache_{setting}")) else {
                return ERROR;
            };
            // No handler yet: so it shows later whether the configuration sets it.
            let flags = (NGX_HTTP_VAR_CHANGEABLE | NGX_HTTP_VAR_WEAK) as ngx_uint_t;
            if ngx_http_add_variable(cf, &mut name, flags).is_null() {
                return ERROR;
            }
            let Ok(index) = usize::try_from(ngx_http_get_variable_index(cf, &mut name)) else {
                return ERROR;
            };
            conf.variables.push(Variable {
                index,
                computed: true,
            });
        }
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
    }
    // SAFETY: nginx calls with the configuration being read.
    unsafe {
        let Some(mut name) = name((*cf).pool, "redis_cache_authority") else {
            return ERROR;
        };
        match ngx_http_add_variable(cf, &mut name, 0).as_mut() {
            Some(variable) => variable.get_handler = Some(authority),
            None => return ERROR,
        }
    }
    OK
}

unsafe fn variable<'a>(cf: *mut ngx_conf_t, setting: &str) -> Option<&'a mut ngx_http_variable_t> {
    // SAFETY: `add` has added it with these flags, so nginx gives it back.
    unsafe {
        let mut name = name((*cf).pool, &format!("cache_{setting}"))?;
        let flags = (NGX_HTTP_VAR_CHANGEABLE | NGX_HTTP_VAR_WEAK) as ngx_uint_t;
        ngx_http_add_variable(cf, &mut name, flags).as_mut()
    }
}

/// Whether a `set`, `map` or the like anywhere in the configuration gives `$cache_<setting>` a
/// value.
pub fn is_set_somewhere(cf: *mut ngx_conf_t, setting: &str) -> bool {
    // SAFETY: nginx calls with the configuration being read.
    unsafe { variable(cf, setting) }.is_some_and(|variable| variable.get_handler.is_some())
}

/// Gives handlers to settings without one, after the configuration was read, and a silent one to
/// those that `set` sets: where a location doesn't, nginx's own would warn at each request.
pub fn complete(cf: *mut ngx_conf_t) -> Code {
    // SAFETY: nginx calls with the configuration that was read.
    unsafe {
        let Some(conf) = main_conf(cf) else {
            return ERROR;
        };
        conf.request_body = index(cf, b"request_body");
        conf.request_body_file = index(cf, b"request_body_file");
        for (setting, place) in SETTINGS.iter().zip(&mut conf.variables) {
            let Some(variable) = variable(cf, setting) else {
                return ERROR;
            };
            // The rewrite module leaves the index as data, others a pointer.
            if variable.get_handler.is_none() || variable.data == place.index {
                variable.get_handler = Some(unset);
                place.computed = false;
            }
        }
        upstream::wrap(cf);
    }
    OK
}

/// The index of a variable, if the configuration names it.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http.
unsafe fn index(cf: *mut ngx_conf_t, name: &[u8]) -> Option<usize> {
    // SAFETY: by contract.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).main_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_main_conf_t>();
        let known = (*core).variables.as_slice::<ngx_http_variable_t>();
        known
            .iter()
            .position(|variable| text::bytes(&variable.name) == name)
    }
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
            let found = Request::new(r).map(sites::authority);
            put((*r).pool, &mut *value, found.as_deref());
        }
        OK
    })
}

/// Gives a variable this value, or none.
unsafe fn put(pool: *mut ngx_pool_t, value: &mut ngx_http_variable_value_t, text: Option<&[u8]>) {
    // SAFETY: by the caller, a live pool.
    match text.and_then(|text| unsafe { text::copy(pool, text) }) {
        Some(text) => {
            value.data = text.data;
            value.set_len(u32::try_from(text.len).unwrap_or(0));
            value.set_valid(1);
            value.set_not_found(0);
        }
        None => value.set_not_found(1),
    }
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
