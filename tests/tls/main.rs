//! TLS to Redis: records through it, whom it trusts, and what the log says where a server isn't the one expected.

mod cluster;
mod sessions;
mod trouble;
mod use_of;

use std::net::SocketAddr;

use testbed::{Authority, PATIENCE, Pair, Port, Redis, Running, Site, wait_for};

/// A Redis that listens for TLS beside the plain port, which is for the test.
struct Secured {
    redis: Redis,
    port: Port,
}

impl Secured {
    fn start(authority: &Authority, pair: &Pair) -> Secured {
        Secured::with(authority, pair, false, &[])
    }

    /// `demand`: clients need a certificate.
    fn with(authority: &Authority, pair: &Pair, demand: bool, more: &[&str]) -> Secured {
        let port = Port::take();
        let options = authority.redis_options(port.number(), pair, demand);
        let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
        options.extend(more);
        Secured {
            redis: Redis::with_options(&options),
            port,
        }
    }

    /// A part of what INFO says, over the socket, which needs no TLS.
    fn info(&self, section: &str) -> String {
        self.redis.command(&["INFO", section])
    }

    /// A site whose store is this Redis at its TLS port, called `host` there, with these lines.
    #[track_caller]
    fn site(self, host: &str, lines: &str) -> (Running, Port) {
        let store = format!("{} tls on; {lines}", server(host, self.port.address()));
        (site(&store).start_with(self.redis), self.port)
    }
}

/// One worker, whose waiting is short.
fn site(store: &str) -> Site {
    Site::new().workers(1).store(store)
}

fn server(host: &str, address: SocketAddr) -> String {
    format!("server {host}:{};", address.port())
}

/// The line that names the authority.
fn trust(authority: &Authority) -> String {
    let file = authority.certificate();
    format!("tls_trusted_certificate {};", file.display())
}

/// A record is stored, served, and served when it is stale.
#[track_caller]
fn serves(site: &Running, path: &str) {
    let first = site.get(path);
    assert_eq!(
        (first.status, first.word().as_str()),
        (200, "STORE"),
        "{}",
        site.nginx.log().tail(5)
    );
    site.redis.wait_for_record(&site.key(path));
    let hit = site.get(path);
    assert_eq!((hit.word().as_str(), hit.text()), ("HIT", first.text()));
    site.expire_in(&site.key(path), 50_000);
    assert_eq!(site.get(path).word(), "STALE");
    wait_for("the refill", PATIENCE, || site.get(path).word() == "HIT");
}
