//! The site of the demonstration: a few pages, a style sheet and a picture, drawn here.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testbed::{Answer, Backend};

/// How long the site takes for a page.
pub const DELAY: Duration = Duration::from_millis(700);

/// The site, on a backend.
pub struct Pages {
    delay: Arc<AtomicU64>,
}

impl Pages {
    /// Puts the pages on `backend`: HTML takes [`DELAY`], the rest is there at once.
    pub fn on(backend: &Backend) -> Pages {
        let delay = Arc::new(AtomicU64::new(0));
        for (path, title, text) in TEXTS {
            let delay = Arc::clone(&delay);
            backend.script(path, move |_, edition| {
                let page = Answer::ok(page(title, text, edition))
                    .content_type("text/html; charset=utf-8")
                    .delay(Duration::from_millis(delay.load(Ordering::Relaxed)));
                match path {
                    // News are old after a second.
                    "/news.html" => page.header("Cache-Control", "max-age=1"),
                    _ => page.header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
                }
            });
        }
        backend.set("/style.css", Answer::ok(STYLE).content_type("text/css"));
        backend.set(
            "/logo.svg",
            Answer::ok(logo()).content_type("image/svg+xml"),
        );
        let lost = page(
            "Not here",
            "This page doesn't exist, and even that is remembered.",
            1,
        );
        backend.set_otherwise(Answer::of(404, lost).content_type("text/html; charset=utf-8"));
        let pages = Pages { delay };
        pages.take(DELAY);
        pages
    }

    /// HTML takes this long from now on.
    pub fn take(&self, delay: Duration) {
        self.delay
            .store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

const TEXTS: [(&str, &str, &str); 4] = [
    (
        "/",
        "Welcome",
        "Each page of this site takes its time: it is put together when somebody asks for it.",
    ),
    (
        "/about.html",
        "About",
        "A hundred readers came at the same moment, and the site wrote this page once.",
    ),
    (
        "/news.html",
        "News",
        "What is said here is old after a second. Who comes later reads it at once all the same.",
    ),
    (
        "/contact.html",
        "Contact",
        "Write to whoever runs Redis, should it be down. This page is here without it.",
    ),
];

fn page(title: &str, text: &str, edition: usize) -> String {
    let mut links = String::new();
    for (path, name, _) in TEXTS {
        let _ = write!(links, "<a href=\"{path}\">{name}</a> ");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <header><img src=\"/logo.svg\" alt=\"\" width=\"240\" height=\"80\"> <nav>{links}</nav></header>\n\
         <main>\n<h1>{title}</h1>\n<p>{text}</p>\n\
         <p class=\"edition\">edition {edition} of this page</p>\n</main>\n</body>\n</html>\n"
    )
}

/// What stands in a page of this edition.
pub fn edition(number: usize) -> String {
    format!("edition {number} of this page")
}

const STYLE: &str = "\
body { margin: 0 auto; max-width: 42rem; padding: 2rem; font: 1.1rem/1.5 serif; color: #222; background: #fdfcf8; }
header { display: flex; align-items: center; gap: 2rem; border-bottom: 1px solid #ccc; }
nav a { margin-right: 1rem; color: #0a5; }
.edition { color: #888; font-size: 0.9rem; }
";

/// A wave that calms down, as the load of a site behind a cache.
fn logo() -> String {
    let mut path = String::from("M 0 40");
    for step in 1..=120 {
        let x = f64::from(step) * 2.0;
        let y = 40.0 - 34.0 * (-x / 70.0).exp() * (x / 9.0).sin();
        let _ = write!(path, " L {x:.0} {y:.1}");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 240 80\">\n\
         <path d=\"{path}\" fill=\"none\" stroke=\"#0a5\" stroke-width=\"3\"/>\n</svg>\n"
    )
}
