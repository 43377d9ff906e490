//! Creating and merging the configurations of levels, as nginx asks for it.

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::ffi::*;

use super::access_rules;
use super::counted::{SrvConf, note_server};
use super::loc_conf::LocConf;
use super::main_conf::{MainConf, main_conf};
use super::reader::{CONF_ERROR, emerg, warn};
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

/// Makes the configuration of a server block.
pub unsafe extern "C" fn create_server(cf: *mut ngx_conf_t) -> *mut c_void {
    create::<SrvConf>(cf)
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
        if conf.admin.is_none() && is_nameless(cf) {
            conf.admin.clone_from(&above.admin);
        }
        conf.inherit(above);
        if conf.admin.is_some() {
            // SAFETY: nginx merges; modules that nginx was built with have done so before.
            conf.has_access_rules = unsafe { access_rules::are_there(cf) };
        }
        if check(cf, conf) && check_purge(cf, conf) && check_admin(cf, conf) {
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
    if let Some(Some((size, line))) = &conf.slice
        && *size > conf.rules.max_size
    {
        let most = conf.rules.max_size;
        let text = format!(
            "\"redis_cache_slice\" is {size} bytes, more than the {most} of \"redis_cache_max_size\": use smaller slices, or raise that"
        );
        emerg(cf, line, &text);
        return false;
    }
    if conf.key.is_none() {
        note_site(cf);
    }
    // SAFETY: nginx merges.
    unsafe { note_server(cf) };
    true
}

/// A location that takes requests for purges has something to purge.
fn check_purge(cf: *mut ngx_conf_t, conf: &LocConf) -> bool {
    let (Some((line, directive)), true) = (&conf.purge_line, is_location(cf)) else {
        return true;
    };
    if conf.enable == Some(true) {
        return true;
    }
    let text =
        format!("\"{directive}\" is in a location that doesn't cache: add \"redis_cache on\"");
    emerg(cf, line, &text);
    false
}

/// A location for operators has stores.
fn check_admin(cf: *mut ngx_conf_t, conf: &LocConf) -> bool {
    let Some(line) = &conf.admin else {
        return true;
    };
    // SAFETY: while nginx merges, this is the configuration that was read, within http.
    let has_store = conf.pass.is_some()
        || variables::is_set_somewhere(cf, "pass")
        || unsafe { main_conf(cf) }.is_some_and(|main| !main.stores.is_empty());
    if !has_store {
        let text = "\"redis_cache_admin\" has no store: declare one by a \"redis_cache_store NAME { ... }\" block";
        emerg(cf, line, text);
    } else if !conf.has_access_rules && is_location(cf) {
        let text = "\"redis_cache_admin\" is in a location that says by no \"allow\", \"deny\", \"auth_basic\" or \"auth_request\" who gets in: nobody sees its page and figures";
        warn(cf, line, text);
    }
    has_store
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
