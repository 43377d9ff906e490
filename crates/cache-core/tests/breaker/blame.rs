//! Which errors count against a node, and for what.

use cache_core::breaker::Blame;

#[test]
fn errors() {
    for (text, blame) in [
        ("MOVED 3999 127.0.0.1:6381", Blame::Nobody),
        ("ASK 3999 127.0.0.1:6381", Blame::Nobody),
        ("TRYAGAIN Multiple keys request", Blame::Nobody),
        ("CLUSTERDOWN Hash slot not served", Blame::Nobody),
        ("NOSCRIPT No matching script.", Blame::Nobody),
        ("WRONGTYPE Operation against a key", Blame::Nobody),
        ("NOPERM this user has no permissions", Blame::Nobody),
        ("ERR unknown command 'X'", Blame::Nobody),
        ("ERR OOM is only a word here", Blame::Nobody),
        ("", Blame::Nobody),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            Blame::Writes,
        ),
        (
            "READONLY You can't write against a read only replica.",
            Blame::Writes,
        ),
        (
            "MISCONF Redis is configured to save RDB snapshots",
            Blame::Writes,
        ),
        (
            "NOREPLICAS Not enough good replicas to write.",
            Blame::Writes,
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
            Blame::Writes,
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
            Blame::Writes,
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            Blame::Node,
        ),
        ("BUSY Redis is busy running a script.", Blame::Node),
        ("MASTERDOWN Link with MASTER is down", Blame::Node),
        ("NOAUTH Authentication required.", Blame::Node),
    ] {
        assert_eq!(Blame::of_reply(text.as_bytes()), blame, "{text}");
    }
}
