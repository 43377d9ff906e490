//! The numbers of purges. The store gives them, in the script that writes the entry.
//!
//! They grow, on whichever server they are given: a number that was lost with a server isn't given again, since a
//! record may carry it.

/// How many numbers there are in a second.
pub const PER_SECOND: u64 = 1 << 20;

/// How much higher the first number of another server is: more than an hour's numbers. So much its clock may be behind that of the
/// server whose place it takes, whose newest numbers it may lack.
pub const OTHER_SERVER: u64 = PER_SECOND << 12;

/// Numbers are lower than this: the scores of a sorted set, and Lua's numbers, hold them exactly.
pub const END: u64 = 1 << 53;

/// What the server knows when a purge comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The highest number in the log, 0 if it is empty.
    pub last: u64,
    /// Whether this server has given it: the log has the server's own `run_id`.
    pub is_same_server: bool,
    /// The server's time, in unix seconds.
    pub seconds: u64,
    /// The highest number that the sender knows, 0 if none.
    pub sender: u64,
}

/// The number of the next purge. `None` if there is none left: the log holds what no server has given.
///
/// It is higher than each that is known here and to the sender. On another server, which may lack the newest of its
/// master, it is so much higher that it is above those, too. And as long as less than [`PER_SECOND`] are given in a second,
/// the time alone is above all that were given before, also where log and `run_id` are gone.
#[must_use]
pub fn next(known: Known) -> Option<u64> {
    let step = if known.is_same_server {
        1
    } else {
        OTHER_SERVER
    };
    let above_known = match known.last.max(known.sender) {
        0 => 1,
        last => last.checked_add(step)?,
    };
    let number = above_known.max(known.seconds.checked_mul(PER_SECOND)?);
    (number < END).then_some(number)
}

/// Reads a number as Redis writes a score that is whole.
#[must_use]
pub fn parse(text: &[u8]) -> Option<u64> {
    // With so few digits nothing overflows.
    if !(1..=16).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text
        .iter()
        .fold(0_u64, |number, byte| number * 10 + u64::from(byte - b'0'));
    (number < END).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn known(last: u64, is_same_server: bool, seconds: u64, sender: u64) -> Known {
        Known {
            last,
            is_same_server,
            seconds,
            sender,
        }
    }

    #[test]
    fn a_number_is_above_all_that_were_given() {
        let now = NOW * PER_SECOND;
        let cases = [
            ("the first", known(0, false, NOW, 0), Some(now)),
            (
                "time goes on",
                known(now, true, NOW + 1, 0),
                Some(now + PER_SECOND),
            ),
            (
                "within a second",
                known(now + 7, true, NOW, 0),
                Some(now + 8),
            ),
            (
                "a clock that went back",
                known(now + 7, true, NOW - 3600, 0),
                Some(now + 8),
            ),
            (
                "the sender knows more",
                known(now + 7, true, NOW, now + 9),
                Some(now + 10),
            ),
            (
                "the log is gone",
                known(0, true, NOW, now + 9),
                Some(now + 10),
            ),
            (
                "a replica took over",
                known(now + 7, false, NOW, 0),
                Some(now + 7 + OTHER_SERVER),
            ),
            (
                "and later",
                known(now + 7, false, NOW + 7200, 0),
                Some(now + 7200 * PER_SECOND),
            ),
            ("without a clock", known(0, true, 0, 0), Some(1)),
            ("the last one", known(END - 2, true, NOW, 0), Some(END - 1)),
            ("none is left", known(END - 1, true, NOW, 0), None),
            (
                "none is left after a failover",
                known(END - 2, false, NOW, 0),
                None,
            ),
            ("a sender that lies", known(now, true, NOW, u64::MAX), None),
            ("a clock that lies", known(now, true, u64::MAX, 0), None),
        ];
        for (case, known, number) in cases {
            assert_eq!(next(known), number, "{case}");
        }
    }

    #[test]
    fn scores_that_are_numbers() {
        assert_eq!(parse(b"0"), Some(0));
        assert_eq!(parse(b"1887436800000000"), Some(1_887_436_800_000_000));
        assert_eq!(parse((END - 1).to_string().as_bytes()), Some(END - 1));
        let wrong: [&[u8]; 9] = [
            b"",
            b"-1",
            b"+1",
            b"1.5",
            b"1e15",
            b"inf",
            b"9007199254740992",
            b"12345678901234567",
            b" 1",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{}", text.escape_ascii());
        }
    }
}
