//! Sessions: what a server gives so that the next handshake with it is shorter.

use std::ffi::c_void;
use std::ptr::NonNull;

use ngx::ffi::ngx_connection_t;

use crate::ngx::shim;

/// A session (an SSL_SESSION).
pub struct Session(NonNull<c_void>);

impl Session {
    /// The session of a connection: within the callback that tells of one, that one.
    ///
    /// # Safety
    ///
    /// The connection is open and encrypted.
    pub unsafe fn of(connection: *mut ngx_connection_t) -> Option<Session> {
        // SAFETY: by contract; what comes back is counted for us.
        NonNull::new(unsafe { shim::rcs_tls_session(connection) }).map(Session)
    }

    /// OpenSSL's own.
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: it was counted for us.
        unsafe { shim::rcs_tls_free_session(self.0.as_ptr()) };
    }
}
