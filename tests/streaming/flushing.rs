//! What filters hold back: as much as behind proxy_pass alone, and nothing where the backend's location says so.

use testbed::{Answer, Gate, PATIENCE, Request, Running, Site, eventually, ms, unzipped};

const GZIP: &str = "gzip on; gzip_min_length 10; gzip_types *; gzip_proxied any;";

/// Bytes that the backend sends at once.
const PIECE: usize = 8000;

fn request(path: &str) -> Request {
    Request::get(path).header("Accept-Encoding", "gzip")
}

/// A text that can be compressed, but not to nothing.
fn text(size: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut number = 1_u64;
    while text.len() < size {
        number = number.wrapping_mul(6_364_136_223_846_793_005) + 1;
        text += &format!("<li class=\"item\">{}</li>\n", number >> 40);
    }
    text.truncate(size);
    text.into_bytes()
}

/// The text in pieces that come one after the other, so that each is passed on alone.
fn in_pieces(text: &[u8]) -> Answer {
    (1..text.len() / PIECE).fold(Answer::ok(text).chunked(), |answer, number| {
        answer.pause_at(number * PIECE, ms(3))
    })
}

/// nginx with gzip, alone and in both forms.
fn sites(more: &str) -> Vec<(&'static str, Running)> {
    let mut sites = vec![("proxy_pass", Site::plain())];
    sites.extend(Site::forms());
    let server = format!("{GZIP} {more}");
    let start = |site: Site| site.workers(1).server(&server).start();
    sites
        .into_iter()
        .map(|(form, site)| (form, start(site)))
        .collect()
}

#[test]
fn gzip_makes_as_little_of_a_miss_as_behind_proxy_pass() {
    let body = text(400_000);
    let mut plain = None;
    for (form, site) in sites("proxy_buffering on;") {
        site.backend.set("/x", in_pieces(&body));
        let answer = site.ask(&request("/x"));
        assert_eq!(
            answer.header("content-encoding").as_deref(),
            Some("gzip"),
            "{form}"
        );
        assert!(unzipped(&answer.body) == body, "{form}");
        let size = answer.body.len();
        println!("{form}: {size} bytes");
        let least = *plain.get_or_insert(size);
        assert!(size <= least + least / 100, "{form}: {size} over {least}");
    }
}

#[test]
fn what_is_not_buffered_comes_through_gzip_at_once() {
    let body = text(3 * PIECE);
    let unbuffered = "proxy_buffering off;";
    for (how, more, field) in [
        ("proxy_buffering", unbuffered, "X-Other"),
        ("X-Accel-Buffering", "", "X-Accel-Buffering"),
    ] {
        for (form, site) in sites(more) {
            let gates = [Gate::new(), Gate::new(), Gate::new()];
            let mut answer = Answer::ok(body.clone()).chunked().header(field, "no");
            for (number, gate) in gates.iter().enumerate() {
                answer = answer.gate_at(number * PIECE, gate);
            }
            site.backend.set("/x", answer);
            let mut client = site.client();
            client.send(&request("/x")).unwrap();
            let mut answer = client.receive_header().unwrap();
            for (number, gate) in gates.iter().enumerate() {
                gate.open();
                let due = (number + 1) * PIECE;
                let come = eventually(PATIENCE, || {
                    let _ = client.receive_piece(&mut answer).unwrap();
                    (unzipped(&answer.body) == body[..due]).then_some(())
                });
                assert!(come.is_some(), "{how}, {form}: {due} bytes");
            }
            client.receive_rest(&mut answer).unwrap();
            assert!(answer.complete && unzipped(&answer.body) == body, "{form}");
        }
    }
}

#[test]
fn a_backend_that_pauses_is_no_slow_client() {
    let body = text(6 * PIECE);
    for (form, site) in sites("send_timeout 200ms; proxy_buffering on;") {
        let answer = Answer::ok(body.clone()).chunked();
        site.backend.set("/x", answer.pause_at(5 * PIECE, ms(800)));
        let answer = site.ask(&request("/x"));
        assert!(unzipped(&answer.body) == body, "{form}");
    }
}

#[test]
fn the_header_does_not_wait_for_the_body() {
    for (form, site) in Site::forms() {
        let site = site.workers(1).server(GZIP).start();
        let gate = Gate::new();
        site.backend
            .set("/x", Answer::ok(text(PIECE)).gate_at(0, &gate));
        let mut client = site.client();
        client.send(&request("/x")).unwrap();
        let mut answer = client.receive_header().unwrap();
        assert_eq!(answer.status, 200, "{form}");
        gate.open();
        client.receive_rest(&mut answer).unwrap();
        assert!(unzipped(&answer.body) == text(PIECE), "{form}");
    }
}
