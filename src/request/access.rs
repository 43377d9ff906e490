//! Access rules where nginx itself would not look at them, or look twice: for a fill, and for a request that runs the
//! backend itself.
//!
//! The backend's own location, which the module enters, is spared the rules there: the client has passed those of the
//! location that it asked for. Where an internal redirect leads from there (try_files, error_page, X-Accel-Redirect,
//! `rewrite ... last`) the rules hold. A fill runs as a subrequest, which nginx checks nowhere, so that they are
//! checked here.

use std::cell::Cell;

use ngx::ffi::*;

use crate::detached::{Entered, hook};
use crate::ngx::guard::guard;
use crate::ngx::request::{AGAIN, Code, DECLINED, DONE, ERROR, OK, Request};
use crate::request::context::Context;
use crate::request::post;

const UNAUTHORIZED: Code = NGX_HTTP_UNAUTHORIZED as Code;
const FORBIDDEN: Code = NGX_HTTP_FORBIDDEN as Code;

/// Puts our check in front of nginx's in the access phase.
///
/// # Safety
///
/// `cycle` is a cycle whose configuration has been read, before its workers start.
pub unsafe fn install(cycle: *mut ngx_cycle_t) {
    let nginx: unsafe extern "C" fn(
        *mut ngx_http_request_t,
        *mut ngx_http_phase_handler_t,
    ) -> ngx_int_t = ngx_http_core_access_phase;
    // SAFETY: by contract; without an http block there is no context. The array ends with zeroes.
    unsafe {
        let ctx = (*(*cycle).conf_ctx.add(ngx_http_module.index)).cast::<ngx_http_conf_ctx_t>();
        let Some(ctx) = ctx.as_ref() else { return };
        let core = (*ctx.main_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_main_conf_t>();
        let mut handler = (*core).phase_engine.handlers;
        while let Some(checker) = (*handler).checker {
            if checker as usize == nginx as usize {
                (*handler).checker = Some(access_phase);
            }
            handler = handler.add(1);
        }
    }
}

/// The handler in the rewrite phase: notes the location that a request has entered.
pub unsafe extern "C" fn rewrite(r: *mut ngx_http_request_t) -> ngx_int_t {
    guard("handler", DECLINED, || {
        // SAFETY: nginx calls with a live request.
        let Some(r) = (unsafe { Request::new(r) }) else {
            return ERROR;
        };
        let entered = match hook(r) {
            Some(hook) if hook.subrequest.get() == r.as_ptr() => Some(&hook.entered),
            Some(_) => None,
            None => r
                .redirected_context::<Context>(Context::of)
                .map(|context| &context.entered),
        };
        if let Some(entered) = entered
            && let Entered::Soon(changes) = entered.get()
        {
            entered.set(if r.uri_changes() == changes {
                Entered::at(r)
            } else {
                Entered::No
            });
        }
        DECLINED
    })
}

/// What is done with a request in the access phase.
enum Turn {
    /// What nginx does.
    Usual,
    /// It goes on at this index of the phase engine.
    Spared(ngx_int_t),
    /// The rules are checked here, and it is noted whether there is one: of a fill, which is a subrequest, and of a request
    /// whose response may be stored.
    Checked(&'static Cell<bool>),
}

fn turn(r: Request) -> Turn {
    let is_in = |entered: Entered| {
        r.location()
            .is_some_and(|location| entered == Entered::Location(location))
    };
    if let Some(hook) = hook(r) {
        // A client's subrequest is checked nowhere.
        let ours = hook.subrequest.get() == r.as_ptr() && hook.is_checked;
        return if ours && !is_in(hook.entered.get()) {
            Turn::Checked(&hook.checked)
        } else {
            Turn::Usual
        };
    }
    match r.redirected_context::<Context>(Context::of) {
        // What comes before our handler has run in the location that the client asked for.
        Some(context) if context.is_passing() && is_in(context.entered.get()) => {
            Turn::Spared(context.after)
        }
        Some(context) if context.is_passing() => {
            post::restricted(context).map_or(Turn::Usual, Turn::Checked)
        }
        _ => Turn::Usual,
    }
}

unsafe extern "C" fn access_phase(
    r: *mut ngx_http_request_t,
    handler: *mut ngx_http_phase_handler_t,
) -> ngx_int_t {
    let own = guard("access", Some(ERROR), || {
        // SAFETY: nginx calls with a live request and its place in the phase engine.
        let request = unsafe { Request::new(r) }?;
        match turn(request) {
            Turn::Usual => None,
            Turn::Spared(index) => {
                request.set_phase(index);
                Some(AGAIN)
            }
            // SAFETY: as above.
            Turn::Checked(noted) => Some(unsafe { check(request, noted, handler) }),
        }
    });
    match own {
        // nginx's phases take an error of a checker for "go on".
        Some(ERROR) => {
            // SAFETY: as above.
            unsafe { ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR as Code) };
            OK
        }
        Some(code) => code,
        // SAFETY: as above.
        None => unsafe { ngx_http_core_access_phase(r, handler) },
    }
}

/// As `ngx_http_core_access_phase` does with a main request.
unsafe fn check(r: Request, noted: &Cell<bool>, handler: *mut ngx_http_phase_handler_t) -> Code {
    // SAFETY: by the caller; a handler of the access phase of this configuration.
    let code = unsafe {
        (*handler)
            .handler
            .map_or(DECLINED, |check| check(r.as_ptr()))
    };
    if code == DECLINED {
        r.set_phase(r.phase() + 1);
        return AGAIN;
    }
    // What comes of it depends on the client.
    noted.set(true);
    if code == AGAIN || code == DONE {
        return OK;
    }
    let any = r
        .core_loc_conf()
        .is_some_and(|conf| conf.satisfy == NGX_HTTP_SATISFY_ANY as ngx_uint_t);
    match code {
        OK if any => {
            r.set_access_code(0);
            // SAFETY: null or lines of the live request.
            unsafe { forget_challenges(r.get()) };
            // SAFETY: by the caller.
            r.set_phase(unsafe { (*handler).next } as ngx_int_t);
            AGAIN
        }
        OK => {
            r.set_phase(r.phase() + 1);
            AGAIN
        }
        FORBIDDEN | UNAUTHORIZED if any => {
            if r.get().access_code != UNAUTHORIZED as ngx_uint_t {
                r.set_access_code(code as ngx_uint_t);
            }
            r.set_phase(r.phase() + 1);
            AGAIN
        }
        UNAUTHORIZED => unauthorized(r),
        _ => {
            // SAFETY: live request.
            unsafe { ngx_http_finalize_request(r.as_ptr(), code) };
            OK
        }
    }
}

/// The client has got in by another rule.
///
/// # Safety
///
/// The request is live.
unsafe fn forget_challenges(request: &ngx_http_request_t) {
    // SAFETY: by contract.
    unsafe {
        let mut line = request.headers_out.www_authenticate;
        while let Some(challenge) = line.as_mut() {
            challenge.hash = 0;
            #[cfg(ngx_linked_headers)]
            {
                line = challenge.next;
            }
            #[cfg(not(ngx_linked_headers))]
            {
                line = std::ptr::null_mut();
            }
        }
    }
}

/// 401, after `auth_delay`.
fn unauthorized(r: Request) -> Code {
    let delay = r.core_loc_conf().map_or(0, |conf| conf.auth_delay);
    // SAFETY: live request and connection.
    unsafe {
        if delay == 0 {
            ngx_http_finalize_request(r.as_ptr(), UNAUTHORIZED);
            return OK;
        }
        r.set_write_handler(delayed);
        let write = (*r.connection()).write;
        (*write).set_delayed(1);
        ngx_add_timer(write, delay);
    }
    OK
}

unsafe extern "C" fn delayed(r: *mut ngx_http_request_t) {
    // SAFETY: nginx calls with a live request.
    unsafe {
        if (*(*(*r).connection).write).delayed() == 0 {
            ngx_http_finalize_request(r, UNAUTHORIZED);
        }
    }
}
