//! Whose fault it is that a command failed.

/// What an error says of the node that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The node works: the command succeeded, belongs elsewhere, or failed for a reason of its own.
    Nobody,
    /// The node takes no writes: it is full, a replica, or pauses them.
    Writes,
    /// The node serves nobody: refused, lost or silent connections, and what it says of itself.
    Node,
}

impl Blame {
    /// Judges an error reply: the text after `-`. MOVED, ASK, TRYAGAIN and CLUSTERDOWN say where a slot is, or that nobody
    /// has it, and NOSCRIPT that the script is to be sent: the node works.
    #[must_use]
    pub fn of_reply(text: &[u8]) -> Self {
        match text.split(|byte| *byte == b' ').next().unwrap_or_default() {
            b"OOM" | b"READONLY" | b"MISCONF" | b"NOREPLICAS" => Self::Writes,
            b"LOADING" | b"BUSY" | b"MASTERDOWN" | b"NOAUTH" => Self::Node,
            // Before Redis 7 an error inside a script begins with ERR and the place in the script.
            b"ERR"
                if [&b"-OOM "[..], b"-READONLY ", b"-MISCONF "]
                    .iter()
                    .any(|code| contains(text, code)) =>
            {
                Self::Writes
            }
            _ => Self::Nobody,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
