//! What fails, and what is done about it.

use std::process::Command;

use serde_json::{Value, json};
use testbed::{Answer, Backend, Faucet, Port, Site, ms, pattern};

use crate::program::{Folder, Run};

/// Fetches paths one after the other, and gives the summary.
fn fetched(backend: &Backend, paths: &[&str], options: &[&str]) -> (i32, Value) {
    let folder = Folder::with_list(backend.address(), paths);
    let run = folder.warm(&[&["--json", "--concurrency", "1", "list"], options].concat());
    (run.code, run.told())
}

/// The reasons of failures, in order.
fn reasons(told: &Value) -> Vec<&str> {
    let failures = told["failures"].as_array().unwrap().iter();
    failures
        .map(|failure| failure["reason"].as_str().unwrap())
        .collect()
}

#[test]
fn a_cut_body_is_a_failure() {
    let site = Site::new().start();
    let body = || Answer::ok(pattern(100_000, 1));
    site.backend.set("/length", body().cut_at(60_000));
    site.backend
        .set("/chunked", body().chunked().cut_at(60_000));
    site.backend.set("/whole", body());
    let folder = Folder::with_list(site.address(), &["/length", "/chunked", "/whole"]);
    let run = folder.warm(&["--json", "--concurrency", "1", "list"]);
    let told = run.told();
    assert_eq!(
        (run.code, &told["status"]),
        (1, &json!({ "200": 1 })),
        "{told}"
    );
    let reasons = reasons(&told);
    assert_eq!(reasons.len(), 2);
    for reason in reasons {
        assert!(reason.starts_with("the body was cut after "), "{reason}");
    }
    assert_eq!(
        (&told["requests"], &told["failures"][0]["status"]),
        (&json!(3), &Value::Null)
    );
}

#[test]
fn each_failure_has_a_reason() {
    let backend = Backend::start();
    backend.set("/length", Answer::ok("0123456789").cut_at(4));
    backend.set("/chunked", Answer::ok("0123456789").chunked().cut_at(4));
    backend.set("/reset", Answer::ok("x").reset());
    backend.set("/silent", Answer::ok("0123456789").hang_at(4));
    backend.set("/endless", Answer::ok("x").until_close().endless(ms(20)));
    backend.set("/lengths", Answer::ok("x").header("Content-Length", "1, 2"));
    backend.set(
        "/unavailable",
        Answer::of(502, "").reason(" Bad\u{7} Gateway"),
    );
    let paths = [
        "/length",
        "/chunked",
        "/reset",
        "/silent",
        "/endless",
        "/lengths",
        "/unavailable",
    ];
    let (code, told) = fetched(&backend, &paths, &["--timeout", "1"]);
    assert_eq!(code, 1);
    let wanted = [
        "the body was cut after 4 of 10 bytes",
        "the body was cut after 4 bytes: the connection was closed within a chunk's size",
        "connection reset by peer",
        "no end within --timeout",
        "no end within --timeout",
        "Content-Length \"1, 2\" isn't valid",
        "502 Bad\\x07 Gateway",
    ];
    assert_eq!(reasons(&told), wanted);
    assert_eq!(told["status"], json!({ "502": 1 }));
}

#[test]
fn who_refuses_is_a_failure() {
    let free = Port::take();
    let folder = Folder::with_list(free.address(), &["/a", "/b"]);
    folder.write("more", "http://name.invalid/\n");
    let run = folder.warm(&["--json", "--concurrency", "1", "list", "more"]);
    let told = run.told();
    assert_eq!((run.code, &told["requests"]), (1, &json!(3)));
    let reasons = reasons(&told);
    assert_eq!(reasons[..2], ["connection refused"; 2]);
    assert!(
        reasons[2].starts_with("the host has no address: "),
        "{}",
        reasons[2]
    );
}

#[test]
fn a_kept_connection_that_was_closed_is_no_failure() {
    let backend = Backend::start();
    for path in ["/a", "/b", "/c"] {
        // The whole body; then the backend closes without having said so.
        backend.set(path, Answer::ok("x").cut_at(1));
    }
    let (code, told) = fetched(&backend, &["/a", "/b", "/c"], &[]);
    assert_eq!((code, &told["status"]), (0, &json!({ "200": 3 })));
    assert_eq!(
        (&told["retries"], &told["connections"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(backend.all_hits(), 3);
}

#[test]
fn a_request_is_sent_again_once_at_most() {
    let backend = Backend::start();
    backend.set("/bad", Answer::ok("").reset());
    let (code, told) = fetched(&backend, &["/good", "/bad", "/good?"], &[]);
    assert_eq!((code, &told["status"]), (1, &json!({ "200": 2 })));
    assert_eq!(backend.hits("/bad"), 2);
    // On a connection of its own it isn't.
    let (_, told) = fetched(&backend, &["/bad"], &[]);
    assert_eq!((backend.hits("/bad"), &told["retries"]), (3, &json!(0)));
}

#[test]
fn who_asks_for_it_gets_a_pause() {
    let backend = Backend::start();
    for (status, seconds) in [(429, "1"), (503, "1")] {
        let refusal = Answer::of(status, "").header("Retry-After", seconds);
        backend.set("/busy", refusal);
        let (code, told) = fetched(&backend, &["/busy", "/next"], &[]);
        assert_eq!((code, reasons(&told).len()), (1, 1), "{told}");
        let waited = backend.last("/next").at - backend.last("/busy").at;
        assert!(waited >= ms(1000), "{waited:?}");
        assert!(told["paused_seconds"].as_f64().unwrap() >= 1.0);
    }
}

#[test]
fn a_pause_has_a_bound() {
    let backend = Backend::start();
    let date = Backend::http_date(3600);
    for value in ["3600", "99999999999999999", &date] {
        backend.set("/busy", Answer::of(503, "").header("Retry-After", value));
        let (code, told) = fetched(&backend, &["/busy", "/next"], &["--max-pause", "0.1"]);
        assert_eq!((code, &told["requests"]), (1, &json!(2)), "{value}");
        assert!(
            told["paused_seconds"].as_f64().unwrap() < 1.0,
            "{value}: {told}"
        );
    }
}

#[test]
fn a_host_that_goes_on_refusing_is_given_up() {
    let backend = Backend::start();
    backend.set("/busy", Answer::of(503, ""));
    let paths: Vec<String> = (0..20).map(|number| format!("/busy?n={number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let (code, told) = fetched(&backend, &paths, &["--max-pause", "0.05"]);
    assert_eq!((code, backend.hits("/busy")), (1, 6));
    let reason = "127.0.0.1 still answers 429 or 503 after 5 pauses";
    assert_eq!(told["not_fetched"], json!({ reason: 14 }));
    // A response of another kind in between begins anew.
    backend.forget();
    let mixed: Vec<String> = (0..20)
        .map(|number| format!("/{}?n={number}", ["busy", "good"][number % 2]))
        .collect();
    let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
    let (_, told) = fetched(&backend, &mixed, &["--max-pause", "0.05"]);
    assert_eq!((&told["requests"], backend.hits("/busy")), (&json!(20), 10));
}

#[test]
fn bodies_take_no_memory() {
    let faucet = Faucet::start(200_000_000, "");
    let folder = Folder::with_list(faucet.address(), &["/x"]);
    let measure = "import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)";
    let run = Run::of(folder.start(&["python3", "-c", measure], &["--json", "list"]));
    assert_eq!((run.code, &run.told()["bytes"]), (0, &json!(200_000_000)));
    let kilobytes: usize = run.said.trim().parse().unwrap();
    assert!(kilobytes < 80_000, "{kilobytes} kB");
}

/// Sends a signal to a process.
fn signal(name: &str, id: u32) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {id}")])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn interrupted_it_says_what_it_has_done() {
    for name in ["INT", "TERM"] {
        let backend = Backend::start();
        backend.set("/wait", Answer::ok("0123456789").hang_at(5));
        let paths = ["/a", "/b", "/wait?1", "/wait?2", "/c", "/d"];
        let folder = Folder::with_list(backend.address(), &paths);
        // A shell may have it ignored.
        let before = ["env", "--default-signal=INT"];
        let child = folder.start(&before, &["--json", "--concurrency", "2", "list"]);
        backend.wait_for_hits("/wait", 2);
        signal(name, child.id());
        let run = Run::of(child);
        assert_eq!(
            (run.code, run.said.as_str()),
            (1, "interrupted\n"),
            "{name}"
        );
        let told = run.told();
        assert_eq!(told["interrupted"], true, "{name}");
        assert_eq!(told["status"], json!({ "200": 2 }), "{name}");
        assert_eq!(told["not_fetched"], json!({ "interrupted": 4 }), "{name}");
        assert_eq!(told["failures"], json!([]), "{name}");
        assert_eq!(backend.hits("/c"), 0, "{name}");
    }
}

#[test]
fn nobody_has_to_read_the_summary() {
    let backend = Backend::start();
    let folder = Folder::with_list(backend.address(), &["/x"]);
    for arguments in [&["list"][..], &["--json", "list"]] {
        let mut child = folder.start(&[], arguments);
        drop(child.stdout.take());
        let run = Run::of(child);
        assert_eq!((run.code, run.said.as_str()), (0, ""), "{arguments:?}");
    }
    let mut command = folder.command(&[], &["list"]);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let run = Run::of(command.stdout(full).spawn().unwrap());
    let said = "standard output: No space left on device\n";
    assert_eq!((run.code, run.said.as_str()), (1, said));
}
