//! A backend's file that can be had in ranges, under conditions, and that changes.

use std::sync::{Arc, Mutex};

use testbed::{Answer, Backend, Received, pattern};

/// A file. Clones are the same one.
#[derive(Clone)]
pub struct File(Arc<Mutex<State>>);

struct State {
    body: Arc<Vec<u8>>,
    version: u64,
    /// What each answer has beside what all have.
    header: (String, String),
}

impl File {
    /// The first version of a file of so many bytes.
    pub fn new(size: usize) -> File {
        File(Arc::new(Mutex::new(State {
            body: Arc::new(pattern(size, 1)),
            version: 1,
            header: ("Cache-Control".to_owned(), "max-age=600".to_owned()),
        })))
    }

    /// The same with another field in place of `Cache-Control: max-age=600`.
    pub fn with(self, name: &str, value: &str) -> File {
        self.0.lock().unwrap().header = (name.to_owned(), value.to_owned());
        self
    }

    /// Its bytes now.
    pub fn body(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.0.lock().unwrap().body)
    }

    /// It becomes another, of so many bytes.
    pub fn change(&self, size: usize) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        state.body = Arc::new(pattern(size, state.version));
    }

    /// The bytes of a version of so many bytes.
    pub fn of(etag: &str, size: usize) -> Vec<u8> {
        let version = etag.trim_matches('"').trim_start_matches('v');
        pattern(size, version.parse().unwrap())
    }

    /// The backend gives it.
    pub fn serve(&self, backend: &Backend, path: &str) {
        let file = self.clone();
        backend.script(path, move |request, _| file.answer(request));
    }

    /// What a server with ranges says.
    pub fn answer(&self, request: &Received) -> Answer {
        let (body, etag, header) = {
            let state = self.0.lock().unwrap();
            let etag = format!("\"v{}\"", state.version);
            (Arc::clone(&state.body), etag, state.header.clone())
        };
        let total = body.len();
        let dress = |answer: Answer| answer.header("ETag", &etag).header(&header.0, &header.1);
        if request.header("If-Match").is_some_and(|tag| tag != etag) {
            return dress(Answer::of(412, ""));
        }
        if request.header("If-None-Match") == Some(etag.clone()) {
            return dress(Answer::of(304, ""));
        }
        match request.header("Range").map(|range| span(&range, total)) {
            None => dress(Answer::ok(body.to_vec())),
            Some(None) => {
                dress(Answer::of(416, "")).header("Content-Range", format!("bytes */{total}"))
            }
            Some(Some((first, last))) => dress(Answer::of(206, &body[first..=last]))
                .header("Content-Range", format!("bytes {first}-{last}/{total}")),
        }
    }
}

/// The bytes of a single range of a body of so many bytes.
pub fn span(range: &str, total: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", last) => (total.saturating_sub(last.parse().ok()?), total - 1),
        (first, "") => (first.parse().ok()?, total - 1),
        (first, last) => (first.parse().ok()?, last.parse().ok()?),
    };
    (first < total).then_some((first, last.min(total - 1)))
}

/// The ranges that the backend was asked for, sorted.
pub fn asked(backend: &Backend, path: &str) -> Vec<(usize, usize)> {
    let requests = backend.requests(path);
    let range = |request: &Received| request.header("Range");
    let mut spans: Vec<_> = requests
        .iter()
        .map(|request| {
            range(request).map_or((0, usize::MAX), |range| span(&range, usize::MAX).unwrap())
        })
        .collect();
    spans.sort_unstable();
    spans
}
