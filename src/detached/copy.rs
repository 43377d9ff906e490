//! Copies a client's request so that it can outlive it.

use std::ptr::NonNull;

use ngx::ffi::*;

use super::connection::alloc;
use super::purpose::Purpose;
use crate::ngx::headers::MaskedRequest;
use crate::ngx::request::Request;
use crate::ngx::values::copy_captures;
use crate::ngx::{shim, text};

mod body;
mod headers;
mod message;
mod variables;

pub use headers::{leaves_out, separate as separate_headers};

/// The main request: what is left of the client's, or a message.
///
/// # Safety
///
/// `client` is live, `c` was made for it by [`connection::create`](super::connection::create).
pub unsafe fn request(
    client: Request,
    c: *mut ngx_connection_t,
    purpose: &Purpose,
) -> Option<NonNull<ngx_http_request_t>> {
    // SAFETY: on failure the request is freed here and the connection by the caller.
    unsafe {
        let main = NonNull::new(ngx_http_create_request(c))?;
        (*c).data = main.as_ptr().cast();
        // It isn't a request of a client: the access log doesn't know it.
        shim::rcs_set_logged(main.as_ptr(), 1);
        shim::rcs_set_internal(main.as_ptr(), 1);
        // As if it had run post_action already, which is for the client's request to run.
        shim::rcs_set_post_action(main.as_ptr(), 1);
        shim::rcs_set_uri_changes(main.as_ptr(), 0);
        let filled = fields(client, main.as_ptr(), purpose);
        variables::force(client);
        // What is left out, and what is made of it, isn't seen by what follows.
        let _masked = MaskedRequest::new(client, purpose.left_out());
        // What the connection tells is no matter of the header.
        variables::force(client);
        let filled = filled
            .and_then(|()| headers::copy(client, main.as_ptr(), purpose))
            .and_then(|()| match purpose {
                Purpose::Fetch(_) => body::copy(client, main.as_ptr()),
                Purpose::Message(message) => message::put(message, main.as_ptr()),
            })
            .and_then(|()| variables::copy(client, main.as_ptr()));
        if filled.is_none() {
            ngx_http_free_request(main.as_ptr(), 0);
            return None;
        }
        Some(main)
    }
}

unsafe fn fields(client: Request, main: *mut ngx_http_request_t, purpose: &Purpose) -> Option<()> {
    // SAFETY: strings of the live client request; the copy's pool.
    unsafe {
        let (from, m) = (client.get(), &mut *main);
        let pool = m.pool;
        let copy = |from: &ngx_str_t| match from.data.is_null() {
            // nginx tells by this that there is none: a request that it has refused may lack any of these
            true => Some(*from),
            false => text::copy(pool, text::bytes(from)),
        };
        m.main_conf = from.main_conf;
        m.srv_conf = from.srv_conf;
        m.loc_conf = from.loc_conf;
        m.uri = copy(&from.uri)?;
        m.args = copy(&from.args)?;
        m.exten = copy(&from.exten)?;
        m.unparsed_uri = copy(&from.unparsed_uri)?;
        m.request_line = copy(&from.request_line)?;
        m.http_protocol = copy(&from.http_protocol)?;
        m.schema = copy(&from.schema)?;
        m.headers_in.server = copy(&from.headers_in.server)?;
        m.method = from.method;
        m.method_name = copy(&from.method_name)?;
        if client.is_head() {
            // The whole response is stored, as proxy_cache_convert_head does.
            m.method = NGX_HTTP_GET as ngx_uint_t;
            m.method_name = text::borrowed(b"GET ");
            m.method_name.len = 3;
        }
        m.http_version = from.http_version;
        m.start_sec = from.start_sec;
        m.start_msec = from.start_msec;
        for (get, set) in [
            (
                shim::rcs_get_http_major as Get,
                shim::rcs_set_http_major as Set,
            ),
            (shim::rcs_get_http_minor, shim::rcs_set_http_minor),
            (
                shim::rcs_get_valid_unparsed_uri,
                shim::rcs_set_valid_unparsed_uri,
            ),
            (
                shim::rcs_get_add_uri_to_alias,
                shim::rcs_set_add_uri_to_alias,
            ),
            (shim::rcs_get_valid_location, shim::rcs_set_valid_location),
        ] {
            set(main, get(client.as_ptr()));
        }
        for (get, set) in [
            // counted once, for the client's request
            (
                shim::rcs_get_limit_req_status as Get,
                shim::rcs_set_limit_req_status as Set,
            ),
            (
                shim::rcs_get_limit_conn_status,
                shim::rcs_set_limit_conn_status,
            ),
        ] {
            set(main, get(client.main().as_ptr()));
        }
        shim::rcs_set_expect_tested(main, 1);
        shim::rcs_copy_port(main, client.main().as_ptr());
        if purpose.is_own() {
            m.content_handler = from.content_handler;
        }
        // An internal redirect keeps them as well: a request that passes has them in its backend's location.
        if purpose.fetch().is_some() {
            copy_captures(client, main)?;
        }
        Some(())
    }
}

type Get = unsafe extern "C" fn(*const ngx_http_request_t) -> ngx_uint_t;
type Set = unsafe extern "C" fn(*mut ngx_http_request_t, ngx_uint_t);
