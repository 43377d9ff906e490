//! One request of a client, in the order of its life.

pub mod access;
pub mod cache;
pub mod cache_status;
pub mod cache_variables;
pub mod context;
pub mod deliver;
pub mod enter;
pub mod filters;
pub mod hold;
pub mod invalidate;
pub mod key;
pub mod pass;
pub mod respond;
pub mod settings;
pub mod state;
pub mod variables;
