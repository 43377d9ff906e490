//! One request of a client, in the order of its life.

/// It comes to a location that caches, by our handlers in nginx's phases.
pub mod enter;

/// The `$cache_*` variables are read that it has.
pub mod cache_variables;

/// They and the directives make its cache key,
pub mod key;

/// and its settings.
pub mod settings;

/// From now on the module knows it,
pub mod context;

/// and features keep what they need of it.
pub mod state;

/// It looks for a stored response, and locks or waits.
pub mod cache;

/// What the flow decides is carried out.
pub mod deliver;

/// A record or a fill gives it its response,
pub mod respond;

/// or it asks the backend itself,
pub mod pass;

/// whose own location is spared the access rules.
pub mod access;

/// The response goes through our filters,
pub mod filters;

/// which tell how the cache has handled it.
pub mod cache_status;

/// A response to an unsafe method, or to a HEAD, changes what is stored,
pub mod invalidate;

/// and waits until that is done.
pub mod hold;

/// The log reads what has become of it.
pub mod variables;
