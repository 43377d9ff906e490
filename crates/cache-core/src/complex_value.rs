//! What a complex value, in nginx's words a text with `$variables`, is made of.

/// Variables that are parts of the URI.
const OF_URI: [&[u8]; 7] = [
    b"request_uri",
    b"uri",
    b"document_uri",
    b"args",
    b"query_string",
    b"is_args",
    b"redis_cache_args",
];

/// Whether a key for another URI can be made of `template`, a value with `$variables`: each of them follows from the
/// URI or is the same for all that this client asks for. Of any other, such as what `set` or `map` gave, the value for
/// another URI isn't known.
#[must_use]
pub fn is_derivable(template: &[u8]) -> bool {
    variables_of(template).all(|name| {
        OF_URI.contains(&name.as_slice()) || name.starts_with(b"arg_") || is_of_client(&name)
    })
}

/// Whether a value with `$variables` says the same whatever the URI has become by a rewrite: each of them is as the client has
/// sent it, or is the same for all that this client asks for.
#[must_use]
pub fn is_as_sent(template: &[u8]) -> bool {
    variables_of(template).all(|name| name == b"request_uri" || is_of_client(&name))
}

/// Whether a variable is the same for all that a client asks for in one way.
fn is_of_client(name: &[u8]) -> bool {
    const KNOWN: [&[u8]; 14] = [
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
    KNOWN.contains(&name) || name.starts_with(b"http_") || name.starts_with(b"cookie_")
}

/// Whether a key made of `template`, a value with `$variables`, is the same for all clients that ask a host for a URI. A
/// scheme in it isn't looked at. What the pattern of a location has captured is of the URI.
#[must_use]
pub fn is_of_uri(template: &[u8]) -> bool {
    const KNOWN: [&[u8]; 6] = [
        b"request_method",
        b"scheme",
        b"host",
        b"http_host",
        b"server_name",
        b"redis_cache_authority",
    ];
    variables_of(template).all(|name| {
        OF_URI.contains(&name.as_slice())
            || KNOWN.contains(&name.as_slice())
            || name.starts_with(b"arg_")
            || name.iter().all(u8::is_ascii_digit)
    })
}

/// A key made of `template`, as it is for clients that use the other scheme: that is known if the scheme is its beginning
/// and nowhere else. `https`: that this key was made for https.
#[must_use]
pub fn with_other_scheme(template: &[u8], key: &[u8], https: bool) -> Option<Vec<u8>> {
    let mut variables = variables_of(template);
    let begins = template.starts_with(b"$") && variables.next()? == b"scheme";
    if !begins || variables.any(|name| name == b"scheme") {
        return None;
    }
    let (from, to): (&[u8], &[u8]) = if https {
        (b"https", b"http")
    } else {
        (b"http", b"https")
    };
    key.strip_prefix(from).map(|rest| [to, rest].concat())
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
