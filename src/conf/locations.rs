//! Creating, merging and checking configurations, as nginx asks for it.

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::ffi::*;

use super::reader::{CONF_ERROR, emerg};
use super::{LocConf, MainConf};
use crate::ngx::guard::guard;
use crate::ngx::module;
use crate::ngx::{pool, shim, text};
use crate::request::variables;

fn create<T: Default + 'static>(cf: *mut ngx_conf_t) -> *mut c_void {
    guard("create conf", ptr::null_mut(), || {
        // SAFETY: nginx calls with the configuration being read; its pool outlives the cycle.
        let conf = unsafe { pool::keep((*cf).pool, T::default()) };
        conf.map_or(ptr::null_mut(), |conf| conf.as_ptr().cast())
    })
}

/// Makes the configuration of the http block.
pub unsafe extern "C" fn create_main(cf: *mut ngx_conf_t) -> *mut c_void {
    create::<MainConf>(cf)
}

/// Makes the configuration of a location.
pub unsafe extern "C" fn create_location(cf: *mut ngx_conf_t) -> *mut c_void {
    create::<LocConf>(cf)
}

/// Fills a location with what the level above says, and checks that it can work.
pub unsafe extern "C" fn merge_location(
    cf: *mut ngx_conf_t,
    above: *mut c_void,
    conf: *mut c_void,
) -> *mut c_char {
    guard("merge conf", CONF_ERROR, || {
        // SAFETY: nginx calls with what `create_location` has made.
        let (Some(above), Some(conf)) = (unsafe {
            (
                above.cast::<LocConf>().as_ref(),
                conf.cast::<LocConf>().as_mut(),
            )
        }) else {
            return CONF_ERROR;
        };
        // What is nested without a name (`if`) is a part of its location.
        conf.own = conf.enable.is_some() || (above.own && is_nameless(cf));
        conf.inherit(above);
        if check(cf, conf) {
            ptr::null_mut()
        } else {
            CONF_ERROR
        }
    })
}

/// A location that caches has a zone and a store, unless a variable may name them.
fn check(cf: *mut ngx_conf_t, conf: &LocConf) -> bool {
    let (true, Some(place)) = (conf.enable == Some(true), &conf.place) else {
        return true;
    };
    // At server level the locations below may still say it.
    if !is_location(cf) {
        return true;
    }
    let wanted = [
        (
            conf.lock.is_some(),
            "lock",
            "no zone is named: add \"redis_cache_lock ZONE\" or \"set $cache_lock ZONE\"",
        ),
        (
            conf.pass.is_some(),
            "pass",
            "no store is named: add \"redis_cache_pass STORE\" or \"set $cache_pass STORE\"",
        ),
    ];
    for (said, variable, remedy) in wanted {
        if !said && !variables::is_set_somewhere(cf, variable) {
            emerg(cf, place, &format!("\"redis_cache\" is on, but {remedy}"));
            return false;
        }
    }
    if conf.key.is_none() {
        note_site(cf);
    }
    true
}

/// The server being merged has a location with the default key.
fn note_site(cf: *mut ngx_conf_t) {
    // SAFETY: while nginx merges, the context is that of the level being merged.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let server = *(*ctx).srv_conf.add(ngx_http_core_module.ctx_index);
        if let Some(main) = main_conf(cf) {
            main.add_site(server.cast());
        }
    }
}

fn is_nameless(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: as below.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_loc_conf_t>();
        !core.is_null() && shim::rcs_is_nameless(core) != 0
    }
}

fn is_location(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: while nginx merges, the context is that of the level being merged.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_loc_conf_t>();
        core.as_ref().is_some_and(|core| core.name.len > 0)
    }
}

/// Checks names, now that all is read.
pub fn check_names(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: the context is that of http again.
    let conf = unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        (*(*ctx).main_conf.add(module::index()))
            .cast::<MainConf>()
            .as_ref()
    };
    let Some(conf) = conf else { return false };
    for named in &conf.zone_names {
        let name = &named.name;
        if conf.zone(name.as_bytes()).is_none() {
            emerg(
                cf,
                &named.place,
                &format!(
                    "unknown zone \"{name}\" in \"redis_cache_lock\"; \
                 declare it by \"redis_cache_zone {name} 1m\" in the http block"
                ),
            );
            return false;
        }
    }
    for named in &conf.store_names {
        let name = &named.name;
        if conf.store(name.as_bytes()).is_none() {
            emerg(
                cf,
                &named.place,
                &format!(
                    "unknown store \"{name}\" in \"redis_cache_pass\"; \
                 declare it by a \"redis_cache_store {name} {{ ... }}\" block"
                ),
            );
            return false;
        }
    }
    true
}

/// The module's configuration of a request's http block, by any configuration of it.
///
/// # Safety
///
/// `cf` is the configuration being read, within http.
pub unsafe fn main_conf<'a>(cf: *mut ngx_conf_t) -> Option<&'a mut MainConf> {
    // SAFETY: by contract.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        (*(*ctx).main_conf.add(module::index()))
            .cast::<MainConf>()
            .as_mut()
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

/// Compiles the keys that a location has which names none.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http.
pub unsafe fn compile_default_keys(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract.
    unsafe {
        let Some(conf) = main_conf(cf) else {
            return false;
        };
        conf.find_ports(cf);
        conf.default_key = compile(cf, "$scheme://$redis_cache_authority$request_uri");
        conf.subrequest_key = compile(cf, "$scheme://$redis_cache_authority$uri$is_args$args");
        conf.default_key.is_some() && conf.subrequest_key.is_some()
    }
}

unsafe fn compile(cf: *mut ngx_conf_t, text: &str) -> Option<*mut ngx_http_complex_value_t> {
    // SAFETY: by the caller's contract; the value lives in the configuration's pool.
    unsafe {
        let value = ngx_pcalloc((*cf).pool, size_of::<ngx_http_complex_value_t>())
            .cast::<ngx_http_complex_value_t>();
        let mut text = name((*cf).pool, text)?;
        let mut compile: ngx_http_compile_complex_value_t = std::mem::zeroed();
        compile.cf = cf;
        compile.value = &mut text;
        compile.complex_value = value;
        let compiled =
            !value.is_null() && ngx_http_compile_complex_value(&mut compile) == NGX_OK as isize;
        compiled.then_some(value)
    }
}

/// The zones of a cycle's configuration.
///
/// # Safety
///
/// `cycle` is the worker's cycle.
pub unsafe fn zones(cycle: *mut ngx_cycle_t) -> Vec<crate::shm::Zone> {
    // SAFETY: by contract; without an http block there is no context.
    unsafe {
        let ctx = (*(*cycle).conf_ctx.add(ngx_http_module.index)).cast::<ngx_http_conf_ctx_t>();
        let Some(ctx) = ctx.as_ref() else {
            return Vec::new();
        };
        let conf = (*ctx.main_conf.add(module::index())).cast::<MainConf>();
        conf.as_ref().map_or_else(Vec::new, |conf| {
            conf.zones.iter().map(|zone| zone.zone).collect()
        })
    }
}
