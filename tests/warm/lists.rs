//! Lists of URLs, options, and exit codes.

use serde_json::{Value, json};
use testbed::{Backend, Port};

use crate::program::{Folder, Run, gzipped};

/// The targets that were fetched, in order.
fn targets(backend: &Backend, path: &str) -> Vec<String> {
    let requests = backend.requests(path).into_iter();
    requests.map(|request| request.target).collect()
}

/// Lines of a list, and what is said of them.
const BAD_LINES: [(&str, &str); 12] = [
    ("/x", "the address doesn't begin with http:// or https://"),
    (
        "ftp://a/",
        "the address doesn't begin with http:// or https://",
    ),
    ("http:///x", "the address has no host"),
    ("http://a:0/", "0 is no port"),
    ("http://a:99999/", "99999 is no port"),
    ("http://a:b/", "the address has no valid host and port"),
    ("http://a..b/", "the host isn't a valid name"),
    ("http://a%20b/", "the host isn't a valid name"),
    ("http://[::g]/", "the IPv6 address isn't valid"),
    (
        "http://u:p@a/",
        "a user or a password in the address; use --header \"Authorization: ...\"",
    ),
    (
        "http://a/b c",
        "a space or a control character in the address; a space is written %20",
    ),
    (
        "http://stra\u{df}e.example/",
        "the host has a letter with two forms in IDNA; write the name that begins with xn--",
    ),
];

#[test]
fn bad_lines_are_named_and_skipped() {
    let backend = Backend::start();
    let folder = Folder::new();
    let mut text = format!("http://{}/first\n", backend.address()).into_bytes();
    for (line, _) in BAD_LINES {
        text.extend_from_slice(format!("{line}\n").as_bytes());
    }
    text.extend_from_slice(b"http://a/\xff\n");
    text.extend_from_slice(format!("http://a/{}\n", "x".repeat(200_000)).as_bytes());
    text.extend_from_slice(format!("http://{}/last", backend.address()).as_bytes());
    folder.write("list", text);
    let run = folder.warm(&["--json", "list"]);
    let reasons = BAD_LINES.map(|(_, reason)| reason.to_owned()).to_vec();
    let more = ["the line isn't UTF-8", "the line is longer than 8192 bytes"];
    let reasons = [reasons, more.map(str::to_owned).to_vec()].concat();
    let wanted: Vec<String> = (2..)
        .zip(&reasons)
        .map(|(number, reason)| format!("list:{number}: {reason}"))
        .collect();
    assert_eq!(run.said.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(run.code, 1);
    let told = run.told();
    assert_eq!(told["bad"].as_array().unwrap().len(), wanted.len());
    let second = json!({ "place": "list:2", "reason": reasons[0] });
    assert_eq!(told["bad"][0], second);
    assert_eq!(told["status"], json!({ "200": 2 }));
    assert_eq!(targets(&backend, "/last"), ["/last"]);
}

#[test]
fn addresses_are_sent_as_browsers_send_them() {
    let backend = Backend::start();
    let folder = Folder::new();
    let server = backend.address();
    let pairs = [
        ("/%C3%A9/\u{e9}?q=\u{fc}", "/%C3%A9/%C3%A9?q=%C3%BC"),
        ("/a/./b/../c#part", "/a/c"),
        ("/{a}?{b}", "/%7Ba%7D?{b}"),
        ("/q\"'?\"'", "/q%22'?%22%27"),
        ("?only", "/?only"),
        ("", "/"),
    ];
    let lines = pairs.map(|(path, _)| format!("  HTTP://{server}{path}\r\n"));
    folder.write(
        "list",
        format!("\u{feff}# a comment\r\n\r\n{}", lines.concat()),
    );
    let run = folder.warm(&["--concurrency", "1", "list"]);
    assert_eq!((run.code, run.said.as_str()), (0, ""));
    for (_, target) in pairs {
        let path = target.split('?').next().unwrap();
        let seen = targets(&backend, path);
        assert!(seen.iter().any(|it| it == target), "{target}: {seen:?}");
    }
}

#[test]
fn an_address_is_fetched_once() {
    let backend = Backend::start();
    let paths = ["/x", "/x#a", "/y/../x", "/x?", "/x"];
    let folder = Folder::with_list(backend.address(), &paths);
    let told = crate::warmed(&folder, &[]);
    assert_eq!(
        (&told["requests"], &told["duplicates"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(backend.hits("/x"), 2);
}

#[test]
fn lists_come_from_everywhere() {
    let backend = Backend::start();
    let server = backend.address();
    let folder = Folder::with_list(server, &["/plain"]);
    folder.write(
        "list.gz",
        gzipped(format!("http://{server}/zipped\n").as_bytes()),
    );
    backend.set(
        "/list",
        testbed::Answer::ok(format!("http://{server}/fetched\n")),
    );
    let url = format!("http://{server}/list");
    let input = format!("http://{server}/piped\nnonsense\n");
    let run = folder.warm_with(input.as_bytes(), &["list", "-", "list.gz", &url]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.said.starts_with("-:2: "), "{}", run.said);
    for path in ["/plain", "/zipped", "/fetched", "/piped"] {
        assert_eq!(backend.hits(path), 1, "{path}");
    }
}

#[test]
fn no_more_than_the_limit() {
    let backend = Backend::start();
    let folder = Folder::with_list(backend.address(), &["/a", "/a", "/b", "/c"]);
    let told = crate::warmed(&folder, &["--limit", "2"]);
    assert_eq!(told["requests"], 2);
    assert_eq!((backend.hits("/b"), backend.hits("/c")), (1, 0));
}

/// Runs with options that are wrong.
const WRONG: [&[&str]; 16] = [
    &[],
    &["list", "--concurrency", "0"],
    &["list", "--concurrency", "257"],
    &["list", "--rate", "0/s"],
    &["list", "--rate", "fast"],
    &["list", "--timeout", "0"],
    &["list", "--connect", "a:b"],
    &["list", "--connect", "127.0.0.1:70000"],
    &["list", "--header", "no colon"],
    &["list", "--header", "Host: x"],
    &["list", "--header", "A: b\r\nC: d"],
    &["list", "--user-agent", "a\nb"],
    &["list", "--status-header", "a b"],
    &["list", "--method", "POST"],
    &["list", "--limit", "0"],
    &["list", "--unknown"],
];

#[test]
fn exit_codes() {
    let backend = Backend::start();
    let (server, free) = (backend.address(), Port::take());
    let folder = Folder::with_list(server, &["/x"]);
    for arguments in WRONG {
        let run = folder.warm(arguments);
        assert_eq!((run.code, run.printed.as_str()), (2, ""), "{arguments:?}");
        assert!(
            run.said.contains("warm: error: "),
            "{arguments:?}: {}",
            run.said
        );
    }
    folder.write("empty", "");
    folder.write("cut.gz", &gzipped(b"http://a/\n")[..20]);
    backend.set("/gone", testbed::Answer::of(404, "<html/>"));
    let gone = format!("http://{server}/gone");
    let refused = format!("http://{}/", free.address());
    for (source, said) in [
        ("missing", "missing: No such file or directory".to_owned()),
        (".", ".: Is a directory".to_owned()),
        ("cut.gz", "cut.gz: the gzip stream is cut".to_owned()),
        (&gone, format!("{gone}: the response is 404 Not Found")),
        (&refused, format!("{refused}: connection refused")),
        (
            "http://a b/",
            "http://a b/: a space or a control character in the address; a space is written %20"
                .to_owned(),
        ),
    ] {
        let run = folder.warm(&["list", source]);
        assert_eq!((run.code, run.said.trim_end()), (2, said.as_str()));
        assert_eq!(run.printed, "");
    }
    assert_eq!(backend.hits("/x"), 0);
    let run: Run = folder.warm(&["empty"]);
    assert_eq!(run.code, 0);
    let told: Value = crate::warmed(&folder, &[]);
    assert_eq!(told["interrupted"], false);
}
