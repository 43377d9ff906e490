//! What both ends of an HTTP/1.1 connection need: reading heads and bodies, byte by byte as they come.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

/// Header fields in the order they came, values as bytes.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// The values of field `name`, in any case.
pub(crate) fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a [u8]> {
    let named = fields
        .iter()
        .filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_slice()).collect()
}

/// A stream with a buffer in front.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: TcpStream,
    buffer: VecDeque<u8>,
    /// The fields behind the last body that came in chunks.
    pub(crate) trailers: Fields,
}

impl Reader {
    pub(crate) fn new(stream: TcpStream) -> Reader {
        Reader {
            stream,
            buffer: VecDeque::new(),
            trailers: Fields::new(),
        }
    }

    /// Waits for the next bytes; `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 65536];
        let count = loop {
            match self.stream.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.buffer.extend(&bytes[..count]);
        Ok(count > 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// A line without its end; `None` at the end of the stream.
    pub(crate) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = 0;
        loop {
            if let Some(at) = self
                .buffer
                .iter()
                .skip(seen)
                .position(|&byte| byte == b'\n')
            {
                let mut line: Vec<u8> = self.buffer.drain(..=seen + at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(line));
            }
            seen = self.buffer.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// A first line and header fields up to the empty line; `None` at the end of the stream.
    pub(crate) fn head(&mut self) -> io::Result<Option<(String, Fields)>> {
        let Some(first) = self.line()? else {
            return Ok(None);
        };
        Ok(Some((
            String::from_utf8_lossy(&first).into_owned(),
            self.fields()?,
        )))
    }

    fn fields(&mut self) -> io::Result<Fields> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?.ok_or(ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(fields);
            }
            fields.push(field(&line)?);
        }
    }

    /// Takes up to `most` bytes; none at the end of the stream.
    fn take(&mut self, most: usize) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() && !self.fill()? {
            return Ok(Vec::new());
        }
        let count = most.min(self.buffer.len());
        Ok(self.buffer.drain(..count).collect())
    }
}

/// How a body ends, and how much of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing is left.
    Done,
    /// Content-Length.
    Length(usize),
    /// Chunked: what is left of this chunk.
    Chunked(usize),
    /// With the connection.
    Close,
    /// The connection ended before the body did.
    Cut,
}

impl Body {
    /// As the header says; without a word in it, `otherwise`.
    pub(crate) fn of(fields: &Fields, otherwise: Body) -> Body {
        let chunked = values(fields, "transfer-encoding")
            .iter()
            .any(|value| value.eq_ignore_ascii_case(b"chunked"));
        if chunked {
            return Body::Chunked(0);
        }
        let length = values(fields, "content-length")
            .first()
            .map(|value| String::from_utf8_lossy(value).into_owned());
        match length.and_then(|length| length.parse().ok()) {
            Some(0) => Body::Done,
            Some(length) => Body::Length(length),
            None => otherwise,
        }
    }

    /// Reads the next piece onto `body`; `false` once nothing follows.
    pub(crate) fn read(&mut self, reader: &mut Reader, body: &mut Vec<u8>) -> io::Result<bool> {
        match *self {
            Body::Done | Body::Cut => return Ok(false),
            Body::Close => {
                let piece = reader.take(usize::MAX)?;
                if piece.is_empty() {
                    *self = Body::Done;
                }
                body.extend_from_slice(&piece);
            }
            Body::Length(left) => {
                let piece = reader.take(left)?;
                *self = match left - piece.len() {
                    0 => Body::Done,
                    left if !piece.is_empty() => Body::Length(left),
                    _ => Body::Cut,
                };
                body.extend_from_slice(&piece);
            }
            Body::Chunked(0) => *self = next_chunk(reader)?,
            Body::Chunked(left) => {
                let piece = reader.take(left)?;
                *self = if piece.is_empty() {
                    Body::Cut
                } else {
                    Body::Chunked(left - piece.len())
                };
                body.extend_from_slice(&piece);
                if *self == Body::Chunked(0) && reader.line()?.is_none() {
                    *self = Body::Cut;
                }
            }
        }
        Ok(!matches!(self, Body::Done | Body::Cut))
    }
}

fn field(line: &[u8]) -> io::Result<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':');
    let colon = colon.ok_or(ErrorKind::InvalidData)?;
    let name = String::from_utf8_lossy(&line[..colon]).into_owned();
    Ok((name, line[colon + 1..].trim_ascii().to_vec()))
}

fn next_chunk(reader: &mut Reader) -> io::Result<Body> {
    let Some(line) = reader.line()? else {
        return Ok(Body::Cut);
    };
    let digits = String::from_utf8_lossy(&line);
    let digits = digits.split(';').next().unwrap_or_default().trim();
    match usize::from_str_radix(digits, 16) {
        Ok(0) => {
            reader.trailers.clear();
            while let Some(line) = reader.line()?.filter(|line| !line.is_empty()) {
                reader.trailers.push(field(&line)?);
            }
            Ok(Body::Done)
        }
        Ok(size) => Ok(Body::Chunked(size)),
        Err(_) => Err(ErrorKind::InvalidData.into()),
    }
}
