//! The `$cache_*` variables: the settings that a configuration may make by `set`, `map` and the like.

use ngx::ffi::*;

use super::main_conf::{Variable, main_conf};
use super::set_md5::unset;
use crate::ngx::request::{Code, ERROR, OK};
use crate::ngx::text;

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

/// Adds the variables, before the configuration is read.
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

/// The name of a variable as nginx holds it.
///
/// # Safety
///
/// `pool` is a live pool.
pub unsafe fn name(pool: *mut ngx_pool_t, name: &str) -> Option<ngx_str_t> {
    // SAFETY: by contract.
    unsafe { text::copy(pool, name.as_bytes()) }
}
