//! How much of the memory of its reader a reply may take.

/// How much a reply may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a bulk. The default is what Redis itself allows.
    pub bulk: usize,
    /// Bytes of a line: a status, an error, a number.
    pub line: usize,
    /// Elements of all arrays and maps of a reply together. A map has two for each entry.
    pub elements: usize,
    /// Arrays in arrays.
    pub depth: usize,
}

impl Limits {
    /// A reply to AUTH, SELECT, HELLO, PING and other steps of a greeting. HELLO names the modules of the server, with
    /// their arguments.
    pub const GREETING: Self = Self {
        bulk: 4 << 10,
        line: 8 << 10,
        elements: 1 << 10,
        depth: 4,
    };

    /// What a feed hears as replies: of a greeting, and with RESP2 the messages, which name keys.
    pub const FEED: Self = Self {
        bulk: 128 << 10,
        ..Self::GREETING
    };

    /// A reply to a lookup: few fields, any of which may be as long as Redis takes it.
    pub const LOOKUP: Self = Self {
        bulk: 512 << 20,
        line: 8 << 10,
        elements: 16,
        depth: 2,
    };

    /// A part of the log of purges: texts that name URIs, and numbers.
    pub const PURGES: Self = Self {
        bulk: 64 << 10,
        line: 8 << 10,
        elements: 4 << 10,
        depth: 2,
    };

    /// A reply to CLUSTER SLOTS: many ranges, each with a few short texts for each node.
    pub const SLOTS: Self = Self {
        bulk: 4 << 10,
        line: 8 << 10,
        elements: 1 << 20,
        depth: 5,
    };

    /// A push. One of CLIENT TRACKING names all keys that were changed in one turn of the server's loop.
    pub const PUSH: Self = Self {
        bulk: 1 << 20,
        line: 8 << 10,
        elements: 1 << 20,
        depth: 4,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bulk: 512 << 20,
            line: 64 << 10,
            elements: 1 << 20,
            depth: 8,
        }
    }
}
