//! The same over HTTP/2 and TLS, whose requests are made in another way.

use std::process::Command;

use testbed::{Certificate, Port, Running, Site};

use super::{PLACES, cached_site, site};

/// The answer to curl: its status and its body.
fn curl(arguments: &[&str], target: &str) -> String {
    let output = Command::new("curl")
        .args([
            "-sS",
            "--insecure",
            "--max-time",
            "15",
            "-w",
            " %{http_code}",
        ])
        .args(arguments)
        .arg(target)
        .output()
        .expect("curl");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A site that speaks HTTP/2, and one that speaks TLS and wants a certificate of its clients.
struct Doors {
    _running: Running,
    http_2: Port,
    tls: Port,
    _certificate: Certificate,
}

impl Doors {
    fn open(origin: Site, page: &str, locations: &str) -> Doors {
        let (http_2, tls) = (Port::take(), Port::take());
        let certificate = Certificate::make();
        let doors = format!(
            "listen {} http2; listen {} ssl; {} ssl_client_certificate {}; ssl_verify_client on;",
            http_2.address(),
            tls.address(),
            certificate.directives(),
            certificate.path().display(),
        );
        Doors {
            _running: site(origin.server(&doors), (page, page), locations),
            http_2,
            tls,
            _certificate: certificate,
        }
    }

    fn over_http_2(&self, arguments: &[&str], target: &str) -> String {
        let arguments = [&["--http2-prior-knowledge"], arguments].concat();
        curl(
            &arguments,
            &format!("http://{}{target}", self.http_2.address()),
        )
    }

    fn over_tls(&self, scheme: &str) -> String {
        curl(&[], &format!("{scheme}://{}/x", self.tls.address()))
    }
}

/// A certificate for localhost.

#[test]
fn over_http_2_and_tls_as_well() {
    let requests: [(&str, &[&str], &str, u16); 3] = [
        ("a Host that is none", &["-H", "Host: a/b"], "/x", 400),
        ("a target above the root", &["--path-as-is"], "/../x", 400),
        ("TRACE", &["-X", "TRACE"], "/x", 405),
    ];
    for (place, page, without, with) in PLACES {
        let plain = Doors::open(Site::plain(), page, without);
        let cached = Doors::open(cached_site(), page, with);
        let mut wrong = Vec::new();
        let mut compare = |fault: &str, ask: &dyn Fn(&Doors) -> String, status: u16| {
            let expected = ask(&plain);
            let refused = expected == format!("sorry {status}") || page.starts_with('@');
            assert!(refused, "{place}: {fault}: {expected}");
            for turn in 1..=2 {
                let got = ask(&cached);
                if got != expected {
                    wrong.push(format!("{fault}, {turn}: {got}, not {expected}"));
                }
            }
        };
        for (fault, arguments, target, status) in requests {
            compare(fault, &|doors| doors.over_http_2(arguments, target), status);
        }
        compare(
            "HTTP at the port of HTTPS",
            &|doors| doors.over_tls("http"),
            400,
        );
        compare("no certificate", &|doors| doors.over_tls("https"), 400);
        assert!(wrong.is_empty(), "{place}: {wrong:#?}");
    }
}
