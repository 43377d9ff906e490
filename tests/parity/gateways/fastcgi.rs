//! A FastCGI responder, one request a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use testbed::Response;

use super::server::{Asked, Sink, by_variables, cgi_fields};

const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

fn record(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [_, kind, _, _, high, low, padding, _] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let mut content = vec![0; length + usize::from(padding)];
    stream.read_exact(&mut content)?;
    content.truncate(length);
    Ok((kind, content))
}

/// Reads a request.
pub fn receive(stream: &mut TcpStream) -> io::Result<Asked> {
    let (mut params, mut body) = (Vec::new(), Vec::new());
    loop {
        match record(stream)? {
            (PARAMS, content) => params.extend(content),
            (STDIN, content) if content.is_empty() => break,
            (STDIN, content) => body.extend(content),
            _ => {}
        }
    }
    let variables = variables(&params).ok_or(ErrorKind::InvalidData)?;
    Ok(by_variables(variables, body))
}

fn length<'a>(bytes: &mut &'a [u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        *bytes = rest;
        return Some(usize::from(*first));
    }
    let (four, rest): (&'a [u8], _) = bytes.split_at_checked(4)?;
    *bytes = rest;
    let number = u32::from_be_bytes(four.try_into().ok()?) & 0x7fff_ffff;
    usize::try_from(number).ok()
}

fn variables(mut params: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut variables = Vec::new();
    while !params.is_empty() {
        let (name, value) = (length(&mut params)?, length(&mut params)?);
        let (name, rest) = params.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        params = rest;
        variables.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
    }
    Some(variables)
}

/// The way of an answer.
pub struct Out(pub TcpStream);

impl Out {
    fn write(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        for part in content.chunks(60_000) {
            let [high, low] = u16::try_from(part.len()).unwrap_or(0).to_be_bytes();
            let mut record = vec![1, kind, 0, 1, high, low, 0, 0];
            record.extend_from_slice(part);
            self.0.write_all(&record)?;
        }
        Ok(())
    }
}

impl Sink for Out {
    fn head(&mut self, response: &Response) -> io::Result<()> {
        let mut text = format!("Status: {}\r\n", response.status).into_bytes();
        text.extend(cgi_fields(response));
        self.write(STDOUT, &text)
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.write(STDOUT, piece)
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.write_all(&[1, STDOUT, 0, 1, 0, 0, 0, 0])?;
        self.write(END_REQUEST, &[0; 8])
    }
}
