//! What the backend answers, and how it misbehaves.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// One answer of the backend.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) reason: Option<String>,
    /// One field for each 103 that comes before it.
    pub(super) hints: Vec<(String, String)>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Arc<Vec<u8>>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
    pub(super) framing: Framing,
    pub(super) delay: Duration,
    pub(super) gate: Option<Gate>,
    pub(super) pauses: Vec<(usize, Pause)>,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
    Close,
}

#[derive(Debug, Clone)]
pub(super) enum Pause {
    For(Duration),
    Until(Gate),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// Closes the connection after so many bytes of the body.
    Cut(usize),
    /// Sends no more after so many bytes of the body, and doesn't close.
    Hang(usize),
    /// Resets the connection after so many bytes of the body; `None`: before the header.
    Reset(Option<usize>),
    /// Sends the body again and again, each after so long, until the other side has gone.
    Endless(Duration),
}

impl Answer {
    /// 200 with this body, of type text/plain.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Answer {
        Answer::of(200, body)
    }

    /// An answer with this status and body, of type text/plain.
    #[must_use]
    pub fn of(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            reason: None,
            hints: Vec::new(),
            fields: vec![("Content-Type".to_owned(), b"text/plain".to_vec())],
            body: Arc::new(body.into()),
            trailers: Vec::new(),
            framing: Framing::Length,
            delay: Duration::ZERO,
            gate: None,
            pauses: Vec::new(),
            end: End::Whole,
        }
    }

    /// What its status line has behind the digits, the space included.
    #[must_use]
    pub fn reason(mut self, rest: &str) -> Answer {
        self.reason = Some(rest.to_owned());
        self
    }

    /// A 103 (Early Hints) with this field comes before it, at once.
    #[must_use]
    pub fn hint(mut self, name: &str, value: &str) -> Answer {
        self.hints.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header field, beside others of its name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Answer {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a field behind the body, which then comes in chunks.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Answer {
        self.trailers.push((name.to_owned(), value.into()));
        self.chunked()
    }

    /// Another Content-Type.
    #[must_use]
    pub fn content_type(mut self, value: &str) -> Answer {
        self.fields.retain(|(name, _)| name != "Content-Type");
        self.header("Content-Type", value)
    }

    /// The header is sent after this long.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    /// The header is sent once `gate` is open.
    #[must_use]
    pub fn gate(mut self, gate: &Gate) -> Answer {
        self.gate = Some(gate.clone());
        self
    }

    /// After `bytes` of the body nothing is sent for `pause`.
    #[must_use]
    pub fn pause_at(mut self, bytes: usize, pause: Duration) -> Answer {
        self.pauses.push((bytes, Pause::For(pause)));
        self
    }

    /// After `bytes` of the body nothing is sent until `gate` is open.
    #[must_use]
    pub fn gate_at(mut self, bytes: usize, gate: &Gate) -> Answer {
        self.pauses.push((bytes, Pause::Until(gate.clone())));
        self
    }

    /// Transfer-Encoding: chunked.
    #[must_use]
    pub fn chunked(mut self) -> Answer {
        self.framing = Framing::Chunked;
        self
    }

    /// Neither length nor chunks: the connection's end ends the body.
    #[must_use]
    pub fn until_close(mut self) -> Answer {
        self.framing = Framing::Close;
        self
    }

    /// Closes after `bytes` of the body: short of the Content-Length, or without the last chunk.
    #[must_use]
    pub fn cut_at(mut self, bytes: usize) -> Answer {
        self.end = End::Cut(bytes);
        self
    }

    /// Sends nothing after `bytes` of the body and keeps the connection open.
    #[must_use]
    pub fn hang_at(mut self, bytes: usize) -> Answer {
        self.end = End::Hang(bytes);
        self
    }

    /// Resets the connection after `bytes` of the body.
    #[must_use]
    pub fn reset_at(mut self, bytes: usize) -> Answer {
        self.end = End::Reset(Some(bytes));
        self
    }

    /// Sends the body again and again, each after `pause`, as long as the other side is there. For answers without a length.
    #[must_use]
    pub fn endless(mut self, pause: Duration) -> Answer {
        self.end = End::Endless(pause);
        self
    }

    /// Resets the connection instead of an answer.
    #[must_use]
    pub fn reset(mut self) -> Answer {
        self.end = End::Reset(None);
        self
    }
}

/// Holds answers back until a test lets them go: exact where a delay would be a guess.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Opens it for good.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open, at most for `time`; whether it is open.
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            open = self.0.1.wait_timeout(open, left).unwrap().0;
        }
        true
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }
}
