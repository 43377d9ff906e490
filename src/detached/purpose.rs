//! What a detached request is for, as far as the request itself depends on it.

use bytes::Bytes;
use cache_core::credentials::Credential;
use cache_core::renewal::Validators;
use ngx::ffi::{ngx_int_t, off_t};

use super::backend::Backend;

/// What a detached request is for.
pub enum Purpose {
    /// To fetch the backend's response to the client's request.
    Fetch(Fetch),
    /// To carry a message to a location of the same server, and its response back.
    Message(Message),
}

/// How the backend is asked in the client's stead.
pub struct Fetch {
    /// Where the backend is.
    pub backend: Backend,
    /// Index in the phase engine of what comes behind our handler. The request goes on there if the client's location
    /// is the backend itself.
    pub next_phase: ngx_int_t,
    /// Credentials of the client that the backend doesn't see.
    pub without_credentials: Vec<Credential>,
    /// Other fields of the client's header that the backend doesn't see, in lower case.
    pub without_fields: Vec<Bytes>,
    /// Conditions on which the backend may answer with 304.
    pub validators: Option<Validators>,
    /// The fields that ask for a part of the response alone, if it is to have some.
    pub part: Vec<(&'static [u8], Bytes)>,
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

/// Where a filter of ours is among nginx's filters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FilterPosition {
    /// In front of all others.
    First,
    /// Behind those of other makers.
    Lower,
}

impl Purpose {
    /// How the backend is asked. `None` if a message is carried.
    pub(super) fn fetch(&self) -> Option<&Fetch> {
        match self {
            Purpose::Fetch(fetch) => Some(fetch),
            Purpose::Message(_) => None,
        }
    }

    /// What of the client's header it doesn't have, beside what no copy has.
    pub(super) fn left_out(&self) -> (&[Credential], &[Bytes]) {
        match self {
            Purpose::Fetch(fetch) => (&fetch.without_credentials, &fetch.without_fields),
            Purpose::Message(_) => (&[], &[]),
        }
    }

    /// Where the response is captured. The filters of the client's own location work on the client's response, so they
    /// must not work on a fetched response before. A message's response is for the module alone.
    pub(super) fn position(&self) -> FilterPosition {
        match self {
            Purpose::Fetch(fetch) if fetch.backend != Backend::Own => FilterPosition::Lower,
            Purpose::Fetch(_) | Purpose::Message(_) => FilterPosition::First,
        }
    }

    /// Whether the client's location goes on behind our handler.
    pub(super) fn is_own(&self) -> bool {
        self.fetch()
            .is_some_and(|fetch| fetch.backend == Backend::Own)
    }
}
