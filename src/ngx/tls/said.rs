//! What OpenSSL said when something failed. nginx takes it out of OpenSSL's queue to log it, so it is read there: the log
//! of an encrypted connection hands its lines to a writer.

use std::cell::RefCell;
use std::ffi::c_void;

use ngx::ffi::{NGX_LOG_INFO, ngx_log_t, ngx_uint_t};

use crate::ngx::guard::guard;
use crate::ngx::shim;

/// The first error of OpenSSL's in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its reason: an SSL_R_... of OpenSSL's.
    pub reason: usize,
    /// The same in words.
    pub words: String,
}

impl Said {
    /// Reads a line of nginx's: `... (SSL: error:0A00010B:SSL routines::wrong version number)`.
    fn parse(line: &str) -> Option<Said> {
        let (_, error) = line.split_once("(SSL: error:")?;
        let error = error.split(" error:").next()?;
        let mut parts = error.trim_end().trim_end_matches(')').split(':');
        let code = u64::from_str_radix(parts.next()?, 16).ok()?;
        // Library, function, reason.
        let words = parts.nth(2)?;
        // SAFETY: it takes the number apart.
        let reason = unsafe { shim::rcs_tls_reason(code) };
        Some(Said {
            reason,
            words: words.to_owned(),
        })
    }
}

/// Makes `log` keep what OpenSSL says in `said`, and pass its lines on to `next`.
///
/// # Safety
///
/// `said` and `next` stay where they are while the log is used.
pub unsafe fn listen(log: &mut ngx_log_t, said: &RefCell<Option<Said>>, next: *mut ngx_log_t) {
    log.log_level = log.log_level.max(NGX_LOG_INFO as ngx_uint_t);
    log.writer = Some(write);
    log.wdata = std::ptr::from_ref(said).cast_mut().cast::<c_void>();
    log.next = next;
}

unsafe extern "C" fn write(log: *mut ngx_log_t, level: ngx_uint_t, line: *mut u8, len: usize) {
    guard("log of a store", (), || {
        if level > NGX_LOG_INFO as ngx_uint_t {
            return;
        }
        // SAFETY: nginx calls with the log that `listen` has changed and a line of this length.
        let (said, line) = unsafe {
            let said = (*log).wdata.cast::<RefCell<Option<Said>>>().as_ref();
            (said, std::slice::from_raw_parts(line, len))
        };
        let new = Said::parse(&String::from_utf8_lossy(line));
        if let (Some(said), Some(new)) = (said, new)
            && let Ok(mut said) = said.try_borrow_mut()
        {
            *said = Some(new);
        }
    });
}
