//! URIs of the target resource and of those that a response refers to (RFC 3986; RFC 9110 4).

use std::borrow::Cow;

/// Scheme, host and port of a request or of an absolute URI (RFC 9110 4.3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    https: bool,
    /// In lower case.
    host: Vec<u8>,
    port: u16,
}

impl Origin {
    /// The origin of a request with this Host field, or of an authority without user information. `None` if it
    /// names no host.
    #[must_use]
    pub fn new(https: bool, authority: &[u8]) -> Option<Self> {
        let (host, port) = split_port(authority);
        // The root's dot names the same host; nginx leaves it out, too.
        let host = host.strip_suffix(b".").unwrap_or(host);
        // Colons are those of an IP literal, whose brackets stand around it (RFC 3986 3.2.2).
        let literal = host
            .strip_prefix(b"[")
            .and_then(|host| host.strip_suffix(b"]"));
        let (name, odd): (&[u8], &[u8]) = match literal {
            Some(literal) => (literal, b"/?#@\\[]"),
            None => (host, b"/?#@\\[]:"),
        };
        let known = |b: &u8| b.is_ascii_graphic() && !odd.contains(b);
        if name.is_empty() || !name.iter().all(known) {
            return None;
        }
        // An empty port is the scheme's own (RFC 3986 6.2.3).
        let port = match port {
            [] if https => 443,
            [] => 80,
            digits if digits.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(digits).ok()?.parse().ok()?
            }
            _ => return None,
        };
        Some(Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        &self.host
    }

    /// As a URI with its port, also where that is the scheme's own: `https://example.com:443`.
    #[must_use]
    pub fn in_full(&self) -> Vec<u8> {
        let scheme: &[u8] = if self.https { b"https://" } else { b"http://" };
        let mut decimal = itoa::Buffer::new();
        [
            scheme,
            &self.host,
            b":",
            decimal.format(self.port).as_bytes(),
        ]
        .concat()
    }
}

/// What a request's key says of host and port: the authority of the target URI (RFC 9110 4.2), without a port that is
/// the scheme's own, however that is written. Bytes that no host or port has are percent-encoded (RFC 3986 3.2.2): nginx
/// lets some of them pass, and in a key they could be taken for what follows the authority.
#[must_use]
pub fn key_authority<'a>(https: bool, host: &'a [u8], port: &[u8]) -> Cow<'a, [u8]> {
    let host = in_authority(host);
    let own = if https { 443 } else { 80 };
    let number = std::str::from_utf8(port).ok().and_then(|port| {
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| port.parse::<u16>().ok()).flatten()
    });
    let own_port;
    let port = match number {
        Some(number) if number == own => return host,
        Some(number) => {
            own_port = itoa::Buffer::new().format(number).to_owned();
            Cow::Borrowed(own_port.as_bytes())
        }
        None if port.is_empty() => return host,
        // nginx lets it pass.
        None => in_authority(port),
    };
    Cow::Owned([&host, &b":"[..], &port].concat())
}

/// A host or port with all that neither may have in escapes: what is left are unreserved characters, sub-delims, `:`,
/// escapes, and the brackets around an IP literal.
fn in_authority(text: &[u8]) -> Cow<'_, [u8]> {
    let end = text.len().saturating_sub(1);
    let is_literal =
        text.first() == Some(&b'[') && text.iter().rposition(|&b| b == b']') == Some(end);
    let is_escape = |at: usize| {
        let digits = text.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let may_stand = |at: usize, byte: u8| match byte {
        b'%' => is_escape(at),
        b'[' => is_literal && at == 0,
        b']' => is_literal && at == end,
        _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&byte),
    };
    let bytes = || text.iter().copied().enumerate();
    if bytes().all(|(at, byte)| may_stand(at, byte)) {
        return Cow::Borrowed(text);
    }
    let mut encoded = Vec::with_capacity(text.len() + 2);
    for (at, byte) in bytes() {
        if may_stand(at, byte) {
            encoded.push(byte);
        } else {
            encoded.push(b'%');
            encoded.extend_from_slice(&crate::hex::upper(byte));
        }
    }
    Cow::Owned(encoded)
}

/// What an authority names behind this host as the port: all of it, also what isn't one.
#[must_use]
pub fn port_behind<'a>(authority: &'a [u8], host: &[u8]) -> &'a [u8] {
    let behind = match authority.split_at_checked(host.len()) {
        Some((name, behind)) if name.eq_ignore_ascii_case(host) => behind,
        _ => return port_of(authority),
    };
    // The root's dot belongs to the host.
    let behind = behind.strip_prefix(b".").unwrap_or(behind);
    behind.strip_prefix(b":").unwrap_or(behind)
}

/// The port that an authority names, if any.
#[must_use]
pub fn port_of(authority: &[u8]) -> &[u8] {
    split_port(authority).1
}

/// The authority in a request line whose target is in absolute form (RFC 9112 3.2.2).
#[must_use]
pub fn authority_of_request_line(line: &[u8]) -> Option<&[u8]> {
    let (_, target) = cut(line, b' ');
    let target = target?;
    if target.first() == Some(&b'/') {
        return None;
    }
    let at = target.windows(3).position(|bytes| bytes == b"://")?;
    let rest = target.get(at + 3..)?;
    let end = rest.iter().position(|b| b"/?# ".contains(b));
    rest.get(..end.unwrap_or(rest.len()))
}

/// Host and port of an authority without user information; the port is empty where there is none.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    // An IPv6 address has colons of its own, within brackets (RFC 3986 3.2.2).
    let end_of_address = authority.iter().rposition(|&b| b == b']').unwrap_or(0);
    let colon = authority
        .iter()
        .rposition(|&b| b == b':')
        .filter(|&at| at >= end_of_address);
    match colon.and_then(|at| authority.split_at_checked(at)) {
        Some((host, port)) => (host, port.get(1..).unwrap_or_default()),
        None => (authority, &[]),
    }
}

/// Path and query of a URI, as a request line has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Begins with "/"; without dot segments.
    pub path: Vec<u8>,
    /// What follows "?", where there is one.
    pub query: Option<Vec<u8>>,
}

impl Target {
    /// The target of a request in origin form (RFC 9112 3.2.1). `None` for `*` and other forms.
    #[must_use]
    pub fn of_request(target: &[u8]) -> Option<Self> {
        let (target, _) = cut(target, b'#');
        let (path, query) = cut(target, b'?');
        (path.first() == Some(&b'/')).then(|| Self {
            path: remove_dot_segments(path),
            query: query.map(<[u8]>::to_vec),
        })
    }

    /// As a request line has it.
    #[must_use]
    pub fn in_origin_form(&self) -> Vec<u8> {
        let mut text = self.path.clone();
        if let Some(query) = &self.query {
            text.push(b'?');
            text.extend_from_slice(query);
        }
        text
    }

    /// The path with percent-encoding undone, dot segments gone and, if wanted, slashes merged: nginx's `$uri`.
    /// `None` if it can't be decoded.
    #[must_use]
    pub fn decoded_path(&self, merge_slashes: bool) -> Option<Vec<u8>> {
        let mut decoded = Vec::with_capacity(self.path.len());
        let mut rest = self.path.as_slice();
        while let Some((&byte, tail)) = rest.split_first() {
            let (byte, tail) = match (byte, tail) {
                (b'%', [high, low, tail @ ..]) => (hex(*high)? << 4 | hex(*low)?, tail),
                (b'%', _) => return None,
                _ => (byte, tail),
            };
            if byte == 0 {
                return None;
            }
            if !(merge_slashes && byte == b'/' && decoded.last() == Some(&b'/')) {
                decoded.push(byte);
            }
            rest = tail;
        }
        Some(remove_dot_segments(&decoded))
    }
}

/// What `reference` means where `base` was asked for (RFC 3986 5.2), if it has the same origin. Without a known
/// `origin` only relative references have it.
///
/// Bytes that aren't ASCII are percent-encoded, as clients do before they ask (RFC 3987 3.1). `None` for what is no
/// URI.
#[must_use]
pub fn resolve(reference: &[u8], base: &Target, origin: Option<&Origin>) -> Option<Target> {
    if reference.iter().any(|b| *b <= b' ' || *b == 0x7f) {
        return None;
    }
    let (reference, _) = cut(reference, b'#');
    let (hierarchy, query) = cut(reference, b'?');
    let query = query.map(percent_encode);
    let (scheme, rest) = split_scheme(hierarchy);
    let https = match scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => Some(true),
        Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => Some(false),
        Some(_) => return None,
        None => None,
    };
    if let Some(rest) = rest.strip_prefix(b"//") {
        let end = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let origin = origin?;
        if Origin::new(https.unwrap_or(origin.https), authority)? != *origin {
            return None;
        }
        let path = if path.is_empty() { b"/" } else { path };
        return Some(Target {
            path: remove_dot_segments(&percent_encode(path)),
            query,
        });
    }
    if https.is_some() {
        // "http:x" has no host (RFC 9110 4.2.1).
        return None;
    }
    if rest.is_empty() {
        return Some(Target {
            path: base.path.clone(),
            query: query.or_else(|| base.query.clone()),
        });
    }
    let rest = percent_encode(rest);
    let path = if rest.first() == Some(&b'/') {
        rest
    } else {
        let directory = base.path.iter().rposition(|&b| b == b'/').unwrap_or(0);
        let mut merged = base.path.get(..=directory).unwrap_or(b"/").to_vec();
        merged.extend_from_slice(&rest);
        merged
    };
    Some(Target {
        path: remove_dot_segments(&path),
        query,
    })
}

/// What the Destination field of a request means (RFC 4918 10.3), if it is on the `host` that was asked. As nginx and
/// others that carry such requests out do, scheme and port are passed over: a proxy in front may have changed both.
#[must_use]
pub fn destination(reference: &[u8], base: &Target, host: &[u8]) -> Option<Target> {
    let (_, rest) = split_scheme(reference);
    let Some(rest) = rest.strip_prefix(b"//") else {
        return resolve(reference, base, None);
    };
    let end = rest.iter().position(|b| b"/?#".contains(b));
    let (authority, path) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    if !split_port(authority).0.eq_ignore_ascii_case(host) {
        return None;
    }
    let path = if path.first() == Some(&b'/') {
        path.to_vec()
    } else {
        [b"/", path].concat()
    };
    let is_uri = path.iter().all(|b| *b > b' ' && *b != 0x7f);
    is_uri.then(|| Target::of_request(&percent_encode(&path)))?
}

/// What stands before the first `mark` and what behind it.
fn cut(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&b| b == mark) {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            Some(text.get(at + 1..).unwrap_or_default()),
        ),
        None => (text, None),
    }
}

/// The scheme in front of a reference, if it has one (RFC 3986 3.1): the colon comes before any slash.
fn split_scheme(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let end = text.iter().position(|b| matches!(b, b':' | b'/'));
    if let Some((scheme, [b':', rest @ ..])) = end.and_then(|at| text.split_at_checked(at))
        && scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
    {
        return (Some(scheme), rest);
    }
    (None, text)
}

/// RFC 3986 5.2.4, for a path that begins with "/".
pub(crate) fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut output: Vec<&[u8]> = Vec::new();
    let mut segments = path
        .get(1..)
        .unwrap_or_default()
        .split(|&b| b == b'/')
        .peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    output.pop();
                }
                if is_last {
                    output.push(b"");
                }
            }
            _ => output.push(segment),
        }
    }
    let mut result = Vec::with_capacity(path.len());
    for segment in output {
        result.push(b'/');
        result.extend_from_slice(segment);
    }
    if result.is_empty() {
        result.push(b'/');
    }
    result
}

pub(crate) fn percent_encode(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii() {
            encoded.push(byte);
        } else {
            encoded.push(b'%');
            encoded.extend_from_slice(&crate::hex::upper(byte));
        }
    }
    encoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
