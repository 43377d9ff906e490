//! A backend whose answers have no header, as those of HTTP/0.9. nginx takes them for a body, and so does the module.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testbed::{Running, Site, pattern};

/// Answers each request with the same bytes, or with a whole answer as long as `polite` says so.
struct Terse {
    address: SocketAddr,
    polite: Arc<AtomicBool>,
}

const POLITE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\
    Cache-Control: max-age=1, stale-while-revalidate=0\r\n\r\npolite";

impl Terse {
    fn start(body: Vec<u8>) -> Terse {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let polite = Arc::new(AtomicBool::new(false));
        let terse = Terse {
            address: listener.local_addr().unwrap(),
            polite: Arc::clone(&polite),
        };
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, body, polite) = (stream.unwrap(), body.clone(), polite.clone());
                thread::spawn(move || {
                    let mut request = Vec::new();
                    let mut piece = [0; 1024];
                    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read(&mut piece) {
                            Ok(n) if n > 0 => request.extend_from_slice(&piece[..n]),
                            _ => return,
                        }
                    }
                    let polite = polite.load(Ordering::Relaxed);
                    let _ = stream.write_all(if polite { POLITE } else { &body });
                });
            }
        });
        terse
    }

    fn site(&self, site: Site) -> Running {
        let address = self.address;
        site.workers(1)
            .location(&format!("proxy_pass http://{address};"))
            .start()
    }
}

/// All bytes that come until the connection ends.
fn bytes(site: &Running, version: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(site.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let request = format!("GET /x HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("the end of the answer");
    answer
}

#[test]
fn the_client_gets_the_body_alone_as_without_the_module() {
    let fallback = |address| {
        Site::new()
            .location("redis_cache_backend /fallback;")
            .locations(&format!(
                "location /fallback {{ proxy_pass http://{address}; }}"
            ))
    };
    for size in [20, 300_000] {
        let body = pattern(size, 3);
        let terse = Terse::start(body.clone());
        let sites = [
            ("proxy_pass", Site::plain()),
            (
                "proxy_cache",
                Site::plain()
                    .http("proxy_cache_path /tmp/none keys_zone=none:1m;")
                    .location("proxy_cache none; proxy_cache_valid any 1m;"),
            ),
            ("own handler", Site::new()),
            ("any status", Site::new().location("redis_cache_valid any;")),
            ("backend", fallback(terse.address)),
        ];
        for (what, site) in sites {
            let site = terse.site(site);
            for version in ["1.0", "1.1"] {
                for turn in 1..=2 {
                    let got = bytes(&site, version);
                    assert!(
                        got == body,
                        "{what}, {size} bytes, HTTP/{version}, {turn}: {:?}",
                        String::from_utf8_lossy(&got[..got.len().min(100)])
                    );
                }
            }
            assert!(site.redis.keys().is_empty(), "{what}");
        }
    }
}

#[test]
fn a_stale_record_stands_in_where_it_may() {
    for (use_stale, word) in [("invalid_header", "STALE"), ("error", "STALE"), ("off", "")] {
        let terse = Terse::start(b"no header".to_vec());
        terse.polite.store(true, Ordering::Relaxed);
        let conf = format!("redis_cache_use_stale {use_stale};");
        let site = terse.site(Site::new().location(&conf));
        assert_eq!(site.fill("/x").text(), "polite");
        site.expire_in("/x", 50_000);
        terse.polite.store(false, Ordering::Relaxed);
        if word.is_empty() {
            assert_eq!(bytes(&site, "1.1"), b"no header", "{use_stale}");
        } else {
            let answer = site.get("/x");
            assert_eq!(
                (answer.word(), answer.text().to_owned()),
                (word.to_owned(), "polite".to_owned()),
                "{use_stale}"
            );
        }
    }
}
