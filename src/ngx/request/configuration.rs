//! The configuration that a request runs under: of the http block, of its server and of its location.

use std::ffi::{CStr, c_void};

use ngx::ffi::*;

use super::super::module;
use super::Request;

/// A location, or a block of a server, with what is nested in it without a name: by `if`, by `limit_except`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocationId(*const u_char, usize);

impl Request {
    /// The configuration of the http block.
    pub fn main_conf<T>(self) -> Option<&'static T> {
        // SAFETY: ctx_index is set when the module is loaded; the configuration outlives requests.
        unsafe {
            (*self.get().main_conf.add(module::index()))
                .cast::<T>()
                .as_ref()
        }
    }

    /// That of its server block.
    pub fn srv_conf<T>(self) -> Option<&'static T> {
        // SAFETY: as above.
        unsafe {
            (*self.get().srv_conf.add(module::index()))
                .cast::<T>()
                .as_ref()
        }
    }

    /// The configuration of its location. `None` only for a type that isn't the module's.
    pub fn loc_conf<T>(self) -> Option<&'static T> {
        // SAFETY: ctx_index is set when the module is loaded; the configuration outlives requests.
        unsafe {
            (*self.get().loc_conf.add(module::index()))
                .cast::<T>()
                .as_ref()
        }
    }

    /// nginx's own configuration of the location.
    pub fn core_loc_conf(self) -> Option<&'static ngx_http_core_loc_conf_t> {
        // SAFETY: likewise, of nginx's core module.
        unsafe {
            (*self.get().loc_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_loc_conf_t>()
                .as_ref()
        }
    }

    /// The location that it is in.
    pub fn location(self) -> Option<LocationId> {
        // nginx gives the name, the very bytes, to what is nested without one.
        let name = self.core_loc_conf()?.name;
        Some(LocationId(name.data, name.len))
    }

    /// Puts it into another location.
    ///
    /// # Safety
    ///
    /// `location` is a location's configuration of the request's server.
    pub unsafe fn set_location(self, location: *mut *mut c_void) {
        // SAFETY: live request.
        unsafe { self.change(|r| r.loc_conf = location) };
    }

    /// nginx's own configuration of its server.
    pub fn server(self) -> *const ngx_http_core_srv_conf_t {
        // SAFETY: a request has the configuration of its server.
        unsafe { (*self.get().srv_conf.add(ngx_http_core_module.ctx_index)).cast() }
    }

    /// Where the configuration of its server begins: `/etc/nginx/nginx.conf:12`.
    pub fn server_place(self) -> String {
        // SAFETY: a request has the configuration of its server, where the name of its file ends with NUL.
        unsafe {
            let server = self.server();
            let file = CStr::from_ptr((*server).file_name.cast()).to_string_lossy();
            format!("{file}:{}", (*server).line)
        }
    }

    /// Whether nginx merges slashes in paths for its server.
    pub fn merges_slashes(self) -> bool {
        // SAFETY: a request has the configuration of its server.
        unsafe { (*self.server()).merge_slashes != 0 }
    }
}
