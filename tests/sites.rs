//! The default key: sites on several ports keep their records apart, the machines of a fleet share theirs.

use testbed::{Client, Nginx, Port, Request, Response, Running, Site};

/// A location with the default key.
fn cached(page: &str) -> String {
    format!(
        "location /d/ {{
            redis_cache on;
            redis_cache_lock locks;
            redis_cache_pass main;
            redis_cache_header X-Cache;
            proxy_pass http://backend/{page}/;
        }}"
    )
}

/// Two servers of one name on two ports.
fn two_sites() -> (Running, Port) {
    let port = Port::take();
    let second = format!(
        "server {{ listen {}; server_name localhost; {} }}",
        port.address(),
        cached("second")
    );
    let site = Site::new()
        .http(&second)
        .server("server_name localhost;")
        .locations(&cached("first"));
    (site.start(), port)
}

fn ask(address: std::net::SocketAddr, request: &Request) -> Response {
    Client::connect(address).ask(request)
}

/// Asks until the record is there.
#[track_caller]
fn wait_for_hit(address: std::net::SocketAddr, request: &Request) {
    testbed::wait_for("a record", testbed::PATIENCE, || {
        ask(address, request).word() == "HIT"
    });
}

#[test]
fn two_sites_on_two_ports_of_one_name_share_no_record() {
    let (site, port) = two_sites();
    let numbers = [site.address().port(), port.number()];
    // However the client writes the host, and whichever port it claims to ask.
    let hosts = [
        String::from("localhost"),
        format!("localhost:{}", numbers[0]),
        format!("localhost:{}", numbers[1]),
        String::from("LOCALHOST:80"),
    ];
    for (case, host) in hosts.iter().enumerate() {
        let path = format!("/d/{case}");
        for (address, page) in [(site.address(), "first"), (port.address(), "second")] {
            let request = Request::get(&path).header("Host", host);
            let answer = ask(address, &request);
            assert_eq!(
                (answer.word(), answer.text()),
                (String::from("STORE"), format!("GET /{page}/{case} #1\n")),
                "{host}"
            );
            wait_for_hit(address, &request);
        }
        for number in numbers {
            let key = format!("http://localhost:{number}/d/{case}");
            site.redis.wait_for_record(&key);
        }
    }
    // Nor by HTTP/1.0 without Host, nor by the absolute form.
    for (address, page) in [(site.address(), "first"), (port.address(), "second")] {
        let old = ask(address, &Request::get("/d/old").http10());
        assert_eq!(old.text(), format!("GET /{page}/old #1\n"));
        let target = format!("http://localhost:{}/d/absolute", numbers[0]);
        let absolute = ask(address, &Request::get(&target));
        assert_eq!(absolute.text(), format!("GET /{page}/absolute #1\n"));
    }
}

#[test]
fn the_machines_of_a_fleet_share_records_whatever_they_listen_on() {
    let plan = Site::new()
        .server("server_name localhost;")
        .locations(&cached("page"));
    let site = plan.start();
    let port = Port::take();
    let other = plan.conf(port.address(), &site.redis, &site.backend);
    let _other = Nginx::start(&other, port.address());
    let cases = [
        ("localhost", "localhost"),
        ("localhost:80", "localhost"),
        ("localhost:8080", "localhost:8080"),
        ("Localhost:08080", "localhost:8080"),
        ("example.org:8443", "example.org:8443"),
        ("[::1]:81", "[::1]:81"),
    ];
    for (case, (host, authority)) in cases.into_iter().enumerate() {
        let path = format!("/d/{case}");
        let request = Request::get(&path).header("Host", host);
        ask(site.address(), &request);
        wait_for_hit(port.address(), &request);
        let key = format!("http://{authority}{path}");
        site.redis.wait_for_record(&key);
    }
    // The port in the request line comes before that of Host.
    let absolute = Request::get("http://localhost:8081/d/x").header("Host", "localhost:8080");
    ask(site.address(), &absolute);
    wait_for_hit(port.address(), &absolute);
    site.redis.wait_for_record("http://localhost:8081/d/x");
    // Without Host it is the port of the connection.
    ask(site.address(), &Request::get("/d/old").http10());
    let key = format!("http://localhost:{}/d/old", site.address().port());
    site.redis.wait_for_record(&key);
}

#[test]
fn sites_on_one_port_leave_the_connection_s_port_out() {
    let port = Port::take();
    let server = |name: &str| {
        format!(
            "server {{ listen {}; server_name {name}; {} }}",
            port.address(),
            cached(name)
        )
    };
    let site = Site::new()
        .http(&format!("{}{}", server("a"), server("b")))
        .start();
    for name in ["a", "b"] {
        let request = Request::get("/d/x").header("Host", name);
        assert_eq!(
            ask(port.address(), &request).text(),
            format!("GET /{name}/x #1\n")
        );
        wait_for_hit(port.address(), &request);
        site.redis.wait_for_record(&format!("http://{name}/d/x"));
    }
}
