//! What a request asks for: its method and its target URI (RFC 9110 7.1).

use cache_core::uri::authority_of_request_line;
use ngx::ffi::*;

use super::super::{shim, text};
use super::{OK, Request};

impl Request {
    /// The name of its method.
    pub fn method(self) -> &'static [u8] {
        // SAFETY: nginx's strings live as long as the request.
        unsafe { text::bytes(&self.get().method_name) }
    }

    /// Whether the client wants no body.
    pub fn is_head(self) -> bool {
        self.get().method == NGX_HTTP_HEAD as usize
    }

    /// Whether it asks for what the URI names, no more.
    pub fn is_get_or_head(self) -> bool {
        self.get().method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as usize != 0
    }

    /// Bytes of the response's body that were sent so far: nginx's `$body_bytes_sent`.
    pub fn body_bytes_sent(self) -> u64 {
        // SAFETY: the connection outlives its requests.
        let sent = unsafe { (*self.get().connection).sent };
        let header = (self.get().header_size as u64).cast_signed();
        sent.wrapping_sub(header).max(0).cast_unsigned()
    }

    /// Its decoded path.
    pub fn uri(self) -> &'static [u8] {
        // SAFETY: as above.
        unsafe { text::bytes(&self.get().uri) }
    }

    /// Its arguments, without "?".
    pub fn args(self) -> &'static [u8] {
        // SAFETY: as above.
        unsafe { text::bytes(&self.get().args) }
    }

    /// Its path and arguments as the client sent them.
    pub fn unparsed_uri(self) -> &'static [u8] {
        // SAFETY: as above.
        unsafe { text::bytes(&self.get().unparsed_uri) }
    }

    /// How often its URI may still be changed.
    pub fn uri_changes(self) -> ngx_uint_t {
        // SAFETY: live request.
        unsafe { shim::rcs_get_uri_changes(self.as_ptr()) }
    }

    /// Host and port that the client asked: the authority of the target URI (RFC 9110 7.2). Empty if it named none.
    pub fn authority(self) -> &'static [u8] {
        let headers = &self.get().headers_in;
        // SAFETY: nginx's strings live as long as the request.
        unsafe {
            let server = text::bytes(&headers.server);
            let host = headers.host.as_ref().map(|line| text::bytes(&line.value));
            // Another one in the request line wins.
            let named = authority_of_request_line(text::bytes(&self.get().request_line))
                .or_else(|| self.pseudo_authority())
                .or(host)
                .unwrap_or_default();
            match named.get(..server.len()) {
                Some(start) if start.eq_ignore_ascii_case(server) => named,
                _ => server,
            }
        }
    }

    /// `:authority` of HTTP/3, of which nginx makes no Host.
    fn pseudo_authority(self) -> Option<&'static [u8]> {
        // SAFETY: a live request; both point into one string that lives as long as it.
        unsafe {
            let r = self.get();
            if shim::rcs_get_http_major(self.as_ptr()) < 3 || r.host_start.is_null() {
                return None;
            }
            let length = usize::try_from(r.host_end.offset_from(r.host_start)).ok()?;
            Some(std::slice::from_raw_parts(r.host_start, length))
        }
    }

    /// nginx's `$host`: the host that the client named, else the first name of its server.
    pub fn host(self) -> &'static [u8] {
        let named = &self.get().headers_in.server;
        // SAFETY: nginx's strings live as long as the request, and so does the server's configuration.
        unsafe {
            if named.len > 0 {
                return text::bytes(named);
            }
            text::bytes(&(*self.server()).server_name)
        }
    }

    /// The port that its connection came to; 0 for a socket without one.
    pub fn local_port(self) -> u16 {
        // SAFETY: a live connection, whose address is looked up if it isn't known.
        unsafe {
            let c = self.connection();
            let mut nothing = ngx_str_t {
                len: 0,
                data: std::ptr::null_mut(),
            };
            if ngx_connection_local_sockaddr(c, &mut nothing, 0) != OK
                || (*c).local_sockaddr.is_null()
            {
                return 0;
            }
            ngx_inet_get_port((*c).local_sockaddr)
        }
    }

    /// Whether the client's connection is encrypted.
    pub fn is_https(self) -> bool {
        // SAFETY: live request.
        unsafe { shim::rcs_is_https(self.as_ptr()) != 0 }
    }

    /// Whether the client asks for another protocol or a tunnel.
    pub fn wants_upgrade(self) -> bool {
        !self.get().headers_in.upgrade.is_null() || self.method() == b"CONNECT"
    }

    /// Whether it carries credentials (RFC 9111 3.5).
    pub fn has_authorization(self) -> bool {
        !self.get().headers_in.authorization.is_null()
    }
}
