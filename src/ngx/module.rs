//! The modules of nginx: this one, and the others that are loaded, by their names.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use ngx::ffi::{ngx_cycle, ngx_module_t};

use super::shim;

/// A module without anything, for the nginx or Angie that the headers are of.
pub const fn blank() -> ngx_module_t {
    ngx_module_t {
        version: shim::RCS_MODULE_VERSION,
        spare1: shim::RCS_MODULE_SIGN,
        ..ngx_module_t::default()
    }
}

/// The module's entry in nginx's table. Set before any configuration is read.
static OWN: AtomicPtr<ngx_module_t> = AtomicPtr::new(ptr::null_mut());

/// Its place among the http modules. Each request needs it many times.
static INDEX: AtomicUsize = AtomicUsize::new(0);

/// Says which module this is, before the http block is read.
///
/// # Safety
///
/// `module` lives as long as the shared object is loaded. nginx has numbered its http modules.
pub unsafe fn set(module: *mut ngx_module_t) {
    OWN.store(module, Ordering::Relaxed);
    // SAFETY: by contract.
    INDEX.store(unsafe { (*module).ctx_index }, Ordering::Relaxed);
}

/// The module's entry in nginx's table, whose address tells it from other modules.
pub fn own() -> *mut ngx_module_t {
    OWN.load(Ordering::Relaxed)
}

/// The module's place among the http modules: in the tables of configurations and of requests.
pub fn index() -> usize {
    INDEX.load(Ordering::Relaxed)
}

/// The modules that are loaded, with their names.
pub fn loaded() -> impl Iterator<Item = (&'static [u8], &'static ngx_module_t)> {
    // SAFETY: there is a cycle while requests run; its modules end with null and outlive them, as do their names.
    unsafe {
        let mut next = (*ngx_cycle).modules;
        std::iter::from_fn(move || {
            let module = (*next).as_ref()?;
            next = next.add(1);
            Some((CStr::from_ptr(module.name).to_bytes(), module))
        })
    }
}
