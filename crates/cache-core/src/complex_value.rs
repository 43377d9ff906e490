//! What a complex value, in nginx's words a text with `$variables`, is made of.

/// Whether a key for another URI can be made of `template`, a value with `$variables`: each of them follows from the
/// URI or is the same for all that this client asks for. Of any other, such as what `set` or `map` gave, the value for
/// another URI isn't known.
#[must_use]
pub fn is_derivable(template: &[u8]) -> bool {
    const KNOWN: [&[u8]; 20] = [
        b"request_uri",
        b"uri",
        b"document_uri",
        b"args",
        b"query_string",
        b"is_args",
        b"request_method",
        b"scheme",
        b"https",
        b"host",
        b"hostname",
        b"server_name",
        b"server_addr",
        b"server_port",
        b"server_protocol",
        b"remote_addr",
        b"remote_user",
        b"binary_remote_addr",
        b"nginx_version",
        b"redis_cache_authority",
    ];
    const PREFIXES: [&[u8]; 3] = [b"arg_", b"http_", b"cookie_"];
    variables_of(template).all(|name| {
        KNOWN.contains(&name.as_slice()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Whether a value with `$variables` has this one, which is given in lower case.
#[must_use]
pub fn names_variable(template: &[u8], variable: &[u8]) -> bool {
    variables_of(template).any(|name| name == variable)
}

/// The names of the `$variables` in a value, in lower case.
pub(crate) fn variables_of(template: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let pieces = template.split(|&b| b == b'$').skip(1);
    pieces.map(|piece| {
        let piece = piece.strip_prefix(b"{").unwrap_or(piece);
        let end = piece
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'))
            .unwrap_or(piece.len());
        piece.get(..end).unwrap_or_default().to_ascii_lowercase()
    })
}
