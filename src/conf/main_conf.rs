//! The configuration of the http block: zones, stores, and what is known of variables.

use std::rc::Rc;

use ngx::ffi::*;

use super::reader::ConfLine;
use super::sites::Sites;
use crate::ngx::module;
use crate::shm::{ServersMemory, Zone};
use crate::store::redis::{StoreConfig, TlsConfig};

/// `redis_cache_zone`
pub struct ZoneDeclaration {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: usize,
    /// The shared memory.
    pub zone: Zone,
}

/// The name of a zone, store or server, with the line that names it.
#[derive(Clone)]
pub struct Reference {
    /// The name.
    pub name: String,
    /// The line of the directive.
    pub line: ConfLine,
}

/// A variable that configures.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its index.
    pub index: usize,
    /// Whether a `map` or the like computes it. Else it has the value that a `set` has written for the request, if one
    /// has.
    pub computed: bool,
}

/// The http block.
#[derive(Default)]
pub struct MainConf {
    /// The zones.
    pub zones: Vec<ZoneDeclaration>,
    /// The stores: blocks, and addresses named by `redis_cache_pass`.
    pub stores: Vec<Rc<StoreConfig>>,
    /// How connections are encrypted where an address alone asks for it, if one may.
    pub tls: Option<TlsConfig>,
    /// The servers with locations that have the default key.
    pub sites: Sites,
    /// The key where none is configured: `$scheme://$redis_cache_authority$request_uri`.
    pub default_key: Option<*mut ngx_http_complex_value_t>,
    /// The same by the current URI: for subrequests, and behind X-Accel-Redirect. What the client has asked for says
    /// nothing of these.
    pub current_key: Option<*mut ngx_http_complex_value_t>,
    /// The `$cache_*` variables, in the order of `variables::SETTINGS`.
    pub variables: Vec<Variable>,
    /// Index of `$request_body`, if the configuration has it.
    pub request_body: Option<usize>,
    /// Index of `$request_body_file`, likewise.
    pub request_body_file: Option<usize>,
    /// The zones that `redis_cache_lock` names.
    pub zone_names: Vec<Reference>,
    /// The stores that `redis_cache_pass` names.
    pub store_names: Vec<Reference>,
    /// The first names of the server blocks whose responses are counted, in the order of their counters.
    pub server_names: Vec<String>,
    /// The memory of those.
    pub servers: Option<ServersMemory>,
    /// Servers of stores whose names couldn't be looked up, in nginx's words.
    pub unknown_hosts: Vec<Reference>,
}

impl MainConf {
    /// The zone of a name.
    pub fn zone(&self, name: &[u8]) -> Option<Zone> {
        self.zones
            .iter()
            .find(|zone| zone.name.as_bytes() == name)
            .map(|zone| zone.zone)
    }

    /// The store of a name.
    pub fn store(&self, name: &[u8]) -> Option<&Rc<StoreConfig>> {
        self.stores
            .iter()
            .find(|store| store.name.as_bytes() == name)
    }
}

/// The module's configuration of the http block that is being read.
///
/// # Safety
///
/// `cf` is the configuration being read, within http.
pub unsafe fn main_conf<'a>(cf: *mut ngx_conf_t) -> Option<&'a mut MainConf> {
    // SAFETY: by contract.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        (*(*ctx).main_conf.add(module::index()))
            .cast::<MainConf>()
            .as_mut()
    }
}

/// A cycle's configuration of the http block, if it has one.
///
/// # Safety
///
/// `cycle` is the worker's cycle.
unsafe fn of_cycle<'a>(cycle: *mut ngx_cycle_t) -> Option<&'a MainConf> {
    // SAFETY: by contract; without an http block there is no context.
    unsafe {
        let ctx = (*(*cycle).conf_ctx.add(ngx_http_module.index)).cast::<ngx_http_conf_ctx_t>();
        let ctx = ctx.as_ref()?;
        (*ctx.main_conf.add(module::index()))
            .cast::<MainConf>()
            .as_ref()
    }
}

/// The zones of a cycle's configuration.
///
/// # Safety
///
/// `cycle` is the worker's cycle.
pub unsafe fn zones(cycle: *mut ngx_cycle_t) -> Vec<Zone> {
    // SAFETY: by contract.
    let conf = unsafe { of_cycle(cycle) };
    let zones = conf.into_iter().flat_map(|conf| &conf.zones);
    zones.map(|zone| zone.zone).collect()
}

/// The stores of a cycle's configuration.
///
/// # Safety
///
/// `cycle` is the worker's cycle.
pub unsafe fn stores(cycle: *mut ngx_cycle_t) -> Vec<Rc<StoreConfig>> {
    // SAFETY: by contract.
    let conf = unsafe { of_cycle(cycle) };
    let stores = conf.into_iter().flat_map(|conf| &conf.stores);
    stores.cloned().collect()
}
