//! A uwsgi server: a packet of variables in, an HTTP response without chunks out.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

use super::server::{Asked, by_variables};

/// Reads a request.
pub fn receive(stream: &mut TcpStream) -> io::Result<Asked> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let [_, low, high, _] = head;
    let mut packet = vec![0; usize::from(u16::from_le_bytes([low, high]))];
    stream.read_exact(&mut packet)?;
    let variables = variables(&packet).ok_or(ErrorKind::InvalidData)?;
    let length = variables.iter().find(|(name, _)| name == "CONTENT_LENGTH");
    let length = length.and_then(|(_, value)| String::from_utf8_lossy(value).parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(by_variables(variables, body))
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_at_checked(2)?;
    let length = usize::from(u16::from_le_bytes(length.try_into().ok()?));
    let (string, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(string)
}

fn variables(mut packet: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut variables = Vec::new();
    while !packet.is_empty() {
        let (name, value) = (string(&mut packet)?, string(&mut packet)?);
        variables.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
    }
    Some(variables)
}
