//! Server blocks whose responses are counted: those with locations that cache, by their first names.

use std::cell::Cell;

use ngx::ffi::*;

use super::main_conf::main_conf;
use crate::ngx::{module, text};
use crate::shm::{ServersMemory, digest};

/// The name of server blocks that have none.
const NAMELESS: &str = "_";

/// The module's configuration of a server block.
#[derive(Default)]
pub struct SrvConf {
    /// Where its responses are counted.
    pub place: Cell<Option<usize>>,
}

/// Notes that the server block being merged has a location that caches. Blocks of the same name count together.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http, while nginx merges.
pub unsafe fn note_server(cf: *mut ngx_conf_t) {
    // SAFETY: by contract, the context is that of the level being merged.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = *(*ctx).srv_conf.add(ngx_http_core_module.ctx_index);
        let own = *(*ctx).srv_conf.add(module::index());
        let (Some(core), Some(own), Some(main)) = (
            core.cast::<ngx_http_core_srv_conf_t>().as_ref(),
            own.cast::<SrvConf>().as_ref(),
            main_conf(cf),
        ) else {
            return;
        };
        let name = String::from_utf8_lossy(text::bytes(&core.server_name)).into_owned();
        let name = if name.is_empty() {
            NAMELESS.to_owned()
        } else {
            name
        };
        let known = main.server_names.iter().position(|known| *known == name);
        let place = known.unwrap_or_else(|| {
            main.server_names.push(name);
            main.server_names.len() - 1
        });
        own.place.set(Some(place));
    }
}

/// Declares the memory for their counters, now that all is read.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http.
pub unsafe fn declare(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract.
    unsafe {
        let Some(main) = main_conf(cf) else {
            return false;
        };
        let names = &main.server_names;
        if names.is_empty() {
            return true;
        }
        let identity = digest(names.join("\0").as_bytes());
        main.servers = ServersMemory::declare(cf, identity, names.len());
        main.servers.is_some()
    }
}
