//! What a server says of itself: the reply to INFO.

/// The value of a field: lines are `name:value`, sections begin with `#`.
#[must_use]
pub fn field<'a>(info: &'a [u8], name: &str) -> Option<&'a [u8]> {
    info.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.strip_prefix(name.as_bytes())?.strip_prefix(b":")
    })
}

/// Whether a server that is full refuses to store more, instead of making room: it has a limit, and its policy is not
/// to evict.
#[must_use]
pub fn refuses_when_full(info: &[u8]) -> bool {
    let is_limited = field(info, "maxmemory").is_some_and(|bytes| bytes != b"0");
    is_limited && field(info, "maxmemory_policy") == Some(b"noeviction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_refuses_where_it_has_a_limit_and_does_not_evict() {
        let cases: [(&[u8], bool); 6] = [
            (
                b"# Memory\r\nmaxmemory:1048576\r\nmaxmemory_policy:noeviction\r\n",
                true,
            ),
            (b"maxmemory_policy:noeviction\nmaxmemory:1\n", true),
            (
                b"# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
                false,
            ),
            (
                b"# Memory\r\nmaxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n",
                false,
            ),
            (b"# Memory\r\nmaxmemory_policy:noeviction\r\n", false),
            (b"", false),
        ];
        for (info, refuses) in cases {
            let shown = String::from_utf8_lossy(info);
            assert_eq!(refuses_when_full(info), refuses, "{shown}");
        }
        assert_eq!(field(b"role:master\r\n", "role"), Some(&b"master"[..]));
        assert_eq!(field(b"role:master\r\n", "rol"), None);
    }
}
