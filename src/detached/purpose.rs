//! What a detached request is for.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::credentials::Credential;
use cache_core::flow::Held;
use cache_core::key::LockKey;
use cache_core::policy::RequestView;
use cache_core::renewal::Validators;
use cache_core::rules::Rules;
use ngx::ffi::{ngx_array_t, ngx_int_t, off_t};

use crate::conf::{Backend, LocConf};
use crate::fill::capture::FilterPosition;
use crate::fill::request_header::RequestHeader;
use crate::ngx::request::Request;

/// What a detached request is for.
pub enum Purpose {
    /// To fetch the backend's answer for the cache.
    Fill(Question),
    /// To carry a message to a location of the same server, and its answer back.
    Message(Message),
}

/// What is asked of the backend.
pub struct Question {
    /// The operator's rules for storing the answer.
    pub rules: Rc<Rules>,
    /// The request, as far as storing the answer depends on it.
    pub view: RequestView,
    /// What must not hold once the answer is there.
    pub no_store: NoStore,
    /// Who is asked.
    pub backend: Backend,
    /// The record that is asked about, if there is one.
    pub held: Option<Rc<Held>>,
    /// Conditions on which the backend may answer with 304.
    pub validators: Option<Validators>,
    /// What of the client's header the backend sees.
    pub asked: RequestHeader,
    /// The key's place in the lock domain.
    pub key: LockKey,
    /// Where the client's location goes on, if it is the backend itself.
    pub own: Own,
}

/// `redis_cache_no_store` of the location that caches.
#[derive(Clone, Copy)]
pub struct NoStore(*mut ngx_array_t);

impl NoStore {
    /// That of a location.
    pub fn of(conf: &LocConf) -> NoStore {
        NoStore(conf.no_store())
    }

    /// Whether any of its values holds for a request and what has come of its response. Asked of the fill's own request, as
    /// `proxy_no_cache` is.
    pub fn holds(self, r: Request) -> bool {
        // SAFETY: filled by nginx's own setter, in the configuration that the request runs under.
        unsafe { r.holds(self.0) }
    }
}

/// Where the location's own handler goes on, behind ours.
#[derive(Clone, Copy)]
pub struct Own {
    /// Index in the phase engine.
    pub phase: ngx_int_t,
}

/// A POST request.
pub struct Message {
    /// Its URI, exactly.
    pub uri: Bytes,
    /// Its arguments.
    pub args: Bytes,
    /// Its body, which is not copied.
    pub body: Vec<Bytes>,
}

impl Message {
    /// How long the body is.
    pub(super) fn length(&self) -> off_t {
        let length: usize = self.body.iter().map(Bytes::len).sum();
        off_t::try_from(length).unwrap_or(off_t::MAX)
    }
}

impl Purpose {
    /// Whether the backend may answer with 304.
    pub fn asks_for_confirmation(&self) -> bool {
        matches!(self, Purpose::Fill(question) if question.validators.is_some())
    }

    /// What of the client's header it doesn't have, beside what no copy has.
    pub(super) fn left_out(&self) -> (&[Credential], &[Bytes]) {
        match self {
            Purpose::Fill(question) => (&question.asked.credentials, &question.asked.left_out),
            Purpose::Message(_) => (&[], &[]),
        }
    }

    /// Where among nginx's filters the answer is captured. Those of the client's own location work on its response, so
    /// they don't work here; a message's answer is for nobody but us.
    pub fn place(&self) -> FilterPosition {
        match self {
            Purpose::Fill(question) if question.backend != Backend::Own => FilterPosition::Lower,
            Purpose::Fill(_) | Purpose::Message(_) => FilterPosition::First,
        }
    }

    /// Whether the client's location goes on behind our handler.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Purpose::Fill(question) if question.backend == Backend::Own)
    }
}
