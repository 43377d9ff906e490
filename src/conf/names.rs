//! The zones and stores that directives name: they must exist when all is read.

use ngx::ffi::*;

use super::main_conf::main_conf;
use super::reader::emerg;
use super::servers;

/// Checks that each zone and store that is named is declared, now that all is read. Says which is not.
pub fn check(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: nginx calls postconfigurations with the configuration that was read, within http.
    let conf = unsafe { main_conf(cf) };
    let Some(conf) = conf else { return false };
    if !servers::check(cf, conf) {
        return false;
    }
    for named in &conf.zone_names {
        let name = &named.name;
        if conf.zone(name.as_bytes()).is_none() {
            emerg(
                cf,
                &named.line,
                &format!(
                    "unknown zone \"{name}\" in \"redis_cache_lock\"; \
                 declare it by \"redis_cache_zone {name} 1m\" in the http block"
                ),
            );
            return false;
        }
    }
    for named in &conf.store_names {
        let name = &named.name;
        if conf.store(name.as_bytes()).is_none() {
            emerg(
                cf,
                &named.line,
                &format!(
                    "unknown store \"{name}\" in \"redis_cache_pass\"; \
                 declare it by a \"redis_cache_store {name} {{ ... }}\" block"
                ),
            );
            return false;
        }
    }
    true
}
