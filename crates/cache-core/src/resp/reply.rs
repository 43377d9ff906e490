//! What a server sends: replies to commands, and pushes that no command asked for.

use bytes::Bytes;

/// One reply. Bytes share the buffer they were read into.
///
/// Where RESP3 has another form for what RESP2 can say, both are read as one: a consumer needn't know which of them the
/// connection speaks. A set is an array, a verbatim string is a bulk without its format, `_` is a bulk that is nil, a
/// boolean is an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Status(Bytes),
    /// `-ERR ...`, or the blob error `!7 ERR ...`. It is one line: line ends in a blob error became blanks.
    Error(Bytes),
    /// `:1`, or a boolean: `#t` is 1, `#f` is 0.
    Integer(i64),
    /// `$3 abc`, or the verbatim string `=7 txt:abc`; `None` is `$-1` or `_`, nil.
    Bulk(Option<Bytes>),
    /// `*2 ...`, or the set `~2 ...`; `None` is `*-1`, the nil of arrays.
    Array(Option<Vec<Reply>>),
    /// `%1 ...`: keys and values in turn. RESP2 has an array of the same elements; see [`Reply::pairs`].
    Map(Vec<Reply>),
    /// `,1.5`: the text of the number, which `f64` can parse.
    Double(Bytes),
    /// `(123`: the decimal text of an integer of any length.
    BigNumber(Bytes),
}

impl Reply {
    /// The bytes of a status or a bulk, in whose place either may come.
    #[must_use]
    pub fn text(&self) -> Option<&Bytes> {
        match self {
            Self::Status(text) | Self::Bulk(Some(text)) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array that isn't nil.
    #[must_use]
    pub fn elements(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(Some(elements)) => Some(elements),
            _ => None,
        }
    }

    /// The keys and values of a map, or of an array that holds keys and values in turn: the form that RESP2 has for a map.
    /// `None` if it is neither.
    pub fn pairs(&self) -> Option<impl Iterator<Item = (&Reply, &Reply)>> {
        let elements = match self {
            Self::Map(elements) | Self::Array(Some(elements)) => elements,
            _ => return None,
        };
        let whole = elements.len().is_multiple_of(2);
        let pairs = elements.chunks_exact(2).filter_map(|pair| match pair {
            [key, value] => Some((key, value)),
            _ => None,
        });
        whole.then_some(pairs)
    }
}

/// A push of RESP3 (`>`): it answers no command, and a reader skips what it doesn't know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push(pub Vec<Reply>);

impl Push {
    /// What it is about, such as `invalidate` or `message`. `None` if its first element is no text.
    #[must_use]
    pub fn kind(&self) -> Option<&[u8]> {
        self.0.first()?.text().map(|text| text.as_ref())
    }

    /// What follows the kind.
    #[must_use]
    pub fn content(&self) -> &[Reply] {
        self.0.get(1..).unwrap_or_default()
    }
}

/// What was at the front of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The reply to the oldest command that is owed one.
    Reply(Reply),
    /// What no command asked for.
    Push(Push),
}
