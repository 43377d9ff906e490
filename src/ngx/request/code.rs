//! The codes that a handler or a filter returns to nginx.

use ngx::ffi::*;

/// A code that a handler or a filter returns to nginx, or that `ngx_http_finalize_request` takes.
pub type Code = ngx_int_t;

/// `NGX_OK`
pub const OK: Code = NGX_OK as Code;
/// `NGX_ERROR`
pub const ERROR: Code = NGX_ERROR as Code;
/// `NGX_AGAIN`
pub const AGAIN: Code = NGX_AGAIN as Code;
/// `NGX_DONE`
pub const DONE: Code = NGX_DONE as Code;
/// `NGX_DECLINED`
pub const DECLINED: Code = NGX_DECLINED as Code;

/// Whether a code of the header filters ends the response: an error, or a status that the request is to be finalized
/// with. `NGX_AGAIN` doesn't: the header is buffered, and the body follows it.
pub const fn is_refused(code: Code) -> bool {
    code == ERROR || code > OK
}
