//! What a connection does with a [`Client`].

use std::ptr;

use ngx::ffi::{NGX_OK, ngx_connection_handler_pt, ngx_connection_t, ngx_int_t};

use super::{Client, Name, Said, Session, fault};
use crate::ngx::shim;

impl Client {
    /// Makes an established connection ready for the handshake. `save` is called when the server gives a session.
    ///
    /// # Errors
    ///
    /// What went wrong, for the log.
    ///
    /// # Safety
    ///
    /// The connection is open, and isn't encrypted yet.
    pub unsafe fn begin(
        &self,
        connection: *mut ngx_connection_t,
        save: ngx_connection_handler_pt,
    ) -> Result<(), String> {
        let name = self.name.as_ref().and_then(Name::server_name);
        let name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
        let session = self.session.borrow();
        let session = session.as_ref().map_or(ptr::null_mut(), Session::as_ptr);
        let context = self.context.as_ptr();
        // SAFETY: the connection is open by contract; OpenSSL copies the name and counts its use of the context and
        // the session.
        let rc = unsafe { shim::rcs_tls_begin(connection, context, name, session, save) };
        if rc == NGX_OK as ngx_int_t {
            Ok(())
        } else {
            Err(String::from("no memory for an encrypted connection"))
        }
    }

    /// Whether the server is the one expected, after a handshake.
    ///
    /// # Errors
    ///
    /// What is wrong with its certificate and what would help, for the log.
    ///
    /// # Safety
    ///
    /// The connection is open, and has made a handshake.
    pub unsafe fn check(&self, connection: *mut ngx_connection_t) -> Result<(), String> {
        if !self.verify {
            return Ok(());
        }
        // SAFETY: by contract.
        unsafe { fault::certificate(connection, self.name.as_ref()) }
    }

    /// Why a handshake has failed, if these were OpenSSL's words.
    pub fn failed(&self, said: Option<Said>) -> String {
        fault::handshake(said.as_ref())
    }
}
