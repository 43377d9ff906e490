//! The C shim: bit fields of `ngx_http_request_t`, and the proof that the declarations in use have
//! the layout of the nginx that the module is built against.

#![allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    clippy::all,
    reason = "generated from shim.h"
)]

include!(concat!(env!("OUT_DIR"), "/shim.rs"));

mod layout {
    use ngx::ffi::*;
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}
