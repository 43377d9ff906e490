//! The modules of nginx: this one, and the others that are loaded, by their names.

use std::ffi::CStr;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use ngx::ffi::{ngx_conf_t, ngx_cycle, ngx_module_t};

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

/// Moves the module of this name behind this one, if it is before it. nginx gives a directive to the first module that has
/// it (`ngx_conf_handler`), so this module gets those that both have. The list belongs to one cycle; only its order is
/// changed, and the modules keep their numbers.
///
/// # Safety
///
/// Called in this module's preconfiguration: nginx goes through the list up to this module's place, to which the other
/// one moves, so it leaves none out and calls none twice (`ngx_http_block`).
pub unsafe fn precede(cf: *mut ngx_conf_t, name: &CStr) {
    // SAFETY: nginx reads a configuration for a cycle, whose list has this many modules (ngx_cycle_modules,
    // ngx_add_module). Each has a name.
    unsafe {
        let cycle = (*cf).cycle;
        let modules = slice::from_raw_parts_mut((*cycle).modules, (*cycle).modules_n);
        let other = modules
            .iter()
            .position(|&module| CStr::from_ptr((*module).name) == name);
        let own = modules.iter().position(|&module| module == own());
        if let (Some(other), Some(own)) = (other, own)
            && other < own
            && let Some(range) = modules.get_mut(other..=own)
        {
            range.rotate_left(1);
        }
    }
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
