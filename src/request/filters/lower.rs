//! Our places further down nginx's chains of filters. Each is that of a small module of its own, because nginx
//! orders filters by module: see [`ORDER`].
//!
//! nginx calls in this order: our first filters, those of other makers (Lua, njs), nginx's headers filter, **the
//! capture**, nginx's filters that change a body (sub, ssi, charset ...), the postpone filter, **the output of a
//! fill**, gzip, **the conditions**, ranges, the socket.
//!
//! Where the backend is a location of its own, its response is captured where the Lua script's own capture is: behind
//! what Lua or njs do to it there. nginx's own filters are those of the location that the client asked for, and work on
//! each client's response. A subrequest of the backend's location goes through all of its filters. What is part of the
//! page comes to the output in the page's order, which the postpone filter keeps.

use std::ffi::c_char;
use std::ptr;

use ngx::ffi::*;

use crate::detached::{self, FilterPosition};
use crate::ngx::filter::{Next, POSTPONE_FILTER};
use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::request::filters::{coding, conditions};

/// How many names there are in [`ORDER`].
const NAMES: usize = 20;

/// Names of modules in the order in which nginx has them; it calls filters from the last to the first. A module of ours
/// is put before the first of those behind it that nginx has.
pub const ORDER: [*const c_char; NAMES] = [
    c"ngx_http_redis_cache_modified_module".as_ptr(),
    c"ngx_http_gzip_filter_module".as_ptr(),
    c"ngx_http_redis_cache_output_module".as_ptr(),
    c"ngx_http_postpone_filter_module".as_ptr(),
    c"ngx_http_redis_cache_postpone_module".as_ptr(),
    c"ngx_http_ssi_filter_module".as_ptr(),
    c"ngx_http_charset_filter_module".as_ptr(),
    c"ngx_http_xslt_filter_module".as_ptr(),
    c"ngx_http_image_filter_module".as_ptr(),
    c"ngx_http_sub_filter_module".as_ptr(),
    c"ngx_http_addition_filter_module".as_ptr(),
    c"ngx_http_gunzip_filter_module".as_ptr(),
    c"ngx_http_userid_filter_module".as_ptr(),
    c"ngx_http_redis_cache_capture_module".as_ptr(),
    c"ngx_http_headers_filter_module".as_ptr(),
    c"ngx_http_copy_filter_module".as_ptr(),
    c"ngx_http_range_body_filter_module".as_ptr(),
    c"ngx_http_not_modified_filter_module".as_ptr(),
    c"ngx_http_slice_filter_module".as_ptr(),
    ptr::null(),
];

const fn context(
    postconfiguration: unsafe extern "C" fn(*mut ngx_conf_t) -> Code,
) -> ngx_http_module_t {
    ngx_http_module_t {
        preconfiguration: None,
        postconfiguration: Some(postconfiguration),
        create_main_conf: None,
        init_main_conf: None,
        create_srv_conf: None,
        merge_srv_conf: None,
        create_loc_conf: None,
        merge_loc_conf: None,
    }
}

/// The module whose filters are called behind the postpone filter.
pub static OUTPUT: ngx_http_module_t = context(register_output);
/// The module that comes next to the postpone filter, to learn where it is.
pub static POSTPONE: ngx_http_module_t = context(learn_postpone);
/// The module whose filters are called behind those of other makers.
pub static CAPTURE: ngx_http_module_t = context(register_capture);

/// The module whose filter is called behind all that change a body.
pub static MODIFIED: ngx_http_module_t = context(conditions::register);

/// What comes behind the output of a fill: for a fill nothing.
static BEHIND_OUTPUT: Next = Next::new();
/// What comes behind the capture.
static BEHIND_CAPTURE: Next = Next::new();

unsafe extern "C" fn register_output(_: *mut ngx_conf_t) -> Code {
    // SAFETY: nginx calls this among the postconfigurations.
    unsafe { BEHIND_OUTPUT.put(output_header, output_body) }
}

unsafe extern "C" fn learn_postpone(_: *mut ngx_conf_t) -> Code {
    // SAFETY: as above.
    unsafe { POSTPONE_FILTER.learn() };
    OK
}

unsafe extern "C" fn register_capture(_: *mut ngx_conf_t) -> Code {
    // SAFETY: as above.
    unsafe { BEHIND_CAPTURE.put(capture_header, capture_body) }
}

unsafe extern "C" fn capture_header(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("capture", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        detached::header(unsafe { Request::new(r) }?, FilterPosition::Lower)
    });
    // SAFETY: the next filter takes what we were given.
    own.unwrap_or_else(|| unsafe { BEHIND_CAPTURE.header(r) })
}

unsafe extern "C" fn capture_body(
    r: *mut ngx_http_request_t,
    input: *mut ngx_chain_t,
) -> ngx_int_t {
    let own = guard("capture", Some(ERROR), || {
        // SAFETY: nginx calls with a live request and a chain for it.
        unsafe { detached::body(Request::new(r)?, input, FilterPosition::Lower) }
    });
    // SAFETY: as above.
    own.unwrap_or_else(|| unsafe { BEHIND_CAPTURE.body(r, input) })
}

unsafe extern "C" fn output_header(r: *mut ngx_http_request_t) -> ngx_int_t {
    let own = guard("output of a fill", Some(ERROR), || {
        // SAFETY: nginx calls with a live request.
        let r = unsafe { Request::new(r) }?;
        coding::reconsider(r);
        detached::output_header(r)
    });
    // SAFETY: as above.
    own.unwrap_or_else(|| unsafe { BEHIND_OUTPUT.header(r) })
}

unsafe extern "C" fn output_body(r: *mut ngx_http_request_t, input: *mut ngx_chain_t) -> ngx_int_t {
    let own = guard("output of a fill", Some(ERROR), || {
        // SAFETY: nginx calls with a live request and a chain for it.
        unsafe { detached::output_body(Request::new(r)?, input) }
    });
    // SAFETY: as above.
    own.unwrap_or_else(|| unsafe { BEHIND_OUTPUT.body(r, input) })
}
