//! The table of directives, and a setter for each.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use ngx::ffi::*;
use ngx::ngx_string;

use super::reader::set;
use super::{LocConf, MainConf, set_md5, store_block};

mod fill;
mod location;
mod purge;
mod rules;
mod zone;

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

entry!(on_zone, MainConf, zone::zone);
entry!(on_store, MainConf, store_block::block);
entry!(on_cache, LocConf, location::cache);
entry!(on_lock, LocConf, location::lock);
entry!(on_pass, LocConf, location::pass);
entry!(on_pass_timeout, LocConf, location::pass_timeout);
entry!(on_backend, LocConf, location::backend);
entry!(on_key, LocConf, location::key);
entry!(on_args, LocConf, location::args);
entry!(on_valid, LocConf, rules::valid);
entry!(on_methods, LocConf, rules::methods);
entry!(on_age, LocConf, rules::age);
entry!(on_stale, LocConf, rules::stale);
entry!(on_header, LocConf, location::header);
entry!(on_status_header, LocConf, location::status_header);
entry!(on_debug_header, LocConf, location::debug_header);
entry!(on_lock_timeout, LocConf, fill::lock_timeout);
entry!(on_lock_age, LocConf, fill::lock_age);
entry!(on_lock_scope, LocConf, fill::lock_scope);
entry!(on_ignore_headers, LocConf, rules::ignore_headers);
entry!(on_set_cookie, LocConf, rules::set_cookie);
entry!(on_heuristic, LocConf, rules::heuristic);
entry!(on_honor_request, LocConf, rules::honor_request);
entry!(on_invalidate, LocConf, rules::invalidate);
entry!(on_post_location, LocConf, rules::post_location);
entry!(on_max_size, LocConf, rules::max_size);
entry!(on_capture_memory, LocConf, fill::capture_memory);
entry!(on_capture_timeout, LocConf, fill::capture_timeout);
entry!(on_refills, LocConf, fill::refills);
entry!(on_lock_queue, LocConf, fill::lock_queue);
entry!(on_uncacheable_ttl, LocConf, fill::uncacheable_ttl);
entry!(on_use_stale, LocConf, rules::use_stale);
entry!(on_error, LocConf, location::on_error);
entry!(on_memory, LocConf, location::memory);
entry!(on_revalidate, LocConf, rules::revalidate);
entry!(on_refresh_ahead, LocConf, rules::refresh_ahead);
entry!(on_backoff, LocConf, fill::backoff);
entry!(on_variants, LocConf, rules::variants);
entry!(on_compress, LocConf, fill::compress);
entry!(on_min_uses, LocConf, fill::min_uses);
entry!(on_slice, LocConf, fill::slice);
entry!(on_purge_allow, LocConf, purge::allow);
entry!(on_purge_style, LocConf, purge::style);
entry!(on_tags, LocConf, purge::tags);
entry!(on_admin, LocConf, purge::admin);
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

const fn in_location(name: ngx_str_t, arguments: u32, setter: Setter) -> ngx_command_t {
    command(name, ANYWHERE | arguments, setter, NGX_HTTP_LOC_CONF_OFFSET)
}

const fn predicates(name: ngx_str_t, offset: usize) -> ngx_command_t {
    let mut command = in_location(name, NGX_CONF_1MORE, ngx_http_set_predicate_slot);
    command.offset = offset;
    command
}

const fn purge(name: ngx_str_t) -> ngx_command_t {
    let mut command = in_location(name, NGX_CONF_1MORE, purge::on_purge);
    command.offset = offset_of!(LocConf, purge);
    command
}

const SET_MD5: u32 =
    NGX_HTTP_SRV_CONF | NGX_HTTP_SIF_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE12;

/// All directives of the module.
pub static mut COMMANDS: [ngx_command_t; 50] = [
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
    in_location(
        ngx_string!("redis_cache"),
        NGX_CONF_NOARGS | NGX_CONF_TAKE1,
        on_cache,
    ),
    in_location(ngx_string!("redis_cache_lock"), NGX_CONF_TAKE1, on_lock),
    in_location(ngx_string!("redis_cache_pass"), NGX_CONF_TAKE1, on_pass),
    in_location(
        ngx_string!("redis_cache_pass_timeout"),
        NGX_CONF_TAKE1,
        on_pass_timeout,
    ),
    in_location(
        ngx_string!("redis_cache_backend"),
        NGX_CONF_TAKE1,
        on_backend,
    ),
    in_location(ngx_string!("redis_cache_key"), NGX_CONF_TAKE1, on_key),
    in_location(ngx_string!("redis_cache_args"), NGX_CONF_1MORE, on_args),
    in_location(ngx_string!("redis_cache_valid"), NGX_CONF_1MORE, on_valid),
    in_location(
        ngx_string!("redis_cache_methods"),
        NGX_CONF_1MORE,
        on_methods,
    ),
    in_location(ngx_string!("redis_cache_age"), NGX_CONF_TAKE1, on_age),
    in_location(ngx_string!("redis_cache_stale"), NGX_CONF_TAKE12, on_stale),
    in_location(ngx_string!("redis_cache_header"), NGX_CONF_TAKE1, on_header),
    in_location(
        ngx_string!("redis_cache_status_header"),
        NGX_CONF_TAKE12,
        on_status_header,
    ),
    in_location(
        ngx_string!("redis_cache_debug_header"),
        NGX_CONF_1MORE,
        on_debug_header,
    ),
    in_location(
        ngx_string!("redis_cache_lock_timeout"),
        NGX_CONF_TAKE1,
        on_lock_timeout,
    ),
    in_location(
        ngx_string!("redis_cache_lock_age"),
        NGX_CONF_TAKE1,
        on_lock_age,
    ),
    in_location(
        ngx_string!("redis_cache_lock_scope"),
        NGX_CONF_TAKE1,
        on_lock_scope,
    ),
    predicates(
        ngx_string!("redis_cache_bypass"),
        offset_of!(LocConf, bypass),
    ),
    predicates(
        ngx_string!("redis_cache_no_store"),
        offset_of!(LocConf, no_store),
    ),
    in_location(
        ngx_string!("redis_cache_ignore_headers"),
        NGX_CONF_1MORE,
        on_ignore_headers,
    ),
    in_location(
        ngx_string!("redis_cache_set_cookie"),
        NGX_CONF_TAKE1,
        on_set_cookie,
    ),
    in_location(
        ngx_string!("redis_cache_heuristic"),
        NGX_CONF_TAKE12,
        on_heuristic,
    ),
    in_location(
        ngx_string!("redis_cache_honor_request"),
        NGX_CONF_TAKE1,
        on_honor_request,
    ),
    in_location(
        ngx_string!("redis_cache_invalidate"),
        NGX_CONF_TAKE1,
        on_invalidate,
    ),
    in_location(
        ngx_string!("redis_cache_post_location"),
        NGX_CONF_TAKE1,
        on_post_location,
    ),
    in_location(
        ngx_string!("redis_cache_max_size"),
        NGX_CONF_TAKE1,
        on_max_size,
    ),
    in_location(
        ngx_string!("redis_cache_capture_memory"),
        NGX_CONF_TAKE1,
        on_capture_memory,
    ),
    in_location(
        ngx_string!("redis_cache_capture_timeout"),
        NGX_CONF_TAKE1,
        on_capture_timeout,
    ),
    in_location(
        ngx_string!("redis_cache_refills"),
        NGX_CONF_TAKE1,
        on_refills,
    ),
    in_location(
        ngx_string!("redis_cache_lock_queue"),
        NGX_CONF_TAKE1,
        on_lock_queue,
    ),
    in_location(
        ngx_string!("redis_cache_uncacheable_ttl"),
        NGX_CONF_TAKE1,
        on_uncacheable_ttl,
    ),
    in_location(
        ngx_string!("redis_cache_use_stale"),
        NGX_CONF_1MORE,
        on_use_stale,
    ),
    in_location(
        ngx_string!("redis_cache_on_error"),
        NGX_CONF_TAKE1,
        on_error,
    ),
    in_location(ngx_string!("redis_cache_memory"), NGX_CONF_TAKE1, on_memory),
    in_location(
        ngx_string!("redis_cache_revalidate"),
        NGX_CONF_TAKE1,
        on_revalidate,
    ),
    in_location(
        ngx_string!("redis_cache_refresh_ahead"),
        NGX_CONF_TAKE1,
        on_refresh_ahead,
    ),
    in_location(
        ngx_string!("redis_cache_backoff"),
        NGX_CONF_TAKE12,
        on_backoff,
    ),
    in_location(
        ngx_string!("redis_cache_min_uses"),
        NGX_CONF_TAKE1,
        on_min_uses,
    ),
    in_location(ngx_string!("redis_cache_slice"), NGX_CONF_TAKE1, on_slice),
    in_location(
        ngx_string!("redis_cache_variants"),
        NGX_CONF_TAKE1,
        on_variants,
    ),
    in_location(
        ngx_string!("redis_cache_compress"),
        NGX_CONF_1MORE,
        on_compress,
    ),
    purge(ngx_string!("redis_cache_purge")),
    in_location(
        ngx_string!("redis_cache_purge_allow"),
        NGX_CONF_1MORE,
        on_purge_allow,
    ),
    in_location(
        ngx_string!("redis_cache_purge_style"),
        NGX_CONF_1MORE,
        on_purge_style,
    ),
    in_location(ngx_string!("redis_cache_tags"), NGX_CONF_1MORE, on_tags),
    command(
        ngx_string!("redis_cache_admin"),
        NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
        on_admin,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        ngx_string!("set_md5"),
        SET_MD5,
        on_set_md5,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    ngx_command_t::empty(),
];
