//! nginx's upstream: what a location says of it, and its end.

use ngx::ffi::*;

use super::request::Request;
use super::shim;

/// Modules whose configuration of a location begins with that of an upstream.
const MODULES: [&[u8]; 5] = [
    b"ngx_http_proxy_module",
    b"ngx_http_fastcgi_module",
    b"ngx_http_uwsgi_module",
    b"ngx_http_scgi_module",
    b"ngx_http_grpc_module",
];

/// Whether `proxy_ignore_client_abort`, or that of another module, is on in the request's location. Which of the
/// modules is the location's backend isn't known outside of it: one that says so counts.
pub fn ignores_client_abort(r: Request) -> bool {
    // SAFETY: the cycle's modules end with null and outlive requests. A location has a configuration of each module of
    // HTTP, and those of these modules begin with that of their upstream.
    unsafe {
        let mut module = (*ngx_cycle).modules;
        while let Some(known) = (*module).as_ref() {
            let name = std::ffi::CStr::from_ptr(known.name);
            if MODULES.contains(&name.to_bytes())
                && let Some(conf) = (*r.get().loc_conf.add(known.ctx_index))
                    .cast::<ngx_http_upstream_conf_t>()
                    .as_ref()
                && conf.ignore_client_abort == 1
            {
                return true;
            }
            module = module.add(1);
        }
    }
    false
}

impl Request {
    /// Ends its upstream, if it has one that is still at work; true if so. The request itself goes on.
    pub fn end_upstream(self) -> bool {
        // SAFETY: live request; upstream is null or lives as long as it. nginx empties the place of the cleanup when
        // the upstream has ended. The reference that is added here is the one which the upstream gives back.
        unsafe {
            let Some(upstream) = self.get().upstream.as_ref() else {
                return false;
            };
            let Some(cleanup) = upstream.cleanup.as_ref().copied().flatten() else {
                return false;
            };
            let main = self.main().as_ptr();
            shim::rcs_set_count(main, shim::rcs_get_count(main) + 1);
            cleanup(self.as_ptr().cast());
        }
        true
    }
}
