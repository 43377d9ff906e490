//! The configuration: what the directives say, merged from http to location.
//!
//! nginx reads the table of `directives`, whose setters leave what they are told in `main_conf` and `loc_conf`. Then it
//! has each location inherit by `merge`. When all is read the module checks `names`, completes `variables`, and
//! compiles `default_key`.

/// The table of directives, and a setter for each.
pub mod directives;

/// `redis_cache_store NAME { ... }`.
mod store_block;

/// Servers of stores, and how their names are looked up.
mod servers;

/// What stores need that variables name by their addresses.
pub mod addresses;

/// `set_md5 $variable [text]`.
pub mod set_md5;

/// What a setter needs: the arguments of its directive, its line, and a way to say what is wrong.
mod reader;

/// The http block.
mod main_conf;

/// Access rules of nginx.
mod access_rules;

/// Server blocks whose responses are counted.
pub mod counted;

/// A location, and what it inherits.
mod loc_conf;

/// Servers that might share records.
mod sites;

/// Creating and merging, as nginx asks for it.
pub mod merge;

/// The zones and stores that directives name.
pub mod names;

/// The names of the `$cache_*` variables, and which of them the configuration sets.
pub mod variables;

/// The key of a location that configures none.
pub mod default_key;

pub use counted::SrvConf;
pub use loc_conf::{DebugHeader, LocConf, LockScope, StatusHeader, VariableRules};
pub use main_conf::{MainConf, stores, zones};
