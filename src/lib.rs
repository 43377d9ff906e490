//! `ngx_http_redis_cache_module`: an HTTP cache for nginx that keeps responses in Redis.
//!
//! This file holds the module tables and the wiring, nothing else.

mod client_cache;
mod conf;
mod context;
mod credentials;
mod fill;
mod filters;
mod handler;
mod hold;
mod invalidation;
mod lookup;
mod ngx;
mod redis;
mod respond;
mod settings;
mod shm;
mod store;
mod variables;
mod variants;
mod worker;

use ::ngx::ffi::*;
use ::ngx::ngx_log_error;

use crate::conf::locations;
use crate::ngx::guard::guard;
use crate::ngx::memory;
use crate::ngx::request::{Code, ERROR, OK};

mod table {
    #![allow(
        missing_docs,
        reason = "the names that nginx looks for, made by ngx's macro"
    )]
    use super::ngx_http_redis_cache_module;

    ::ngx::ngx_modules!(ngx_http_redis_cache_module);
}

static MODULE_CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(locations::create_main),
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(locations::create_location),
    merge_loc_conf: Some(locations::merge_location),
};

/// The module, as nginx knows it.
#[used]
#[allow(non_upper_case_globals, reason = "nginx finds it by this name")]
pub static mut ngx_http_redis_cache_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const MODULE_CONTEXT).cast_mut().cast(),
    commands: (&raw mut conf::directives::COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    ..ngx_module_t::default()
};

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> Code {
    guard("preconfiguration", ERROR, || {
        if !crate::ngx::bits::agree() {
            // SAFETY: nginx calls with a configuration that has a log.
            let log = unsafe { (*cf).log };
            ngx_log_error!(
                NGX_LOG_EMERG,
                log,
                "redis_cache: the module does not fit this nginx; build it against its source"
            );
            return ERROR;
        }
        variables::add(cf)
    })
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> Code {
    guard("postconfiguration", ERROR, || {
        if !locations::check_names(cf) || variables::complete(cf) != OK {
            return ERROR;
        }
        // SAFETY: nginx calls with the configuration that was read.
        unsafe {
            if !locations::compile_default_keys(cf) || !handler::register(cf) {
                return ERROR;
            }
            filters::register();
        }
        OK
    })
}

unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> Code {
    guard("init process", ERROR, || {
        memory::restore();
        // SAFETY: nginx calls in the worker with its cycle.
        let zones = unsafe { locations::zones(cycle) };
        for zone in &zones {
            zone.enrol();
        }
        if let Some(zone) = zones.first() {
            shm::wake::open(cycle, zone.instance());
        }
        OK
    })
}

unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    guard("exit process", (), || {
        // SAFETY: as above.
        for zone in unsafe { locations::zones(cycle) } {
            zone.leave();
        }
    });
}
