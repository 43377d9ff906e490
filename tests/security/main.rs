//! What neither a client, nor a backend, nor somebody who writes to Redis can make of the cache.

mod answers;
mod framing;
mod hidden;
mod poison;
mod trust;
