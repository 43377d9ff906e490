//! Purges in JSON: `POST .../purge`.

use cache_core::purge::request::{MAX_BODY, json};
use cache_core::uri::Origin;
use ngx::ffi::*;

use crate::conf::{LocConf, MainConf};
use crate::ngx::request::{Code, NoBody, Request};
use crate::request::purge::answer::{self, Answer};
use crate::request::purge::keys::Keys;
use crate::request::purge::{Fields, carry, is_allowed, request};
use crate::request::settings;

/// Answers a request to purge; gives what the phase handler returns. `body_read` is called when the request's body is there, and
/// runs the handler again.
pub fn enter(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    body_read: unsafe extern "C" fn(*mut ngx_http_request_t),
) -> Code {
    let early = if !is_allowed(r, conf) {
        Some(answer::forbidden())
    } else if r.method() != b"POST" {
        Some(answer::method("POST"))
    } else if r
        .content_length()
        .is_some_and(|length| length > MAX_BODY as u64)
    {
        Some(answer::too_large(MAX_BODY))
    } else {
        None
    };
    if let Some(answer) = early {
        return answer::at_once(r, conf, main, answer);
    }
    if r.has_body() && !r.is_body_read() {
        return r.read_body(body_read);
    }
    match purge(r, conf, main) {
        Ok(code) => code,
        Err(answer) => answer::at_once(r, conf, main, answer),
    }
}

/// The purge that the request's body asks for.
fn purge(r: Request, conf: &LocConf, main: &MainConf) -> Result<Code, Answer> {
    let body = r.body(MAX_BODY).map_err(|fault| match fault {
        NoBody::TooLong => answer::too_large(MAX_BODY),
        NoBody::Unreadable => answer::failed("the body can't be read"),
    })?;
    let origin = Origin::new(r.is_https(), r.authority());
    let fields = Fields(r);
    let request = request(r, origin.as_ref(), &fields);
    let purge = json(&body, origin.as_ref()).map_err(|refusal| answer::refused(&refusal))?;
    // Keys are those of other locations.
    let keys = Keys::in_log(&purge, &request).map_err(|refusal| answer::refused(&refusal))?;
    let stores: Vec<_> = settings::stores(r, conf, main)
        .into_iter()
        .map(|store| (None, store))
        .collect();
    if stores.is_empty() {
        return Err(answer::unavailable("the location has no store"));
    }
    Ok(answer::later(
        r,
        conf,
        main,
        carry::out(r, stores, &purge, keys),
    ))
}
