//! What encrypted connections have in common (an SSL_CTX). It is made while the configuration is read.

use std::ffi::c_void;
use std::ptr::NonNull;

use ngx::ffi::{NGX_OK, ngx_conf_t, ngx_int_t, ngx_str_t};

use crate::ngx::{shim, text};

/// What a context is made from. Files are relative to the configuration's directory.
pub struct ContextSettings {
    /// The versions of TLS: what [`version`] gives, added up.
    pub versions: usize,
    /// Ciphers in OpenSSL's notation.
    pub ciphers: String,
    /// Whom it trusts. `None`: it trusts nobody.
    pub trust: Option<Trust>,
    /// The file of a certificate for those who demand one, and that of its key.
    pub certificate: Option<(String, String)>,
    /// The file of the passwords that the key may be encrypted with.
    pub password_file: Option<String>,
    /// Whether sessions are used again.
    pub reuse: bool,
}

/// Whom a context trusts.
pub struct Trust {
    /// The file of authorities. `None`: those that the system trusts.
    pub authorities: Option<String>,
    /// How many intermediate certificates a chain may have.
    pub depth: u32,
    /// The file of what they have revoked.
    pub revoked: Option<String>,
}

/// Why there is no context.
pub enum Fault {
    /// There is no memory.
    NoMemory,
    /// nginx has logged it, with the level emerg.
    Logged,
}

/// A context.
#[derive(Debug)]
pub struct Context(NonNull<c_void>);

impl Context {
    /// Makes a context.
    ///
    /// # Errors
    ///
    /// A file can't be used, OpenSSL doesn't know the ciphers, or there is no memory.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn create(
        cf: *mut ngx_conf_t,
        settings: &ContextSettings,
    ) -> Result<Context, Fault> {
        // SAFETY: `cf` is nginx's own by contract; the strings live in its pool, with a NUL behind them; what the
        // shim gives back for the configuration stays while that does, and the context is counted.
        unsafe {
            let mut ciphers = string(cf, &settings.ciphers)?;
            let reuse = usize::from(settings.reuse);
            let made = shim::rcs_tls_create(cf, settings.versions, &raw mut ciphers, reuse);
            if made.is_null() {
                return Err(Fault::Logged);
            }
            if let Some(trust) = &settings.trust {
                trust.give(cf, made)?;
            }
            if let Some((certificate, key)) = &settings.certificate {
                let mut certificate = string(cf, certificate)?;
                let mut key = string(cf, key)?;
                let mut passwords = optional(cf, settings.password_file.as_ref())?;
                done(shim::rcs_tls_certificate(
                    cf,
                    made,
                    &raw mut certificate,
                    &raw mut key,
                    &raw mut passwords,
                ))?;
            }
            NonNull::new(shim::rcs_tls_hold(made))
                .map(Context)
                .ok_or(Fault::NoMemory)
        }
    }

    /// OpenSSL's own.
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: `create` has counted this use.
        unsafe { shim::rcs_tls_release(self.0.as_ptr()) };
    }
}

impl Trust {
    /// # Safety
    ///
    /// As [`Context::create`]; `made` is what the shim has made for this configuration.
    unsafe fn give(&self, cf: *mut ngx_conf_t, made: *mut c_void) -> Result<(), Fault> {
        // SAFETY: by contract.
        unsafe {
            let mut authorities = optional(cf, self.authorities.as_ref())?;
            let depth = ngx_int_t::try_from(self.depth).unwrap_or(ngx_int_t::MAX);
            done(shim::rcs_tls_trust(cf, made, &raw mut authorities, depth))?;
            if self.authorities.is_none() {
                done(shim::rcs_tls_trust_system(made))?;
            }
            if self.revoked.is_some() {
                let mut revoked = optional(cf, self.revoked.as_ref())?;
                done(shim::rcs_tls_revoke(cf, made, &raw mut revoked))?;
            }
        }
        Ok(())
    }
}

/// Whether nginx was built with TLS.
pub fn is_built() -> bool {
    // SAFETY: it looks at nothing.
    unsafe { shim::rcs_tls_is_built() != 0 }
}

/// The bit of a version of TLS by its name in directives, such as TLSv1.2.
pub fn version(name: &str) -> Option<usize> {
    // SAFETY: the name is readable for its length.
    let bit = unsafe { shim::rcs_tls_version(name.as_ptr(), name.len()) };
    Some(bit).filter(|bit| *bit != 0)
}

fn done(rc: ngx_int_t) -> Result<(), Fault> {
    if rc == NGX_OK as ngx_int_t {
        Ok(())
    } else {
        Err(Fault::Logged)
    }
}

/// # Safety
///
/// `cf` is the configuration being read.
unsafe fn string(cf: *mut ngx_conf_t, value: &str) -> Result<ngx_str_t, Fault> {
    // SAFETY: by contract its pool is live.
    unsafe { text::copy((*cf).pool, value.as_bytes()).ok_or(Fault::NoMemory) }
}

/// The same; the empty string stands for nothing.
///
/// # Safety
///
/// As `string`.
unsafe fn optional(cf: *mut ngx_conf_t, value: Option<&String>) -> Result<ngx_str_t, Fault> {
    // SAFETY: by contract.
    unsafe { string(cf, value.map_or("", String::as_str)) }
}
