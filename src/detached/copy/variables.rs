//! The client's variables: those that were set, and those that only its connection can tell.

use std::ptr;

use ngx::ffi::*;

use super::headers::NOT_COPIED;
use crate::ngx::request::Request;
use crate::ngx::text;
use crate::ngx::values::KeptCaptures;

/// `$http_range` and the like, of fields that the copy doesn't have.
fn of_field_left_out(name: &[u8]) -> bool {
    name.strip_prefix(b"http_")
        .is_some_and(|field| NOT_COPIED.iter().any(|known| is_variable_of(known, field)))
}

/// Whether a field of a header is called so in a variable.
fn is_variable_of(field: &[u8], name: &[u8]) -> bool {
    let spelt = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    field.iter().map(spelt).eq(name.iter().copied())
}

/// Whether a variable is read off the connection, which the copy doesn't have.
fn is_of_connection(name: &[u8]) -> bool {
    // A match tells names apart by their lengths first: this is asked for each variable of each fill.
    match name {
        b"scheme"
        | b"https"
        | b"http2"
        | b"http3"
        | b"remote_addr"
        | b"remote_port"
        | b"binary_remote_addr"
        | b"server_addr"
        | b"server_port"
        | b"server_protocol"
        | b"connection"
        | b"connection_requests"
        | b"connection_time"
        | b"request_id"
        | b"host"
        | b"tcpinfo_rtt" => true,
        [b's', b's', b'l', b'_', ..] => true,
        [b'r' | b'p' | b'g', ..] => ["realip_", "proxy_protocol_", "geoip"]
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes())),
        _ => false,
    }
}

/// Reads what only the client's connection can tell.
///
/// # Safety
///
/// `client` is live.
pub unsafe fn force(client: Request) {
    // SAFETY: by contract; the index is that of a variable of the client's configuration.
    unsafe {
        let known = (*client.indexed_variables()).as_slice::<ngx_http_variable_t>();
        // A configuration may have made such a name by "map".
        let captures = KeptCaptures::of(client);
        for (index, variable) in known.iter().enumerate() {
            if is_of_connection(text::bytes(&variable.name)) {
                ngx_http_get_indexed_variable(client.as_ptr(), index);
                captures.rewind();
            }
        }
    }
}

/// Copies the values that the client's request has so far, those that [`force`] has read among them.
///
/// # Safety
///
/// `client` and `main` are live and of the same configuration.
pub unsafe fn copy(client: Request, main: *mut ngx_http_request_t) -> Option<()> {
    // SAFETY: both arrays have a place for each indexed variable; data is as long as it says.
    unsafe {
        let from = client.get();
        let known = (*client.indexed_variables()).as_slice::<ngx_http_variable_t>();
        for (index, variable) in known.iter().enumerate() {
            let name = text::bytes(&variable.name);
            if of_field_left_out(name) {
                continue;
            }
            let forced = is_of_connection(name);
            let value = &*from.variables.add(index);
            let place = &mut *(*main).variables.add(index);
            if value.valid() == 0 && value.not_found() == 0 {
                continue;
            }
            ptr::copy_nonoverlapping(value, place, 1);
            if forced {
                // nginx would read it off the connection again
                place.set_no_cacheable(0);
            }
            if value.valid() != 0 && value.len() > 0 {
                let bytes = std::slice::from_raw_parts(value.data, value.len() as usize);
                place.data = text::copy((*main).pool, bytes)?.data;
            }
        }
        Some(())
    }
}
