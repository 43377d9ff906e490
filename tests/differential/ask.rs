//! The protocols that each case is asked by.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use testbed::{Client, Http2, Request, Response, TlsTunnel};

use crate::cases::Case;
use crate::scene::{Scene, Side};
use crate::state::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
    /// A small receive buffer, read in pieces with rests.
    SlowReader,
    /// Three requests in one piece.
    Pipeline,
    /// Windows of 1,000 bytes.
    Http2,
    /// Several streams at once, over TLS.
    Http2Tls,
    /// HTTP/1.1 over TLS.
    Tls,
    /// Behind another stream's answer, on a socket that nobody reads for a while.
    Http2Blocked,
}

impl Protocol {
    pub const ALL: [Protocol; 8] = [
        Protocol::Http10,
        Protocol::Http11,
        Protocol::SlowReader,
        Protocol::Pipeline,
        Protocol::Http2,
        Protocol::Http2Tls,
        Protocol::Tls,
        Protocol::Http2Blocked,
    ];

    /// A word for keys and messages.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Http10 => "http10",
            Protocol::Http11 => "http11",
            Protocol::SlowReader => "slow",
            Protocol::Pipeline => "pipeline",
            Protocol::Http2 => "h2",
            Protocol::Http2Tls => "h2tls",
            Protocol::Tls => "tls",
            Protocol::Http2Blocked => "h2blocked",
        }
    }

    /// HTTP/1.1 and HTTP/2 are for all cases. The others take turns, by the case's name; the variable
    /// DIFFERENTIAL_ALL gives each all of them, which takes some minutes.
    pub fn has_its_turn(self, case: &Case) -> bool {
        let name: usize = case.name.bytes().map(usize::from).sum();
        let turn = |others: usize| (name + others) % 6 + 2;
        let place = match self {
            Protocol::Http11 => 0,
            Protocol::Http2 => 1,
            Protocol::Http10 => 2,
            Protocol::SlowReader => 3,
            Protocol::Pipeline => 4,
            Protocol::Http2Tls => 5,
            Protocol::Tls => 6,
            Protocol::Http2Blocked => 7,
        };
        place < 2
            || place == turn(0)
            || place == turn(3)
            || std::env::var_os("DIFFERENTIAL_ALL").is_some()
    }

    pub fn fits(self, case: &Case) -> bool {
        match self {
            Protocol::Http10 => !case.not_http10 && case.body.is_none(),
            Protocol::Pipeline => !case.single,
            _ => !(case.not_http2 && self.is_http2()),
        }
    }

    pub fn is_http2(self) -> bool {
        matches!(
            self,
            Protocol::Http2 | Protocol::Http2Tls | Protocol::Http2Blocked
        )
    }
}

/// What is asked: by whom answers are told apart.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub case: &'a Case,
    pub number: usize,
    pub protocol: Protocol,
    pub state: State,
    pub side: Side,
}

pub type Answered = Result<Response, String>;

impl Question<'_> {
    /// X-Id of the nth request: it stands in the access log and at the backend.
    pub fn id(&self, nth: usize) -> String {
        let side = match self.side {
            Side::Reference => "reference",
            Side::Module => "module",
        };
        format!(
            "{}.{}.{:?}.{side}.{nth}",
            self.number,
            self.protocol.word(),
            self.state
        )
    }

    /// The target: each protocol has records of its own.
    fn target(&self) -> String {
        format!(
            "{}?p={}&s={}",
            self.case.path,
            self.protocol.word(),
            self.state.target_word()
        )
    }

    fn request(&self, nth: usize) -> Request {
        let mut request = Request::new(self.case.method, &self.target())
            .header("X-Id", self.id(nth))
            .header("X-Side", if self.side == Side::Module { "m" } else { "r" });
        if self.protocol == Protocol::Http10 {
            request = request.http10();
        }
        request = request.header("Host", format!("c{}.test", self.number));
        for (name, value) in self.case.fields {
            request = request.header(name, value);
        }
        match self.case.body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// Asks once, or several times at once where that is what `state` is.
    pub fn ask(&self, scene: &Scene) -> Vec<Answered> {
        if self.state != State::Joined {
            return self.ask_together(scene, self.at_once());
        }
        if self.protocol.is_http2() {
            return self.ask_together(scene, 4);
        }
        let each = |nth| move || self.ask_http1(scene, nth, 1).pop().expect("an answer");
        thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|nth| scope.spawn(each(nth))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a client"))
                .collect()
        })
    }

    fn at_once(&self) -> usize {
        match self.protocol {
            _ if self.case.single => 1,
            Protocol::Pipeline => 3,
            Protocol::Http2Tls => 4,
            _ => 1,
        }
    }

    fn ask_together(&self, scene: &Scene, count: usize) -> Vec<Answered> {
        if self.protocol.is_http2() {
            self.ask_http2(scene, count)
        } else {
            self.ask_http1(scene, 0, count)
        }
    }

    fn ask_http1(&self, scene: &Scene, first: usize, count: usize) -> Vec<Answered> {
        let listeners = scene.listeners(self.side);
        let narrow = self.protocol == Protocol::SlowReader;
        let connected = match self.protocol {
            Protocol::SlowReader => Client::connect_narrow(listeners.narrow.address(), 4_096),
            Protocol::Tls => Client::try_connect(TlsTunnel::address(&listeners.tunnel)),
            _ => Client::try_connect(listeners.http1.address()),
        };
        let requests: Vec<_> = (first..first + count)
            .map(|nth| self.request(nth))
            .collect();
        let mut client = match connected {
            Ok(client) => client,
            Err(error) => return vec![Err(error.to_string()); count],
        };
        if let Err(error) = client.pipeline(&requests) {
            return vec![Err(error.to_string()); count];
        }
        let mut answers = Vec::new();
        for _ in 0..count {
            let answer = if narrow {
                read_slowly(&mut client)
            } else {
                client.receive()
            };
            answers.push(answer.map_err(|error| error.to_string()));
        }
        answers
    }

    fn ask_http2(&self, scene: &Scene, count: usize) -> Vec<Answered> {
        match self.try_http2(scene, count) {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); count],
        }
    }

    fn try_http2(&self, scene: &Scene, count: usize) -> Result<Vec<Answered>, String> {
        let (options, address): (_, SocketAddr) = match self.protocol {
            Protocol::Http2Tls => (
                Http2::new().stream_window(20_000).tls(&scene.certificate),
                scene.address(self.side, |listeners| &listeners.tls),
            ),
            Protocol::Http2Blocked => (
                Http2::new()
                    .stream_window(1_000_000)
                    .connection_window(8_000_000)
                    .receive_buffer(4_096),
                scene.address(self.side, |listeners| &listeners.narrow_http2),
            ),
            _ => (
                Http2::new().stream_window(1_000),
                scene.address(self.side, |listeners| &listeners.http2),
            ),
        };
        let connected = options.try_connect(address);
        let mut client = connected.map_err(|error| error.to_string())?;
        let blocked = self.protocol == Protocol::Http2Blocked;
        let mut before = None;
        if blocked {
            // The first case is a plain page; its file is larger than all buffers on the way.
            let large = Request::get("/large?p=before").header("Host", "c0.test");
            let mut stream = client.send(&large).map_err(|failure| failure.to_string())?;
            let header = stream.receive_header();
            let header = header.map_err(|failure| failure.to_string())?;
            client.pause();
            before = Some((stream, header));
        }
        let mut streams = Vec::new();
        for nth in 0..count {
            let sent = client.send(&self.request(nth));
            streams.push(sent.map_err(|failure| failure.to_string())?);
        }
        if blocked {
            // No event tells that nginx has an answer that it can't send: a shorter rest only makes the test easier.
            thread::sleep(Duration::from_millis(60));
            client.resume();
        }
        let answers = streams.into_iter().map(|mut stream| {
            let answer = stream.receive();
            answer.map_err(|failure| format!("{failure} (code {:?})", failure.code))
        });
        let answers = answers.collect();
        if let Some((mut stream, mut response)) = before {
            // nginx logs nothing of what it was sending when a client leaves, though the client may have it.
            let rest = stream.receive_rest(&mut response);
            rest.map_err(|failure| failure.to_string())?;
        }
        Ok(answers)
    }
}

/// In pieces, with a rest after each of the first few.
fn read_slowly(client: &mut Client) -> std::io::Result<Response> {
    let mut response = client.receive_header()?;
    let mut rests = 5;
    while client.receive_piece(&mut response)? {
        if rests > 0 {
            rests -= 1;
            thread::sleep(Duration::from_millis(4));
        }
    }
    Ok(response)
}
