//! What nginx calls our shared memory, and what the configuration does.

use ngx::ffi::ngx_shm_zone_t;

use super::tier;
use crate::ngx::text;

/// What the name of a zone begins with: other modules' zones have other names, whatever their directives say.
const PREFIX: &str = "redis_cache_zone ";

/// The memory that all zones have in common. No zone has this name: theirs are longer than [`PREFIX`].
pub(super) const COMMON: &str = "redis_cache_zone";

/// nginx's name of the memory of a store. `identity` tells what its block says of its servers: with other servers it
/// begins anew.
pub(super) fn of_store(name: &str, identity: u64) -> String {
    format!("redis_cache_store {name} {identity:016x}")
}

/// nginx's name of the memory tier of a store. A module that lays it out in another way, after an upgrade and a reload,
/// begins anew.
pub(super) fn of_tier(name: &str, identity: u64) -> String {
    format!(
        "redis_cache_memory {name} {identity:016x} {}",
        tier::VERSION
    )
}

/// nginx's name of the memory in which the responses of server blocks are counted. `identity` tells which server blocks there are.
pub(super) fn of_servers(identity: u64) -> String {
    format!("redis_cache_servers {identity:016x}")
}

/// nginx's name of the zone that the configuration calls `name`.
pub(super) fn of_zone(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The name that shared memory has in the configuration.
pub(super) fn in_configuration(zone: &ngx_shm_zone_t) -> String {
    // SAFETY: the name lives as long as its zone.
    let name = unsafe { String::from_utf8_lossy(text::bytes(&zone.shm.name)) };
    name.strip_prefix(PREFIX).unwrap_or(&name).to_owned()
}
