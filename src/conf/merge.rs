//! Creating and merging the configurations of levels, as nginx asks for it.

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::ffi::*;

use super::loc_conf::LocConf;
use super::main_conf::{MainConf, main_conf};
use super::reader::{CONF_ERROR, emerg};
use super::variables;
use crate::ngx::guard::guard;
use crate::ngx::{pool, shim};

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
    let (true, Some(line)) = (conf.enable == Some(true), &conf.line) else {
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
            emerg(cf, line, &format!("\"redis_cache\" is on, but {remedy}"));
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
            main.sites.add(server.cast());
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
