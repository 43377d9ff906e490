//! The order in the precontent phase. nginx runs try_files first and mirror behind it. A cached request has to be
//! mirrored whatever the cache does, and must not have chosen its content by try_files: a fill does that. So mirror
//! runs before our handler for such a request, and not again behind it.

use std::ffi::CStr;

use ngx::ffi::*;

use crate::ngx::guard::guard;
use crate::ngx::request::{Code, DECLINED, Request};
use crate::request::context::Context;

/// mirror's own handler, if nginx has it.
static mut MIRROR: ngx_http_handler_pt = None;

/// Gives our handler, which was added last, its place: behind those of other makers, before try_files and mirror. Those
/// added last run first.
///
/// # Safety
///
/// `cf` is the configuration that was read, `handlers` those of the precontent phase.
pub(super) unsafe fn arrange(cf: *mut ngx_conf_t, handlers: &mut ngx_array_t) {
    // SAFETY: by contract; the elements of this array are of this type.
    unsafe {
        let own = own_modules(cf);
        let all = std::slice::from_raw_parts_mut(
            handlers.elts.cast::<ngx_http_handler_pt>(),
            handlers.nelts,
        );
        MIRROR = None;
        if let Some(index) = own
            .iter()
            .position(|name| *name == c"ngx_http_mirror_module")
            && let Some(handler) = all.get_mut(index)
        {
            MIRROR = *handler;
            *handler = Some(later);
        }
        if let Some(others) = all.get_mut(own.len()..)
            && !others.is_empty()
        {
            others.rotate_right(1);
        }
    }
}

/// nginx's own modules that have a handler in this phase, in the order in which they add it: before all others.
///
/// # Safety
///
/// `cf` is the configuration that was read.
unsafe fn own_modules(cf: *mut ngx_conf_t) -> Vec<&'static CStr> {
    let mut found = Vec::new();
    // SAFETY: by contract: nginx's list of modules ends with null, their names with NUL.
    unsafe {
        let mut module = (*(*cf).cycle).modules;
        while let Some(loaded) = (*module).as_ref() {
            let name = CStr::from_ptr(loaded.name.cast());
            if [c"ngx_http_mirror_module", c"ngx_http_try_files_module"].contains(&name) {
                found.push(name);
            }
            module = module.add(1);
        }
    }
    found
}

/// Mirrors a request that the cache is about to take. `DECLINED` if it goes on; else the phase is run again.
///
/// # Safety
///
/// Only in the phase handler of the live request.
pub(super) unsafe fn run(r: Request) -> Code {
    // SAFETY: written only while nginx runs postconfigurations; by contract.
    unsafe { MIRROR.map_or(DECLINED, |mirror| mirror(r.as_ptr())) }
}

/// mirror in its own place: for requests that the cache hasn't seen.
unsafe extern "C" fn later(r: *mut ngx_http_request_t) -> ngx_int_t {
    let seen = guard("mirror", false, || {
        // SAFETY: nginx calls with a live request.
        unsafe { Request::new(r) }.is_some_and(|r| Context::of(r).is_some())
    });
    if seen {
        return DECLINED;
    }
    // SAFETY: as above.
    unsafe { MIRROR.map_or(DECLINED, |mirror| mirror(r)) }
}
