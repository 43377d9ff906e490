//! An SCGI server: a netstring of variables and a body in, a CGI response out.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

use super::server::{Asked, by_variables};

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
