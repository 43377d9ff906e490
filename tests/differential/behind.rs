//! What stands behind nginx: the backend's answers, PHP-FPM, files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use testbed::{Answer, Backend, PATIENCE, Process, Received, ms, pattern, wait_for};

/// The requests that the backend saw, by the X-Id that the client gave each.
pub type Seen = Arc<Mutex<HashMap<String, Vec<String>>>>;

const MODIFIED: &str = "Mon, 28 Sep 2015 06:00:00 GMT";
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x01\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x01\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02L\x01\x00;";

/// A backend whose answers follow from the request alone.
pub fn backend() -> (Backend, Seen) {
    let (backend, seen) = (Backend::start(), Seen::default());
    let noted = Arc::clone(&seen);
    backend.script("(otherwise)", move |request, _| {
        if let Some(id) = request.header("x-id") {
            let mut noted = noted.lock().unwrap();
            noted.entry(id).or_default().push(shown(request));
        }
        answer(request)
    });
    (backend, seen)
}

/// A request as text, without what differs between any two.
fn shown(request: &Received) -> String {
    let mut fields: Vec<_> = request
        .fields
        .iter()
        .filter(|(name, _)| !["x-id", "x-side"].contains(&name.to_lowercase().as_str()))
        .map(|(name, value)| {
            format!(
                "{}: {}\n",
                name.to_lowercase(),
                String::from_utf8_lossy(value)
            )
        })
        .collect();
    fields.sort();
    format!(
        "{} {}\n{}\n{}",
        request.method,
        request.target,
        fields.concat(),
        String::from_utf8_lossy(&request.body)
    )
}

fn answer(request: &Received) -> Answer {
    let path = request.path();
    let argument = |wanted: &str| request.target.contains(wanted);
    let mut answer = body(request, path)
        .header("X-Own", "own")
        .header("Last-Modified", MODIFIED);
    if !path.starts_with("/accel/redirect") {
        answer = answer.header("ETag", "\"v1\"");
    }
    if !["/no-ranges", "/large/chunked"].contains(&path) {
        answer = answer.header("Accept-Ranges", "bytes");
    }
    answer = if argument("s=skip") || path.starts_with("/private") {
        answer.header("Cache-Control", "private")
    } else if argument("s=stale") && !path.starts_with("/status") {
        answer.header("Cache-Control", "max-age=1")
    } else {
        answer
    };
    if argument("s=joined") {
        answer = answer.delay(ms(120));
    }
    answer
}

fn body(request: &Received, path: &str) -> Answer {
    let mut words = path.trim_start_matches('/').split('/');
    let (first, second, third) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    match first {
        "large" => large(request, second == "chunked"),
        "trailers" => html(&page()).trailer("X-Sum", "12").trailer("X-Other", "y"),
        "empty" => Answer::ok("").content_type("text/html"),
        "ssi" => html("[<!--#include virtual=\"/part/a\" -->][<!--#echo var=\"arg_s\" -->]\n"),
        "part" => html(&format!("part {second}")),
        "gzip" => Answer::ok(gzipped())
            .content_type("text/html")
            .header("Content-Encoding", "gzip"),
        // A refill asks conditionally, and is answered in full all the same.
        "echo" => html(&lines_without(&shown(request), "if-")),
        "status" | "private" => {
            Answer::of(second.parse().unwrap_or(200), page()).content_type("text/html")
        }
        "phrase" => phrase(second, third),
        "moved" => Answer::of(301, "moved").header("Location", "http://elsewhere/page"),
        "pixel.gif" => Answer::ok(GIF).content_type("image/gif"),
        "xml" => {
            Answer::ok("<?xml version=\"1.0\"?><page><a>text</a></page>").content_type("text/xml")
        }
        "cookie" => html(&page()).header("Set-Cookie", "c=d; domain=a.example; path=/"),
        "nostore" => html(&page()).header("X-Nostore", "1"),
        "no-type" => Answer::ok("?").header("Content-Type", ""),
        "long-header" => html(&page()).header("X-Long", "long ".repeat(620)),
        "slow" => html(&page()).delay(ms(400)),
        "reset" => Answer::ok("x").reset(),
        "accel" => accel(second, third),
        _ => html(&page()),
    }
}

fn lines_without(text: &str, prefix: &str) -> String {
    let kept = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(prefix));
    kept.collect()
}

/// A status, and what its line has instead of the usual phrase.
fn phrase(status: &str, what: &str) -> Answer {
    let status = status.parse().unwrap_or(200);
    let body = if status == 204 { String::new() } else { page() };
    let answer = Answer::of(status, body).content_type("text/html");
    match what {
        "usual" => answer,
        "empty" => answer.reason(" "),
        "none" => answer.reason(""),
        "long" => answer.reason(&format!(" {}", "long ".repeat(300))),
        "odd" => answer.reason(" \u{e9}\t\u{1}x"),
        _ => answer.reason(" Fine"),
    }
}

fn accel(what: &str, status: &str) -> Answer {
    let page = html(&page());
    match what {
        "redirect" => Answer::of(status.parse().unwrap_or(200), "not this")
            .header("Location", "http://elsewhere/")
            .header("X-Accel-Redirect", "/inner/file.html"),
        "named" => page.header("X-Accel-Redirect", "@inner"),
        "charset" => page.header("X-Accel-Charset", "utf-8"),
        "limit" => page.header("X-Accel-Limit-Rate", "500000"),
        "expires" => page.header("X-Accel-Expires", "900"),
        _ => page.header("X-Accel-Buffering", "no"),
    }
}

fn large(request: &Received, chunked: bool) -> Answer {
    let body = pattern(300_000, 7);
    let range = request.header("range").unwrap_or_default();
    let ends = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let ends =
        ends.and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
    if let Some((from, to)) = ends {
        let to = to.min(body.len() - 1);
        return Answer::of(206, &body[from..=to])
            .content_type("video/mp4")
            .header("Content-Range", format!("bytes {from}-{to}/{}", body.len()));
    }
    let answer = Answer::ok(body).content_type("video/mp4");
    if chunked { answer.chunked() } else { answer }
}

fn html(text: &str) -> Answer {
    Answer::ok(text).content_type("text/html")
}

fn page() -> String {
    format!("<html>{}</html>\n", "a needle in a haystack\n".repeat(100))
}

fn gzipped() -> Vec<u8> {
    // Made once: gzip writes no time into what it reads from a pipe.
    static BYTES: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let made = Command::new("sh")
            .args(["-c", "printf '%s' \"$1\" | gzip -nc", "sh", &page()])
            .output()
            .expect("gzip");
        made.stdout
    });
    BYTES.clone()
}

const FILES: [(&str, &str); 9] = [
    ("file.html", "<html>a file</html>\n"),
    ("users", "user:{PLAIN}pass\n"),
    (
        "style.xslt",
        "<xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\"><xsl:template match=\"/\">[<xsl:value-of select=\"page/a\"/>]</xsl:template></xsl:stylesheet>",
    ),
    (
        "own.js",
        "function value(r) { return r.uri; }
         function body(r) { return r.requestText || ''; }
         function header(r) { r.headersOut['X-Filter'] = 'njs'; }
         async function content(r) { let part = await r.subrequest('/part/a'); r.return(200, part.status + ' ' + part.responseText); }
         export default { value, body, header, content };",
    ),
    (
        "page.php",
        "<?php header('X-Own: own'); echo 'php: ', $_SERVER['PATH_INFO'] ?? '', $_GET['s'] ?? '';",
    ),
    (
        "large.php",
        "<?php for ($i = 0; $i < 5000; $i++) echo str_pad($i, 59), \"\\n\";",
    ),
    (
        "status.php",
        "<?php http_response_code(404); header('X-Own: own'); header('Cache-Control: max-age=60'); echo 'not here';",
    ),
    (
        "private.php",
        "<?php header('Set-Cookie: c=d'); header('Cache-Control: private'); echo 'yours';",
    ),
    (
        "echo.php",
        "<?php echo $_SERVER['REQUEST_METHOD'], ' ', file_get_contents('php://input');",
    ),
];

/// The folder that `HTML` stands for.
pub fn write_files(folder: &Path) {
    for (name, text) in FILES {
        fs::write(folder.join(name), text).unwrap();
    }
    let names = [
        "QUERY_STRING $query_string",
        "REQUEST_METHOD $request_method",
        "CONTENT_TYPE $content_type",
        "CONTENT_LENGTH $content_length",
        "REQUEST_URI $request_uri",
        "SERVER_PROTOCOL $server_protocol",
    ];
    let mut text = String::new();
    for name in names {
        text += &format!("fastcgi_param {name};\n");
    }
    let folder = folder.display();
    text += &format!("fastcgi_param SCRIPT_FILENAME {folder}$fastcgi_script_name;\n");
    fs::write(format!("{folder}/fastcgi_params"), text).unwrap();
}

/// PHP-FPM's program, where there is one.
pub fn php_program() -> Option<PathBuf> {
    let mut found: Vec<_> = fs::read_dir("/usr/sbin")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("php-fpm")
        })
        .collect();
    found.sort();
    found.pop()
}

/// Starts PHP-FPM on the socket `php.sock` in `folder`.
pub fn start_php(folder: &Path) -> Option<Process> {
    let program = php_program()?;
    let place = folder.display();
    let conf = format!(
        "[global]\nerror_log = {place}/php.log\ndaemonize = no\n\
         [www]\nuser = root\ngroup = root\nlisten = {place}/php.sock\npm = static\npm.max_children = 4\n"
    );
    fs::write(folder.join("php.conf"), conf).unwrap();
    let mut command = Command::new(program);
    // -R: run as root, as the tests' nginx does.
    command
        .args(["-n", "-R", "-F", "-y"])
        .arg(folder.join("php.conf"));
    let process = Process::start(&mut command, &folder.join("php.out"));
    wait_for("PHP-FPM's socket", PATIENCE, || {
        folder.join("php.sock").exists()
    });
    Some(process)
}
