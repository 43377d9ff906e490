//! What stores need that are named by their addresses when a request comes.

use ngx::ffi::ngx_conf_t;

use super::main_conf::main_conf;
use super::{store_block, variables};

/// Prepares TLS if a variable may name a store: at run time nginx can't. Call it before [`variables::complete`].
pub fn prepare(cf: *mut ngx_conf_t) -> bool {
    if !variables::is_set_somewhere(cf, "pass") {
        return true;
    }
    // SAFETY: nginx calls postconfigurations with the configuration that was read, within http.
    let Some(conf) = (unsafe { main_conf(cf) }) else {
        return false;
    };
    // nginx has logged what is wrong.
    store_block::prepare_tls(cf, conf).is_ok()
}
