//! Whether a location has access rules of nginx's own.

use ngx::ffi::*;

use crate::ngx::shim;

/// Whether the location being merged has rules by `allow`, `deny`, `auth_basic` or `auth_request`. Other modules' rules aren't known.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http, while nginx merges; those modules have done so.
pub unsafe fn are_there(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract.
    unsafe { shim::rcs_has_access_rules(cf) != 0 }
}
