//! `ngx_http_redis_cache_module`: an HTTP cache for nginx that keeps responses in Redis.
//!
//! This file holds the module tables and the wiring, nothing else.

mod conf;
mod detached;
mod fill;
mod ngx;
mod request;
mod shm;
mod store;
mod worker;

use ::ngx::ffi::*;

use crate::conf::{default_key, merge, names};
use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK};
use crate::ngx::{fit, memory, module};
use crate::request::{access, enter, filters, variables};
use crate::store::registry;

/// The tables that nginx reads when it loads the module.
mod table {
    #![allow(non_upper_case_globals, reason = "nginx looks for them by these names")]
    use std::ffi::c_char;
    use std::ptr;

    use ::ngx::ffi::{NGX_HTTP_MODULE, ngx_http_module_t, ngx_module_t, ngx_uint_t};

    use super::ngx_http_redis_cache_module;
    use crate::ngx::module;
    use crate::request::filters::lower;

    /// How many modules there are, and the null behind them.
    const COUNT: usize = 6;

    #[unsafe(no_mangle)]
    pub static mut ngx_modules: [*const ngx_module_t; COUNT] = [
        &raw const ngx_http_redis_cache_module,
        &raw const OUTPUT,
        &raw const POSTPONE,
        &raw const CAPTURE,
        &raw const MODIFIED,
        ptr::null(),
    ];

    #[unsafe(no_mangle)]
    pub static mut ngx_module_names: [*const c_char; COUNT] = [
        c"ngx_http_redis_cache_module".as_ptr(),
        c"ngx_http_redis_cache_output_module".as_ptr(),
        c"ngx_http_redis_cache_postpone_module".as_ptr(),
        c"ngx_http_redis_cache_capture_module".as_ptr(),
        c"ngx_http_redis_cache_modified_module".as_ptr(),
        ptr::null(),
    ];

    #[unsafe(no_mangle)]
    pub static mut ngx_module_order: [*const c_char; lower::ORDER.len()] = lower::ORDER;

    static mut OUTPUT: ngx_module_t = filter(&raw const lower::OUTPUT);
    static mut POSTPONE: ngx_module_t = filter(&raw const lower::POSTPONE);
    static mut CAPTURE: ngx_module_t = filter(&raw const lower::CAPTURE);
    static mut MODIFIED: ngx_module_t = filter(&raw const lower::MODIFIED);

    /// A module that has a place among the filters, and no directives.
    const fn filter(context: *const ngx_http_module_t) -> ngx_module_t {
        ngx_module_t {
            ctx: context.cast_mut().cast(),
            type_: NGX_HTTP_MODULE as ngx_uint_t,
            ..module::blank()
        }
    }
}

static MODULE_CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(merge::create_main),
    init_main_conf: None,
    create_srv_conf: Some(merge::create_server),
    merge_srv_conf: None,
    create_loc_conf: Some(merge::create_location),
    merge_loc_conf: Some(merge::merge_location),
};

/// The module, as nginx knows it.
#[used]
#[allow(non_upper_case_globals, reason = "nginx finds it by this name")]
pub static mut ngx_http_redis_cache_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const MODULE_CONTEXT).cast_mut().cast(),
    commands: (&raw mut conf::directives::COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    init_module: Some(init_module),
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    ..module::blank()
};

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> Code {
    guard("preconfiguration", ERROR, || {
        // SAFETY: the static lives as long as the shared object; nginx numbers its http modules before it calls this.
        unsafe { module::set(&raw mut ngx_http_redis_cache_module) };
        // SAFETY: as the name says; nginx's own modules come first.
        if !unsafe { fit::before_configuration(cf) } {
            return ERROR;
        }
        // SAFETY: as the name says.
        unsafe { conf::set_md5::precede_set_misc(cf) };
        match conf::variables::add(cf) {
            OK => variables::add(cf),
            fault => fault,
        }
    })
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> Code {
    guard("postconfiguration", ERROR, || {
        // SAFETY: as the name says.
        if !unsafe { fit::after_configuration(cf) } {
            return ERROR;
        }
        if !names::check(cf) || !conf::addresses::prepare(cf) || conf::variables::complete(cf) != OK
        {
            return ERROR;
        }
        // SAFETY: nginx calls with the configuration that was read.
        unsafe {
            variables::complete(cf);
            if !default_key::compile_default_keys(cf)
                || !conf::counted::declare(cf)
                || !enter::register(cf)
            {
                return ERROR;
            }
            filters::register();
        }
        OK
    })
}

unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> Code {
    guard("init module", ERROR, || {
        // SAFETY: nginx calls with the cycle whose configuration it has read.
        unsafe { access::install(cycle) };
        OK
    })
}

unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> Code {
    guard("init process", ERROR, || {
        if !shm::process::serves() {
            return OK;
        }
        // SAFETY: nginx calls in the worker with its cycle.
        if !unsafe { fit::in_worker(cycle) } {
            return ERROR;
        }
        memory::restore();
        memory::keep_freed();
        // SAFETY: nginx calls in the worker with its cycle.
        let zones = unsafe { conf::zones(cycle) };
        for zone in &zones {
            zone.enrol();
        }
        // SAFETY: there is a cycle while a worker runs.
        shm::zone::know_all(|| unsafe { conf::zones(ngx_cycle) });
        if let Some(zone) = zones.first() {
            shm::wake::open(cycle, zone.instance());
        }
        // SAFETY: as above.
        for store in unsafe { conf::stores(cycle) } {
            registry::prepare(&store);
        }
        OK
    })
}

unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    guard("exit process", (), || {
        if !shm::process::serves() {
            return;
        }
        // SAFETY: as above.
        for zone in unsafe { conf::zones(cycle) } {
            zone.leave();
        }
        registry::leave();
    });
}
