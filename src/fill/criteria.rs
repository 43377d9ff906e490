//! By what it is decided what becomes of a fill's response: what is known when the backend is asked.

use std::rc::Rc;

use cache_core::flow::Held;
use cache_core::key::LockKey;
use cache_core::policy::RequestView;
use cache_core::rules::Rules;
use ngx::ffi::ngx_array_t;

use super::labelling::Labelling;
use super::part::Wanted;
use super::search::Learning;
use crate::conf::LocConf;
use crate::ngx::request::Request;
use crate::ngx::values::Scope;

/// What storing a response depends on beside the response.
pub struct Criteria {
    /// The operator's rules for storing it.
    pub rules: Rc<Rules>,
    /// The client's request, as far as storing the response depends on it.
    pub view: RequestView,
    /// What must not hold once the response is there.
    pub no_store: NoStore,
    /// The record that the fill is to replace or to confirm, if there is one.
    pub held: Option<Rc<Held>>,
    /// Whether the backend may confirm that record with a 304.
    pub conditional: bool,
    /// Whether the backend is asked without the client's Cookie, which the client has.
    pub without_cookie: bool,
    /// Whether it is asked without other fields of the client's header.
    pub without_fields: bool,
    /// Whether it is the response to a POST, which must state its lifetime itself (RFC 9110 9.3.3).
    pub of_post: bool,
    /// The key's place in the lock domain.
    pub key: LockKey,
    /// Which part of the response is asked for.
    pub wanted: Wanted,
    /// By what purges select the response.
    pub labelling: Labelling,
    /// What its No-Vary-Search means for its key.
    pub learning: Option<Rc<Learning>>,
}

/// `redis_cache_no_store` of the location that caches.
#[derive(Clone, Copy)]
pub struct NoStore(*mut ngx_array_t);

impl NoStore {
    /// That of a location.
    pub fn of(conf: &LocConf) -> NoStore {
        NoStore(conf.no_store())
    }

    /// One that never holds.
    pub fn none() -> NoStore {
        NoStore(std::ptr::null_mut())
    }

    /// Whether any of its values holds for a request and what has come of its response. Asked of the fill's own
    /// request, as `proxy_no_cache` is.
    pub fn holds(self, r: Request) -> bool {
        // SAFETY: filled by nginx's own setter, in the configuration that the request runs under.
        unsafe { r.holds(self.0, Scope::Own) }
    }
}
