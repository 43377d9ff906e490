//! Whether the nginx that has loaded the module is the one that it was built for.
//!
//! nginx itself refuses a module of another version or with another signature. Neither tells a fork or a patched source
//! of the same version. So the module compares where both have the fields of nginx's structures: before the
//! configuration is read, once it was read, and in each worker.

use std::ffi::CStr;
use std::ptr;

use ngx::ffi::*;
use ngx::ngx_log_error;

use super::{bit_fields, shim};

/// Whether the tables of nginx's modules have the offsets that the module was built with. If not, it is logged.
///
/// # Safety
///
/// In a preconfiguration.
pub unsafe fn before_configuration(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: nginx calls with a configuration that has a log.
    let log = unsafe { (*cf).log };
    if !bit_fields::agree() {
        refuse(log, "bit fields lie elsewhere");
        return false;
    }
    // SAFETY: ngx_http_core_module has added its variables by now.
    fits(log, |misfit| unsafe {
        shim::rcs_is_misfit_of_tables(cf, misfit)
    })
}

/// The same of the tables that nginx makes while it reads a configuration.
///
/// # Safety
///
/// In a postconfiguration.
pub unsafe fn after_configuration(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract ngx_http_upstream_module has its table.
    unsafe {
        fits((*cf).log, |misfit| {
            shim::rcs_is_misfit_of_upstream(cf, misfit)
        })
    }
}

/// The same of the arrays of connections and events that a worker has.
///
/// # Safety
///
/// Where nginx starts a worker, with its cycle.
pub unsafe fn in_worker(cycle: *mut ngx_cycle_t) -> bool {
    // SAFETY: by contract.
    unsafe {
        fits((*cycle).log, |misfit| {
            shim::rcs_is_misfit_of_cycle(cycle, misfit)
        })
    }
}

fn fits(log: *mut ngx_log_t, look: impl FnOnce(*mut shim::rcs_misfit_t) -> ngx_uint_t) -> bool {
    let mut misfit = shim::rcs_misfit_t {
        structure: ptr::null(),
        field: ptr::null(),
        found: 0,
        built: 0,
    };
    if look(&raw mut misfit) == 0 {
        return true;
    }
    // SAFETY: the shim has set both to names that live as long as the shared object.
    let (structure, field) = unsafe {
        (
            CStr::from_ptr(misfit.structure).to_string_lossy(),
            CStr::from_ptr(misfit.field).to_string_lossy(),
        )
    };
    let (found, built) = (misfit.found, misfit.built);
    refuse(
        log,
        &format!("{structure} has {field} at byte {found}, not at {built}"),
    );
    false
}

fn refuse(log: *mut ngx_log_t, what: &str) {
    ngx_log_error!(
        NGX_LOG_EMERG,
        log,
        "redis_cache: this nginx is not the one that the module was built for: {what}; \
         build the module against the source of the nginx that loads it, configured with the same options"
    );
}
