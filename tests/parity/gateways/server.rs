//! A server that speaks another protocol than HTTP/1.1 and has its answers from a testbed backend: so all that a backend
//! can be told to do, its answers do over that protocol too.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use testbed::{Backend, Client, Port, Request, Response};

use super::{fastcgi, grpc, scgi, uwsgi};

/// What it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    FastCgi,
    Uwsgi,
    Scgi,
    Grpc,
}

/// A request, whatever protocol it came by.
#[derive(Debug, Default)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Where an answer goes, in the protocol of its request.
pub trait Sink {
    fn head(&mut self, response: &Response) -> io::Result<()>;
    fn piece(&mut self, piece: &[u8]) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
}

/// The way of an answer in clear text, whose end is that of the connection; its first line begins like this.
struct UntilClosed(TcpStream, &'static str);

impl Sink for UntilClosed {
    fn head(&mut self, response: &Response) -> io::Result<()> {
        let mut text = format!("{} {} Whatever\r\n", self.1, response.status).into_bytes();
        text.extend(cgi_fields(response));
        self.0.write_all(&text)
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.write_all(piece)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The server, as long as the test lives, and its backend.
pub struct Gateway {
    pub backend: Backend,
    port: Port,
}

impl Gateway {
    pub fn start(protocol: Protocol) -> Gateway {
        let (backend, port) = (Backend::start(), Port::take());
        let listener = port.listen();
        let behind = backend.address();
        if protocol == Protocol::Grpc {
            thread::spawn(move || grpc::serve(listener, behind));
        } else {
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A peer that leaves is no failure of the gateway's.
                    thread::spawn(move || serve(stream, protocol, behind));
                }
            });
        }
        Gateway { backend, port }
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

fn serve(mut stream: TcpStream, protocol: Protocol, backend: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match protocol {
        Protocol::FastCgi => {
            let asked = fastcgi::receive(&mut stream)?;
            relay(backend, &asked, &mut fastcgi::Out(stream))
        }
        Protocol::Uwsgi => {
            let asked = uwsgi::receive(&mut stream)?;
            relay(backend, &asked, &mut UntilClosed(stream, "HTTP/1.1"))
        }
        Protocol::Scgi => {
            let asked = scgi::receive(&mut stream)?;
            relay(backend, &asked, &mut UntilClosed(stream, "Status:"))
        }
        Protocol::Grpc => unreachable!("a server of its own"),
    }
}

/// Asks the backend and passes the answer on as it comes. An answer that isn't whole isn't ended.
pub fn relay(backend: SocketAddr, asked: &Asked, sink: &mut impl Sink) -> io::Result<()> {
    let mut request = Request::new(&asked.method, &asked.target);
    for (name, value) in &asked.fields {
        if !matches!(name.as_str(), "content-length" | "connection" | "te") {
            request = request.header(name, value);
        }
    }
    if !asked.body.is_empty() {
        request = request.body(asked.body.clone());
    }
    let mut client = Client::try_connect(backend)?;
    client.send(&request)?;
    let mut response = client.receive_header()?;
    sink.head(&response)?;
    while !response.complete {
        let more = client.receive_piece(&mut response)?;
        sink.piece(&std::mem::take(&mut response.body))?;
        if !more && !response.complete {
            return Ok(());
        }
    }
    sink.end()
}

/// The request that CGI's variables describe.
pub fn by_variables(variables: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Asked {
    let mut asked = Asked {
        body,
        ..Asked::default()
    };
    for (name, value) in variables {
        let text = || String::from_utf8_lossy(&value).into_owned();
        match name.as_str() {
            "REQUEST_METHOD" => asked.method = text(),
            "REQUEST_URI" => asked.target = text(),
            _ => {
                if let Some(field) = name.strip_prefix("HTTP_") {
                    let field = field.to_lowercase().replace('_', "-");
                    asked.fields.push((field, value));
                }
            }
        }
    }
    asked
}

/// A response's fields as CGI has them, up to the empty line.
pub fn cgi_fields(response: &Response) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in &response.fields {
        if !name.eq_ignore_ascii_case("transfer-encoding")
            && !name.eq_ignore_ascii_case("connection")
        {
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value);
            text.extend_from_slice(b"\r\n");
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}
