//! Sitemaps, indexes of them, and what isn't read of them.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::json;
use testbed::{Answer, Backend, PATIENCE, Site};

use crate::program::{Folder, gzipped};

const SPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";

/// A sitemap, or an index, that names these.
fn sitemap(root: &str, entry: &str, addresses: &[String]) -> String {
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{SPACE}\">\n");
    for address in addresses {
        let _ = writeln!(
            text,
            "<{entry}><lastmod>2026-01-01</lastmod><loc>\n  {address}\n</loc></{entry}>"
        );
    }
    text + &format!("</{root}>\n")
}

fn pages(addresses: &[String]) -> String {
    sitemap("urlset", "url", addresses)
}

fn index(addresses: &[String]) -> String {
    sitemap("sitemapindex", "sitemap", addresses)
}

/// Addresses of these paths.
fn at(backend: &Backend, paths: &[&str]) -> Vec<String> {
    let server = backend.address();
    paths
        .iter()
        .map(|path| format!("http://{server}{path}"))
        .collect()
}

#[test]
fn a_site_is_warmed_by_its_index() {
    let site = Site::new().start();
    let server = site.address();
    let at = |path: &str| format!("http://{server}{path}");
    let numbered =
        |from: usize| (from..from + 50).map(|number| at(&format!("/p?n={number}&amp;a")));
    site.backend.set(
        "/sitemap.xml",
        Answer::ok(index(&[at("/a.xml"), at("/b.xml.gz"), at("/more.xml")])),
    );
    site.backend.set(
        "/a.xml",
        Answer::ok(pages(&numbered(0).collect::<Vec<_>>())),
    );
    let zipped = gzipped(pages(&numbered(25).collect::<Vec<_>>()).as_bytes());
    site.backend.set("/b.xml.gz", Answer::ok(zipped).chunked());
    site.backend.set(
        "/more.xml",
        Answer::ok(index(&[at("/c.xml"), at("/a.xml")])),
    );
    site.backend
        .set("/c.xml", Answer::ok(pages(&[at("/last")])));
    let folder = Folder::new();
    let run = folder.warm(&["--json", &at("/sitemap.xml")]);
    assert_eq!((run.code, run.said.as_str()), (0, ""));
    let told = run.told();
    assert_eq!(told["cache"], json!({ "STORE": 76 }));
    // 25 addresses are in both, and one sitemap is named twice.
    assert_eq!(
        (&told["sitemaps"], &told["duplicates"]),
        (&json!(5), &json!(26))
    );
    // Those five were fetched through the cache, too.
    site.wait_for_fills(81);
    assert_eq!(site.backend.hits("/p?n=74&a"), 1);
    let run = folder.warm(&["--json", &at("/sitemap.xml")]);
    assert_eq!(run.told()["cache"], json!({ "HIT": 76 }));
}

#[test]
fn sitemaps_are_read_from_files() {
    let backend = Backend::start();
    backend.set("/far.xml", Answer::ok(pages(&at(&backend, &["/far"]))));
    let folder = Folder::new();
    folder.write("plain.xml", pages(&at(&backend, &["/plain"])));
    folder.write(
        "zipped.xml.gz",
        gzipped(pages(&at(&backend, &["/zipped"])).as_bytes()),
    );
    folder.write("index.xml", index(&at(&backend, &["/far.xml"])));
    let wide: Vec<u8> = format!(
        "\u{feff}{}",
        pages(&at(&backend, &["/wide"])).replace("UTF-8", "UTF-16")
    )
    .encode_utf16()
    .flat_map(u16::to_le_bytes)
    .collect();
    folder.write("wide.xml", wide);
    let piped = pages(&at(&backend, &["/piped"]));
    let files = ["plain.xml", "zipped.xml.gz", "index.xml", "wide.xml", "-"];
    let run = folder.warm_with(
        format!("\n\n{}", piped.split_once('\n').unwrap().1).as_bytes(),
        &files,
    );
    assert_eq!((run.code, run.said.as_str()), (0, ""));
    for path in ["/plain", "/zipped", "/far", "/wide", "/piped"] {
        assert_eq!(backend.hits(path), 1, "{path}");
    }
}

#[test]
fn pictures_and_translations_are_no_pages() {
    let backend = Backend::start();
    let server = backend.address();
    let folder = Folder::new();
    let text = format!(
        "<s:urlset xmlns:s='{SPACE}' xmlns:i='http://www.google.com/schemas/sitemap-image/1.1'>\
         <s:url><s:loc>http://{server}/page</s:loc>\
         <i:image><i:loc>http://{server}/picture</i:loc></i:image>\
         <i:loc>http://{server}/other</i:loc></s:url></s:urlset>"
    );
    folder.write("sitemap.xml", text);
    let run = folder.warm(&["sitemap.xml"]);
    assert_eq!(
        (run.code, backend.all_hits(), backend.hits("/page")),
        (0, 1, 1)
    );
}

#[test]
fn other_hosts_are_left_out_if_asked_for() {
    let backend = Backend::start();
    let port = backend.address().port();
    let own = at(&backend, &["/own"]).remove(0);
    let other = format!("http://localhost:{port}/other");
    backend.set(
        "/sitemap.xml",
        Answer::ok(pages(&[own.clone(), other.clone()])),
    );
    let nested = [
        at(&backend, &["/sitemap.xml"]).remove(0),
        format!("http://localhost:{port}/x.xml"),
    ];
    backend.set("/index.xml", Answer::ok(index(&nested)));
    let folder = Folder::new();
    folder.write("sitemap.xml", pages(&[own, other]));
    let url = at(&backend, &["/index.xml"]).remove(0);
    for (source, skipped) in [(url.as_str(), 2), ("sitemap.xml", 1)] {
        let run = folder.warm(&["--json", "--same-host", source]);
        let told = run.told();
        assert_eq!((run.code, &told["requests"]), (0, &json!(1)), "{source}");
        assert_eq!(told["other_hosts"], skipped, "{source}");
    }
    assert_eq!((backend.hits("/other"), backend.hits("/x.xml")), (0, 0));
    let run = folder.warm(&["--connect", "127.0.0.1", "sitemap.xml"]);
    assert_eq!((run.code, backend.hits("/other")), (0, 1));
}

/// Entities that would make 10^9 letters.
fn bomb() -> String {
    let mut text =
        "<?xml version='1.0'?>\n<!DOCTYPE urlset [\n<!ENTITY a0 'http://a/'>\n".to_owned();
    for number in 1..10 {
        let _ = writeln!(
            text,
            "<!ENTITY a{number} '{}'>",
            format!("&a{};", number - 1).repeat(10)
        );
    }
    text + &format!("]>\n<urlset xmlns='{SPACE}'><url><loc>&a9;</loc></url></urlset>")
}

#[test]
fn bombs_are_refused() {
    let folder = Folder::new();
    folder.write("entities.xml", bomb());
    let file = "<!DOCTYPE urlset [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><urlset><url><loc>&f;</loc></url></urlset>";
    folder.write("file.xml", file);
    let blank = b" ".repeat(60_000_000);
    folder.write(
        "zipped.xml.gz",
        gzipped(&[b"<urlset>".as_slice(), &blank].concat()),
    );
    let doctype = "it has a DOCTYPE, so it is no sitemap, and its entities aren't read";
    let start = Instant::now();
    for (name, said) in [
        ("entities.xml", format!("entities.xml:2: {doctype}")),
        ("file.xml", format!("file.xml:1: {doctype}")),
        (
            "zipped.xml.gz",
            "zipped.xml.gz: it has more than 52428800 bytes".to_owned(),
        ),
    ] {
        let run = folder.warm(&[name]);
        assert_eq!((run.code, run.said.trim_end()), (2, said.as_str()));
    }
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn what_is_no_sitemap_is_refused() {
    let folder = Folder::new();
    for (text, said) in [
        (
            "<html></html>",
            "x.xml: it is no sitemap: it begins with <html>",
        ),
        ("<urlset><url></urlset>", "x.xml:1: mismatched tag"),
        ("<urlset>\n<url>", "x.xml:2: no element found"),
        (
            "<?xml version='1.0' encoding='none'?><urlset/>",
            "x.xml: its encoding isn't known",
        ),
    ] {
        folder.write("x.xml", text);
        let run = folder.warm(&["x.xml"]);
        assert_eq!((run.code, run.said.trim_end()), (2, said));
    }
}

#[test]
fn what_an_index_names_in_vain_is_counted() {
    let backend = Backend::start();
    let server = backend.address();
    let at = |paths: &[&str]| at(&backend, paths);
    backend.set("/bomb.xml", Answer::ok(bomb()));
    backend.set("/missing.xml", Answer::of(404, ""));
    let early = pages(&at(&["/early"]));
    let cut = early.len() - 3;
    backend.set("/cut.xml", Answer::ok(early).cut_at(cut));
    backend.set(
        "/moved.xml",
        Answer::of(301, "").header("Location", "/good.xml"),
    );
    backend.set("/good.xml", Answer::ok(pages(&at(&["/good"]))));
    backend.set(
        "/self.xml",
        Answer::ok(index(&at(&["/self.xml", "/deep.xml"]))),
    );
    backend.set("/deep.xml", Answer::ok(index(&at(&["/deeper.xml"]))));
    let names = [
        "/bomb.xml",
        "/missing.xml",
        "/cut.xml",
        "/moved.xml",
        "/self.xml",
    ];
    let mut addresses = at(&names);
    addresses.push("nonsense".to_owned());
    backend.set("/index.xml", Answer::ok(index(&addresses)));
    let folder = Folder::new();
    let run = folder.warm(&["--json", &at(&["/index.xml"])[0]]);
    let told = run.told();
    assert_eq!((run.code, &told["requests"]), (1, &json!(2)), "{run:?}");
    assert_eq!((backend.hits("/early"), backend.hits("/good")), (1, 1));
    let said: Vec<&str> = run.said.lines().collect();
    let lines = [
        format!(
            "http://{server}/bomb.xml:2: it has a DOCTYPE, so it is no sitemap, and its entities aren't read"
        ),
        format!("http://{server}/missing.xml: the response is 404 Not Found"),
        format!("http://{server}/cut.xml: the body was cut after {cut} of "),
        format!("http://{server}/deep.xml:3: sitemaps are nested more than 3 deep"),
        format!("http://{server}/index.xml:18: the address doesn't begin with http:// or https://"),
    ];
    assert_eq!(said.len(), lines.len(), "{said:?}");
    for (said, wanted) in said.iter().zip(&lines) {
        assert!(said.starts_with(wanted.as_str()), "{said}: {wanted}");
    }
    assert_eq!(backend.hits("/deeper.xml"), 0);
}
