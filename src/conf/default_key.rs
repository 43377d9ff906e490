//! The default key: `$scheme://$redis_cache_authority$request_uri`, and what `$redis_cache_authority` says.

use std::borrow::Cow;

use cache_core::uri::{key_authority, port_behind};
use ngx::ffi::*;

use super::main_conf::{MainConf, main_conf};
use crate::ngx::request::Request;
use crate::ngx::text;

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
        conf.sites.find_ports(cf);
        conf.default_key = compile(cf, "$scheme://$redis_cache_authority$request_uri");
        conf.current_key = compile(cf, "$scheme://$redis_cache_authority$uri$is_args$args");
        conf.default_key.is_some() && conf.current_key.is_some()
    }
}

unsafe fn compile(cf: *mut ngx_conf_t, text: &str) -> Option<*mut ngx_http_complex_value_t> {
    // SAFETY: by the caller's contract; the value lives in the configuration's pool.
    unsafe {
        let value = ngx_pcalloc((*cf).pool, size_of::<ngx_http_complex_value_t>())
            .cast::<ngx_http_complex_value_t>();
        let mut text = text::copy((*cf).pool, text.as_bytes())?;
        let mut compile: ngx_http_compile_complex_value_t = std::mem::zeroed();
        compile.cf = cf;
        compile.value = &mut text;
        compile.complex_value = value;
        let compiled =
            !value.is_null() && ngx_http_compile_complex_value(&mut compile) == NGX_OK as isize;
        compiled.then_some(value)
    }
}

/// `$redis_cache_authority`: the host that the client names, and the port if it isn't the scheme's own. The port is the
/// one that the client names; that of the connection if it names no host, or where sites on several ports have to be
/// told apart.
pub fn authority(r: Request) -> Cow<'static, [u8]> {
    let (https, host) = (r.is_https(), r.host());
    let local = r.local_port();
    let named = r.authority();
    let by_connection = named.is_empty()
        || r.main_conf::<MainConf>()
            .is_some_and(|main| main.sites.has_elsewhere(r.server(), local));
    if by_connection && local != 0 {
        return key_authority(https, host, local.to_string().as_bytes());
    }
    key_authority(https, host, port_behind(named, host))
}

/// Whether it has a port.
pub fn names_port(r: Request) -> bool {
    authority(r) != key_authority(r.is_https(), r.host(), b"")
}
