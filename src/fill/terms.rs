//! On which terms a fill runs.

use crate::conf::LockScope;
use crate::shm::locks::Retention;

/// What the directives say of fills.
#[derive(Clone, Copy)]
pub struct Terms {
    /// `redis_cache_lock_age`, milliseconds
    pub lock_age: u64,
    /// `redis_cache_lock_scope`
    pub lock_scope: LockScope,
    /// `redis_cache_lock_queue`: how many requests may wait for one key.
    pub queue: u32,
    /// How long the zone remembers what fills have found.
    pub retention: Retention,
    /// `redis_cache_capture_memory`, bytes
    pub capture_memory: u64,
    /// `redis_cache_capture_timeout`: how long a response may be captured from its header on, in milliseconds.
    pub capture_timeout: u64,
}
