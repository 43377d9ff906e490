//! The table of directives.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use ngx::ffi::*;
use ngx::ngx_string;

use super::reader::set;
use super::{LocConf, MainConf, set_md5, store};

mod setters;

/// Gives a setter the face that nginx calls.
macro_rules! entry {
    ($name:ident, $conf:ty, $setter:path) => {
        unsafe extern "C" fn $name(
            cf: *mut ngx_conf_t,
            _: *mut ngx_command_t,
            conf: *mut c_void,
        ) -> *mut c_char {
            // SAFETY: nginx calls with the configuration and our part of it.
            unsafe { set::<$conf>(cf, conf, $setter) }
        }
    };
}

entry!(on_zone, MainConf, setters::zone);
entry!(on_store, MainConf, store::block);
entry!(on_cache, LocConf, setters::cache);
entry!(on_lock, LocConf, setters::lock);
entry!(on_pass, LocConf, setters::pass);
entry!(on_pass_timeout, LocConf, setters::pass_timeout);
entry!(on_backend, LocConf, setters::backend);
entry!(on_key, LocConf, setters::key);
entry!(on_valid, LocConf, setters::valid);
entry!(on_methods, LocConf, setters::methods);
entry!(on_age, LocConf, setters::age);
entry!(on_stale, LocConf, setters::stale);
entry!(on_header, LocConf, setters::header);
entry!(on_status_header, LocConf, setters::status_header);
entry!(on_lock_timeout, LocConf, setters::lock_timeout);
entry!(on_lock_age, LocConf, setters::lock_age);
entry!(on_ignore_headers, LocConf, setters::ignore_headers);
entry!(on_set_cookie, LocConf, setters::set_cookie);
entry!(on_heuristic, LocConf, setters::heuristic);
entry!(on_honor_request, LocConf, setters::honor_request);
entry!(on_invalidate, LocConf, setters::invalidate);
entry!(on_max_size, LocConf, setters::max_size);
entry!(on_capture_memory, LocConf, setters::capture_memory);
entry!(on_capture_timeout, LocConf, setters::capture_timeout);
entry!(on_refills, LocConf, setters::refills);
entry!(on_lock_queue, LocConf, setters::lock_queue);
entry!(on_uncacheable_ttl, LocConf, setters::uncacheable_ttl);
entry!(on_use_stale, LocConf, setters::use_stale);
entry!(on_revalidate, LocConf, setters::revalidate);
entry!(on_backoff, LocConf, setters::backoff);
entry!(on_variants, LocConf, setters::variants);
entry!(on_set_md5, LocConf, set_md5::directive);

const HTTP: u32 = NGX_HTTP_MAIN_CONF;
const ANYWHERE: u32 =
    NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF;

type Setter = unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_command_t, *mut c_void) -> *mut c_char;

const fn command(name: ngx_str_t, type_: u32, setter: Setter, conf: usize) -> ngx_command_t {
    ngx_command_t {
        name,
        type_: type_ as ngx_uint_t,
        set: Some(setter),
        conf,
        offset: 0,
        post: std::ptr::null_mut(),
    }
}

const fn location(name: ngx_str_t, arguments: u32, setter: Setter) -> ngx_command_t {
    command(name, ANYWHERE | arguments, setter, NGX_HTTP_LOC_CONF_OFFSET)
}

const fn predicates(name: ngx_str_t, offset: usize) -> ngx_command_t {
    let mut command = location(name, NGX_CONF_1MORE, ngx_http_set_predicate_slot);
    command.offset = offset;
    command
}

const SET_MD5: u32 =
    NGX_HTTP_SRV_CONF | NGX_HTTP_SIF_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE12;

/// All directives of the module.
pub static mut COMMANDS: [ngx_command_t; 35] = [
    command(
        ngx_string!("redis_cache_zone"),
        HTTP | NGX_CONF_TAKE2,
        on_zone,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        ngx_string!("redis_cache_store"),
        HTTP | NGX_CONF_BLOCK | NGX_CONF_TAKE1,
        on_store,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    location(
        ngx_string!("redis_cache"),
        NGX_CONF_NOARGS | NGX_CONF_TAKE1,
        on_cache,
    ),
    location(ngx_string!("redis_cache_lock"), NGX_CONF_TAKE1, on_lock),
    location(ngx_string!("redis_cache_pass"), NGX_CONF_TAKE1, on_pass),
    location(
        ngx_string!("redis_cache_pass_timeout"),
        NGX_CONF_TAKE1,
        on_pass_timeout,
    ),
    location(
        ngx_string!("redis_cache_backend"),
        NGX_CONF_TAKE1,
        on_backend,
    ),
    location(ngx_string!("redis_cache_key"), NGX_CONF_TAKE1, on_key),
    location(ngx_string!("redis_cache_valid"), NGX_CONF_1MORE, on_valid),
    location(
        ngx_string!("redis_cache_methods"),
        NGX_CONF_1MORE,
        on_methods,
    ),
    location(ngx_string!("redis_cache_age"), NGX_CONF_TAKE1, on_age),
    location(ngx_string!("redis_cache_stale"), NGX_CONF_TAKE1, on_stale),
    location(ngx_string!("redis_cache_header"), NGX_CONF_TAKE1, on_header),
    location(
        ngx_string!("redis_cache_status_header"),
        NGX_CONF_TAKE12,
        on_status_header,
    ),
    location(
        ngx_string!("redis_cache_lock_timeout"),
        NGX_CONF_TAKE1,
        on_lock_timeout,
    ),
    location(
        ngx_string!("redis_cache_lock_age"),
        NGX_CONF_TAKE1,
        on_lock_age,
    ),
    predicates(
        ngx_string!("redis_cache_bypass"),
        offset_of!(LocConf, bypass),
    ),
    predicates(
        ngx_string!("redis_cache_no_store"),
        offset_of!(LocConf, no_store),
    ),
    location(
        ngx_string!("redis_cache_ignore_headers"),
        NGX_CONF_1MORE,
        on_ignore_headers,
    ),
    location(
        ngx_string!("redis_cache_set_cookie"),
        NGX_CONF_TAKE1,
        on_set_cookie,
    ),
    location(
        ngx_string!("redis_cache_heuristic"),
        NGX_CONF_TAKE12,
        on_heuristic,
    ),
    location(
        ngx_string!("redis_cache_honor_request"),
        NGX_CONF_TAKE1,
        on_honor_request,
    ),
    location(
        ngx_string!("redis_cache_invalidate"),
        NGX_CONF_TAKE1,
        on_invalidate,
    ),
    location(
        ngx_string!("redis_cache_max_size"),
        NGX_CONF_TAKE1,
        on_max_size,
    ),
    location(
        ngx_string!("redis_cache_capture_memory"),
        NGX_CONF_TAKE1,
        on_capture_memory,
    ),
    location(
        ngx_string!("redis_cache_capture_timeout"),
        NGX_CONF_TAKE1,
        on_capture_timeout,
    ),
    location(
        ngx_string!("redis_cache_refills"),
        NGX_CONF_TAKE1,
        on_refills,
    ),
    location(
        ngx_string!("redis_cache_lock_queue"),
        NGX_CONF_TAKE1,
        on_lock_queue,
    ),
    location(
        ngx_string!("redis_cache_uncacheable_ttl"),
        NGX_CONF_TAKE1,
        on_uncacheable_ttl,
    ),
    location(
        ngx_string!("redis_cache_use_stale"),
        NGX_CONF_1MORE,
        on_use_stale,
    ),
    location(
        ngx_string!("redis_cache_revalidate"),
        NGX_CONF_TAKE1,
        on_revalidate,
    ),
    location(
        ngx_string!("redis_cache_backoff"),
        NGX_CONF_TAKE12,
        on_backoff,
    ),
    location(
        ngx_string!("redis_cache_variants"),
        NGX_CONF_TAKE1,
        on_variants,
    ),
    command(
        ngx_string!("set_md5"),
        SET_MD5,
        on_set_md5,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    ngx_command_t::empty(),
];
