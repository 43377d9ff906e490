//! One request of a client, in the order of its life.

/// Entry: our handlers in nginx's phases, and whether the cache has a part in the request.
pub mod enter;

/// The values of the `$cache_*` variables, which win over the directives.
pub mod cache_variables;

/// The cache key.
pub mod key;

/// The settings that hold for the request.
pub mod settings;

/// What the module knows of any request.
pub mod context;

/// What features keep of a request, beside its context.
mod state;

/// How often a worker asks for refills of records that are still fresh.
mod ahead;

/// The cache as the flow sees it: lookup, lock, wait.
pub mod cache;

/// The flow's decision, and how it is carried out.
pub mod deliver;

/// The slices of large objects.
pub mod slices;

/// The response: of a record, or of a fill.
pub mod respond;

/// A record that can't be decompressed.
mod discard;

/// The backend, asked in the client's own request.
pub mod pass;

/// Access rules in the backend's location.
pub mod access;

/// Our filters in nginx's chains.
pub mod filters;

/// The Cache-Status field (RFC 9211) and what it tells.
pub mod cache_status;

/// Why a response came as it came, for those who may know.
pub mod explain;

/// Counting responses.
pub mod count;

/// What unsafe methods and HEAD mean for stored responses.
pub mod invalidate;

/// A record that is deleted.
mod deletion;

/// What the response to a POST means for later GETs.
mod post;

/// What is learnt from a response that isn't stored yet.
mod few_uses;

/// `redis_cache_admin`: what operators and programs ask for.
pub mod admin;

/// Requests that ask for a purge.
pub mod purge;

/// A response that waits until the store has taken a change.
pub mod hold;

/// The variables that the module exports.
pub mod variables;
