//! Why a server can't be used through TLS: one line with the reason, and with what would help.

use std::ffi::{CStr, c_char};
use std::net::IpAddr;
use std::ptr;

use cache_core::shown::shown;
use ngx::ffi::{NGX_OK, ngx_connection_t, ngx_int_t, ngx_str_t};

use super::{Name, Said};
use crate::ngx::shim;

/// How much of the names in a certificate a line shows, in bytes.
const NAMES: usize = 200;

// X509_V_ERR_... of openssl/x509_vfy.h, the same in all its kin.
const NO_LIST: ngx_int_t = 3;
const NOT_YET: ngx_int_t = 9;
const EXPIRED: ngx_int_t = 10;
const LIST_EXPIRED: ngx_int_t = 12;
const TOO_LONG: ngx_int_t = 22;
const REVOKED: ngx_int_t = 23;
/// No issuer, or one that nobody trusts.
const UNKNOWN: [ngx_int_t; 5] = [2, 18, 19, 20, 21];

// SSL_R_... of openssl/sslerr.h. From 1000 on they stand for alerts of the server's (RFC 8446, section 6).
const HTTP_REQUEST: usize = 156;
const NO_VERSIONS: usize = 191;
const LENGTH_TOO_LONG: usize = 198;
const UNSUPPORTED_VERSION: usize = 258;
const WRONG_VERSION_NUMBER: usize = 267;
const UNEXPECTED_EOF: usize = 294;
const BAD_RECORD_TYPE: usize = 443;
const HANDSHAKE_FAILURE: usize = 1040;
const NO_CERTIFICATE: usize = 1041;
const BAD_CERTIFICATE: usize = 1042;
const UNKNOWN_AUTHORITY: usize = 1048;
const DECRYPT_ERROR: usize = 1051;
const VERSION: usize = 1070;
const UNRECOGNIZED_NAME: usize = 1112;
const CERTIFICATE_REQUIRED: usize = 1116;

/// Whether the server is the one expected.
///
/// # Errors
///
/// What is wrong with its certificate, and what would help.
///
/// # Safety
///
/// The connection is open, and has made a handshake.
pub unsafe fn certificate(
    connection: *mut ngx_connection_t,
    name: Option<&Name>,
) -> Result<(), String> {
    let mut words: *const c_char = ptr::null();
    // SAFETY: by contract; OpenSSL's words are constants.
    let (verdict, words) = unsafe {
        let verdict = shim::rcs_tls_verdict(connection, &raw mut words);
        let words = if words.is_null() {
            String::new()
        } else {
            CStr::from_ptr(words).to_string_lossy().into_owned()
        };
        (verdict, words)
    };
    if verdict != 0 {
        return Err(refusal(verdict, &words));
    }
    let Some(name) = name else {
        return Ok(());
    };
    // SAFETY: by contract.
    if unsafe { is_for(connection, name) } {
        return Ok(());
    }
    // SAFETY: by contract.
    let names = unsafe { names(connection) };
    Err(format!(
        "the server's certificate is for \"{names}\", not for \"{name}\"; give the server a certificate for this name, \
         or set \"tls_name\" to one that it has"
    ))
}

fn refusal(verdict: ngx_int_t, words: &str) -> String {
    match verdict {
        EXPIRED => String::from("the server's certificate has expired; renew it"),
        NOT_YET => String::from(
            "the server's certificate isn't valid yet; check the clocks of both machines",
        ),
        REVOKED => String::from(
            "the server's certificate has been revoked, as \"tls_crl\" says; give the server a new one",
        ),
        NO_LIST => String::from(
            "no revocation list of the authority that signed the server's certificate; add it to the file of \"tls_crl\"",
        ),
        LIST_EXPIRED => String::from(
            "the revocation list of the authority that signed the server's certificate is out of date; renew the file of \
             \"tls_crl\"",
        ),
        TOO_LONG => String::from(
            "the chain of the server's certificate has more certificates than allowed; raise \"tls_verify_depth\"",
        ),
        verdict if UNKNOWN.contains(&verdict) => format!(
            "no known authority has signed the server's certificate ({words}); name its authority's file in \
             \"tls_trusted_certificate\""
        ),
        _ => format!("the server's certificate isn't valid: {words}"),
    }
}

/// # Safety
///
/// As [`certificate`].
unsafe fn is_for(connection: *mut ngx_connection_t, name: &Name) -> bool {
    // SAFETY: by contract; nginx and OpenSSL read the name while they are called.
    let rc = unsafe {
        match name {
            Name::Host(host) => {
                let mut host = ngx_str_t {
                    len: host.len(),
                    data: host.as_ptr().cast_mut(),
                };
                shim::rcs_tls_check_host(connection, &raw mut host)
            }
            Name::Ip(IpAddr::V4(ip)) => {
                let ip = ip.octets();
                shim::rcs_tls_check_ip(connection, ip.as_ptr(), ip.len())
            }
            Name::Ip(IpAddr::V6(ip)) => {
                let ip = ip.octets();
                shim::rcs_tls_check_ip(connection, ip.as_ptr(), ip.len())
            }
        }
    };
    rc == NGX_OK as ngx_int_t
}

/// # Safety
///
/// As [`certificate`].
unsafe fn names(connection: *mut ngx_connection_t) -> String {
    let mut names = [0_u8; NAMES];
    // SAFETY: by contract; there is room for so many bytes.
    let length = unsafe { shim::rcs_tls_names(connection, names.as_mut_ptr(), names.len()) };
    shown(names.get(..length).unwrap_or_default()).into_owned()
}

/// Why there is no encrypted connection, or no longer. `said`: what OpenSSL made of it, if it was its business.
pub fn handshake(said: Option<&Said>) -> String {
    let Some(said) = said else {
        return String::from(
            "the server closed the connection during the TLS handshake; if it speaks no TLS at this port, take \"tls\" out",
        );
    };
    let words = &said.words;
    match said.reason {
        HTTP_REQUEST | LENGTH_TOO_LONG | WRONG_VERSION_NUMBER | BAD_RECORD_TYPE => format!(
            "the server doesn't speak TLS at this port ({words}); use its \"tls-port\", or take \"tls\" out"
        ),
        CERTIFICATE_REQUIRED | NO_CERTIFICATE => String::from(
            "the server demands a client certificate; set \"tls_certificate\" and \"tls_certificate_key\"",
        ),
        HANDSHAKE_FAILURE => format!(
            "the server refuses the TLS handshake ({words}); it may demand a client certificate (\"tls_certificate\"), or \
             other ciphers (\"tls_ciphers\")"
        ),
        NO_VERSIONS | UNSUPPORTED_VERSION | VERSION => format!(
            "the server speaks none of the versions of TLS that nginx may use ({words}); see \"tls_protocols\""
        ),
        BAD_CERTIFICATE..=UNKNOWN_AUTHORITY | DECRYPT_ERROR => {
            format!("the server refuses the client certificate ({words}); see \"tls_certificate\"")
        }
        UNRECOGNIZED_NAME => {
            format!("the server doesn't know the name it was asked for ({words}); see \"tls_name\"")
        }
        _ => format!("the encrypted connection failed: {words}"),
    }
}

/// Whether the server has closed the connection without saying so in TLS, which many do.
pub fn is_end(said: &Said) -> bool {
    said.reason == UNEXPECTED_EOF
}
