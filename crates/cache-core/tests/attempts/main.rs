//! What follows a command that has failed: a script of failures, and where the command went.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod cost;
mod script;

use cache_core::attempts::{Access, Next};

use script::{Script, ask, moved};

/// A map of one node named "a", and what it says.
#[test]
fn each_failure_has_its_next_step() {
    let cases: &[(&str, &[Next], &str)] = &[
        ("done", &[], "a"),
        ("stop", &[Next::Stop], "a! failed"),
        ("lost twice", &[Next::Again, Next::Again], "a! a! a"),
        ("lost again", &[const { Next::Again }; 3], "a! a! a! failed"),
        ("moved", &[moved("b")], "a! moved>b b"),
        (
            "moved three times",
            &[moved("b"), moved("c"), moved("d")],
            "a! moved>b b! moved>c c! moved>d d",
        ),
        (
            "moved too often in a row: from the beginning",
            &[moved("b"), moved("c"), moved("d"), moved("e"), moved("b")],
            "a! moved>b b! moved>c c! moved>d d! moved>e 30ms a! moved>b b",
        ),
        ("moved to itself", &[moved("a")], "a! moved>a anew a"),
        (
            "moved where it can't go yet",
            &[moved("gone")],
            "a! moved>gone 30ms a",
        ),
        ("ask", &[ask("b")], "a! asking:b"),
        (
            "ask, then moved",
            &[ask("b"), moved("a")],
            "a! asking:b! moved>a a",
        ),
        (
            "ask, then later: from the beginning",
            &[ask("b"), Next::Later, ask("b")],
            "a! asking:b! 30ms a! asking:b",
        ),
        (
            "asked too often in a row: from the beginning",
            &[ask("b"), ask("c"), ask("b"), ask("c"), ask("b")],
            "a! asking:b! asking:c! asking:b! 30ms a! asking:b",
        ),
        ("later", &[Next::Later, Next::Later], "a! 30ms a! 30ms a"),
        (
            "nobody else",
            &[Next::Refresh, Next::Refresh],
            "a! suspect 30ms a! suspect 30ms a",
        ),
        (
            "nobody else for long",
            &[const { Next::Refresh }; 3],
            "a! suspect 30ms a! suspect 30ms a! suspect failed",
        ),
        (
            "a master that can't serve",
            &[Next::Master],
            "a! suspect 30ms a",
        ),
    ];
    for (name, failures, expected) in cases {
        let seen = Script::new(failures).run(Access::Write, true);
        assert_eq!(seen, *expected, "{name}");
    }
}

#[test]
fn a_read_that_a_replica_cannot_serve_goes_to_the_master_at_once() {
    for next in [Next::Master, Next::Refresh] {
        let suspect = if next == Next::Master { "" } else { " suspect" };
        let seen = Script::new(&[next]).run(Access::Read, true);
        assert_eq!(seen, format!("replica!{suspect} a"));
    }
    // The master can't either.
    let seen = Script::new(&[Next::Master, Next::Master]).run(Access::Read, true);
    assert_eq!(seen, "replica! a! suspect 30ms a");
}

#[test]
fn the_node_that_took_over_meanwhile_gets_the_command_at_once() {
    let mut script = Script::new(&[Next::Refresh]);
    script.suspected_becomes = Some("b");
    assert_eq!(script.run(Access::Write, true), "a! suspect b");
}

/// Where nobody knows whether it was carried out, only what may be repeated is sent again; what was learnt counts.
#[test]
fn what_may_not_be_repeated_is_sent_again_only_where_it_was_refused() {
    for (next, refused, lost) in [
        (Next::Again, "a! a", "a! failed"),
        (Next::AgainFree, "a! a", "a! failed"),
        (Next::Refresh, "a! suspect 30ms a", "a! suspect failed"),
    ] {
        let seen = Script::new(std::slice::from_ref(&next)).run(Access::Write, false);
        assert_eq!(seen, refused, "{next:?} refused");
        let mut script = Script::new(std::slice::from_ref(&next));
        script.unsure = true;
        assert_eq!(script.run(Access::Write, false), lost, "{next:?} lost");
        script = Script::new(std::slice::from_ref(&next));
        script.unsure = true;
        assert_eq!(script.run(Access::Write, true), refused, "{next:?} again");
    }
}

#[test]
fn nothing_is_sent_or_waited_for_past_the_deadline() {
    for next in [
        Next::Again,
        Next::AgainFree,
        Next::Later,
        Next::Refresh,
        moved("b"),
        ask("b"),
    ] {
        let mut script = Script::new(std::slice::from_ref(&next));
        script.takes = 100;
        script.deadline = 100;
        let seen = script.run(Access::Write, true);
        let learnt = match next {
            Next::Refresh => " suspect",
            Next::Moved(_) => " moved>b",
            _ => "",
        };
        assert_eq!(seen, format!("a!{learnt} failed"), "{next:?}");
    }
    // A pause that would end at the deadline isn't begun.
    for (deadline, expected) in [(30, "a! failed"), (31, "a! 30ms a")] {
        let mut script = Script::new(&[Next::Later]);
        script.deadline = deadline;
        assert_eq!(script.run(Access::Write, true), expected);
    }
    // TRYAGAIN for ever, 30 ms each.
    let mut script = Script::new(&[const { Next::Later }; 20]);
    script.deadline = 100;
    let seen = script.run(Access::Write, true);
    assert_eq!(seen, "a! 30ms a! 30ms a! 30ms a! failed");
    // Two nodes that say of each other that they have the slot.
    let both = (0..20).map(|nth| moved(if nth % 2 == 0 { "b" } else { "a" }));
    let mut script = Script::new(&both.collect::<Vec<_>>());
    script.deadline = 50;
    let seen = script.run(Access::Write, true);
    let round = "a! moved>b b! moved>a a! moved>b b! moved>a";
    assert_eq!(seen, format!("{round} 30ms {round} failed"));
}

/// A node that closes each connection at once doesn't keep the worker busy.
#[test]
fn connections_that_end_at_once_do_not_make_a_loop_without_time() {
    let mut script = Script::new(&[const { Next::AgainFree }; 200]);
    script.deadline = 20;
    let seen = script.run(Access::Read, true);
    let sends = seen.matches('!').count();
    assert!((20..40).contains(&sends), "{sends} sends in 20 ms: {seen}");
    assert!(seen.ends_with("failed"));
}

#[test]
fn without_a_node_nothing_is_sent() {
    let mut script = Script::new(&[]);
    script.master = "";
    assert_eq!(script.run(Access::Write, true), "nowhere");
    // It is gone after the first attempt.
    let mut script = Script::new(&[Next::Refresh]);
    script.suspected_becomes = Some("");
    assert_eq!(script.run(Access::Write, true), "a! suspect nowhere");
}
