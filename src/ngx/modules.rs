//! Other modules of nginx, by their names.

use std::ffi::CStr;

use ngx::ffi::*;

use super::request::Request;

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

/// Whether the filter for images keeps the header of a response back until it has the body. It leaves the validators
/// alone, but for making an ETag weak.
pub fn is_kept_for_image(r: Request) -> bool {
    !r.is_header_sent()
        && loaded().any(|(name, module)| {
            // SAFETY: ctx has a place for every http module.
            name == b"ngx_http_image_filter_module"
                && unsafe { !(*r.get().ctx.add(module.ctx_index)).is_null() }
        })
}
