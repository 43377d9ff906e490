//! An SCGI server: a netstring of variables and a body in, a CGI response out.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use testbed::Response;

use super::server::{Asked, Sink, by_variables, cgi_fields};

/// Reads a request.
pub fn receive(stream: &mut TcpStream) -> io::Result<Asked> {
    let mut variables = vec![0; length(stream)?];
    stream.read_exact(&mut variables)?;
    let mut comma = [0];
    stream.read_exact(&mut comma)?;
    let words = variables.split(|byte| *byte == 0);
    let words: Vec<Vec<u8>> = words.map(<[u8]>::to_vec).collect();
    let (pairs, rest) = words.as_chunks::<2>();
    // The protocol asks for it, and for it in the first place.
    let [first, ..] = pairs else {
        return Err(ErrorKind::InvalidData.into());
    };
    if first[0] != b"CONTENT_LENGTH" || comma != *b"," || rest != [b""] {
        return Err(ErrorKind::InvalidData.into());
    }
    let bytes = String::from_utf8_lossy(&first[1]).parse();
    let mut body = vec![0; bytes.map_err(|_| ErrorKind::InvalidData)?];
    stream.read_exact(&mut body)?;
    let pair = |[name, value]: &[Vec<u8>; 2]| {
        let name = String::from_utf8_lossy(name).into_owned();
        (name, value.clone())
    };
    Ok(by_variables(pairs.iter().map(pair).collect(), body))
}

/// The number before the netstring.
fn length(stream: &mut TcpStream) -> io::Result<usize> {
    let mut digits = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        match byte {
            [b':'] => return digits.parse().map_err(io::Error::other),
            [digit] => digits.push(char::from(digit)),
        }
    }
}

/// The way of an answer. The connection's end is its end.
pub struct Out(pub TcpStream);

impl Sink for Out {
    fn head(&mut self, response: &Response) -> io::Result<()> {
        let mut text = format!("Status: {} Whatever\r\n", response.status).into_bytes();
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
