//! nginx's own resolver, as the http block configures it.

use ngx::ffi::{ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module};

/// Whether the http block that was read has a `resolver`.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http, as postconfigurations see it.
pub unsafe fn is_configured(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract: the context is that of http, whose core module has its part. nginx itself puts a resolver
    // without name servers there if none is configured.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_loc_conf_t>();
        let resolver = (*core).resolver;
        !resolver.is_null() && (*resolver).connections.nelts > 0
    }
}
