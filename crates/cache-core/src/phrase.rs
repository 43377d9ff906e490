//! The reason phrase of a response (RFC 9112 4), where it isn't the one that nginx writes by itself.

use bytes::Bytes;

/// Longest phrase that is kept, in bytes. nginx bounds a backend's whole header by `proxy_buffer_size`.
pub const MAX_PHRASE: usize = 8 << 10;

/// What follows the three digits of the status in a status line: a space and the phrase, as a rule; FastCGI's `Status`
/// may have anything there. It holds no CR, LF or NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase(Bytes);

impl Phrase {
    /// Takes what follows the digits. `None` where it can't be sent as it stands.
    #[must_use]
    pub fn new(rest: Bytes) -> Option<Self> {
        let fits = rest.len() <= MAX_PHRASE && memchr::memchr3(b'\r', b'\n', 0, &rest).is_none();
        fits.then_some(Self(rest))
    }

    /// The phrase to keep of a status line without the protocol, such as `200 Fine`. `None` where nginx writes the same
    /// without being told, where there is no line, and where it isn't one of this status.
    ///
    /// That of a 204 is kept in any case: without a status line nginx takes Content-Type and Last-Modified off a 204
    /// (ngx_http_header_filter).
    #[must_use]
    pub fn of(status: u16, line: &[u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(3)?;
        if digits != status.to_string().as_bytes() {
            return None;
        }
        let own = rest.strip_prefix(b" ") == Some(of_nginx(status).as_bytes());
        if own && status != 204 {
            return None;
        }
        Self::new(Bytes::copy_from_slice(rest))
    }

    /// What follows the digits.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.0
    }
}

/// The phrase that nginx writes (ngx_http_status_lines); empty for a status of which it has none.
fn of_nginx(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, status line, what is kept.
    type Case = (u16, &'static [u8], Option<&'static [u8]>);

    #[test]
    fn a_phrase_is_kept_where_nginx_would_write_another() {
        let cases: [Case; 15] = [
            (200, b"200 OK", None),
            (200, b"200 Fine", Some(b" Fine")),
            (200, b"200 ", Some(b" ")),
            (200, b"200", Some(b"")),
            (200, b"200 ok", Some(b" ok")),
            (200, b"", None),
            (200, b"404 Not Found", None),
            (204, b"204 No Content", Some(b" No Content")),
            (204, b"204", Some(b"")),
            (302, b"302 Found", Some(b" Found")),
            (422, b"422 ", None),
            (403, b"403.1 IIS", Some(b".1 IIS")),
            (200, b"200 \xe9\t\x01", Some(b" \xe9\t\x01")),
            (200, b"200 a\r\nX: y", None),
            (200, b"200 a\0b", None),
        ];
        for (status, line, wanted) in cases {
            let phrase = Phrase::of(status, line);
            let shown = String::from_utf8_lossy(line);
            assert_eq!(phrase.as_ref().map(Phrase::rest), wanted, "{shown:?}");
        }
    }

    #[test]
    fn a_phrase_is_bounded() {
        let long = |bytes| Phrase::new(Bytes::from(vec![b'x'; bytes]));
        assert!(long(MAX_PHRASE).is_some());
        assert!(long(MAX_PHRASE + 1).is_none());
    }
}
