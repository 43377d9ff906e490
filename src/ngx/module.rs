//! This module, as nginx knows it: its number among the modules of a request.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ngx::ffi::ngx_module_t;

/// The module's entry in nginx's table. Set before any configuration is read.
static OWN: AtomicPtr<ngx_module_t> = AtomicPtr::new(ptr::null_mut());

/// Says which module this is.
///
/// # Safety
///
/// `module` lives as long as the shared object is loaded.
pub unsafe fn set(module: *mut ngx_module_t) {
    OWN.store(module, Ordering::Relaxed);
}

/// The module's entry in nginx's table, whose address tells it from other modules.
pub fn own() -> *mut ngx_module_t {
    OWN.load(Ordering::Relaxed)
}

/// The module's place among the http modules: in the tables of configurations and of requests.
pub fn index() -> usize {
    // SAFETY: null, or a module that stays loaded; nginx numbers its modules before it reads a configuration.
    unsafe { own().as_ref() }.map_or(0, |module| module.ctx_index)
}
