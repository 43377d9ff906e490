//! Whether a request is in the location that the module has sent it to, whose access rules aren't checked.

use ngx::ffi::ngx_uint_t;

use crate::ngx::request::{LocationId, Request};

/// The backend's own location, as far as the request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entered {
    /// The request hasn't been sent there.
    #[default]
    No,
    /// nginx is about to find it, with so many changes of the URI left: with less it has gone elsewhere.
    Soon(ngx_uint_t),
    /// This one.
    Location(LocationId),
}

impl Entered {
    /// The location that a request is in.
    pub fn at(r: Request) -> Entered {
        r.location().map_or(Entered::No, Entered::Location)
    }

    /// The one that a redirect of the request will lead to.
    pub fn after_redirect(r: Request) -> Entered {
        Entered::Soon(r.uri_changes().saturating_sub(1))
    }
}
