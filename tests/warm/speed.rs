//! How many requests at once, and how many in a second.

use std::thread;

use testbed::{Answer, Backend, Gate, holds_for, ms};

use crate::program::Folder;

/// So many different addresses of one path.
fn numbered(backend: &Backend, count: usize) -> Folder {
    let paths: Vec<String> = (0..count).map(|number| format!("/x?n={number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    Folder::with_list(backend.address(), &paths)
}

#[test]
fn no_more_requests_at_once_than_asked_for() {
    for (options, wanted) in [
        (vec![], 4),
        (vec!["--concurrency", "1"], 1),
        (vec!["--concurrency", "9"], 9),
    ] {
        let (backend, gate) = (Backend::start(), Gate::new());
        backend.set("/x", Answer::ok("x").gate(&gate));
        let folder = numbered(&backend, 30);
        thread::scope(|scope| {
            let warmed = scope.spawn(|| crate::warmed(&folder, &options));
            backend.wait_for_hits("/x", wanted);
            let held = holds_for(ms(200), || backend.hits("/x") == wanted);
            gate.open();
            let told = warmed.join().unwrap();
            assert!(held, "more than {wanted}");
            assert_eq!(
                (&told["requests"], &told["connections"]),
                (&30.into(), &wanted.into())
            );
        });
    }
}

#[test]
fn no_more_connections_than_requests_at_once() {
    let backends: Vec<Backend> = (0..5).map(|_| Backend::start()).collect();
    let folder = Folder::new();
    let lines =
        (0..20).map(|number| format!("http://{}/x?n={number}\n", backends[number % 5].address()));
    folder.write("list", lines.collect::<String>());
    let told = crate::warmed(&folder, &["--concurrency", "2"]);
    assert_eq!(told["requests"], 20);
    // Two are kept at most, so that most requests need a new one.
    assert!(told["connections"].as_u64().unwrap() >= 10, "{told}");
    let told = crate::warmed(&folder, &["--concurrency", "5"]);
    assert!(told["connections"].as_u64().unwrap() <= 20, "{told}");
}

#[test]
fn requests_are_spread_over_time() {
    let backend = Backend::start();
    let folder = numbered(&backend, 6);
    for rate in ["10/s", "600/m", "10"] {
        let told = crate::warmed(&folder, &["--rate", rate]);
        // The sixth starts half a second behind the first.
        assert!(told["seconds"].as_f64().unwrap() >= 0.5, "{rate}: {told}");
    }
}
