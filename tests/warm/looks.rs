//! What is seen of it: progress, help, and its page.

use std::process::Child;
use std::thread;

use testbed::{Answer, Backend, Gate, page};

use crate::program::{Folder, Run};

/// Gives the program a terminal for its standard error, and passes on what it writes there.
const TERMINAL: &str = "import os, pty, subprocess, sys
ours, its = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stderr=its)
os.close(its)
try:
    while True:
        sys.stderr.buffer.write(os.read(ours, 4096))
        sys.stderr.flush()
except OSError:
    sys.exit(child.wait())";

/// Two addresses; the second waits for the gate.
fn held() -> (Backend, Gate, Folder) {
    let (backend, gate) = (Backend::start(), Gate::new());
    backend.set("/held", Answer::ok("x").gate(&gate));
    let folder = Folder::with_list(backend.address(), &["/x", "/held"]);
    (backend, gate, folder)
}

/// Lets it run for a second with one request under way.
fn ended(child: Child, backend: &Backend, gate: &Gate) -> Run {
    backend.wait_for_hits("/held", 1);
    // Only time makes it say more.
    thread::sleep(testbed::ms(1000));
    gate.open();
    Run::of(child)
}

#[test]
fn a_terminal_has_a_bar() {
    let (backend, gate, folder) = held();
    let child = folder.start(&["python3", "-c", TERMINAL], &["list"]);
    let run = ended(child, &backend, &gate);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.said.contains("\r[#####.....] 50 %  1/2  "), "{run:?}");
    assert!(run.said.contains("  0 errors  ETA "), "{run:?}");
    // It is taken away at the end.
    assert!(run.said.ends_with("\r\u{1b}[K"), "{run:?}");
    assert!(run.printed.starts_with("requests      2 in "), "{run:?}");
}

#[test]
fn no_terminal_has_no_bar() {
    let (backend, gate, folder) = held();
    let run = ended(folder.start(&[], &["list"]), &backend, &gate);
    assert_eq!((run.code, run.said.as_str()), (0, ""));
}

#[test]
fn lines_if_they_are_asked_for() {
    for before in [&[][..], &["python3", "-c", TERMINAL]] {
        let (backend, gate, folder) = held();
        let child = folder.start(before, &["--progress", "0.1", "list"]);
        let run = ended(child, &backend, &gate);
        assert_eq!(run.code, 0);
        let lines: Vec<&str> = run.said.lines().collect();
        assert!(lines.len() >= 2, "{run:?}");
        for line in lines {
            assert!(
                line.contains("/2  ") && line.contains("/s  0 errors  ETA "),
                "{line:?}"
            );
        }
    }
}

#[test]
fn the_page_has_each_option() {
    let help = Folder::new().warm(&["--help"]);
    let page = page("docs/warm.md");
    let words = help
        .printed
        .split(|c: char| !c.is_ascii_lowercase() && c != '-');
    let mut options: Vec<&str> = words.filter(|word| word.starts_with("--")).collect();
    options.sort_unstable();
    options.dedup();
    assert!(options.len() > 14, "{options:?}");
    for option in options.into_iter().filter(|option| *option != "--help") {
        assert!(page.contains(&format!("| `{option}")), "{option}");
    }
    for key in ["failures", "not_fetched", "latency_ms", "paused_seconds"] {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}
