//! One connection of the backend: requests in, answers out.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use socket2::SockRef;

use super::answer::{Answer, End, Framing, Gate, Pause};
use super::{Received, Shared};
use crate::http::{Body, Reader};

const PIECE: usize = 64 * 1024;

/// Serves a connection until either side ends it.
pub(super) fn serve(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream.try_clone()?);
    while let Some(request) = receive(&mut reader)? {
        let wants_close = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
            || request.version == "HTTP/1.0";
        let is_head = request.method == "HEAD";
        let (answer, _under_way) = shared.answer(request);
        if !send(&stream, &answer, is_head, wants_close, &shared.closing)? || wants_close {
            break;
        }
    }
    Ok(())
}

/// Reads a request with its body; `None` at the end of the connection.
pub(crate) fn receive(reader: &mut Reader) -> io::Result<Option<Received>> {
    let Some((line, fields)) = reader.head()? else {
        return Ok(None);
    };
    let mut words = line.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let mut request = Received {
        method: word(),
        target: word(),
        version: word(),
        fields,
        body: Vec::new(),
        at: Instant::now(),
    };
    let mut rest = Body::of(&request.fields, Body::Done);
    while rest.read(reader, &mut request.body)? {}
    match rest {
        Body::Cut => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(Some(request)),
    }
}

/// Sends `answer`; `false` if the connection can't be used again.
fn send(
    mut stream: &TcpStream,
    answer: &Answer,
    head: bool,
    close: bool,
    closing: &Gate,
) -> io::Result<bool> {
    for (name, value) in &answer.hints {
        stream
            .write_all(format!("HTTP/1.1 103 Early Hints\r\n{name}: {value}\r\n\r\n").as_bytes())?;
    }
    closing.wait(answer.delay);
    if let Some(gate) = &answer.gate {
        pass(gate, closing);
    }
    if answer.end == End::Reset(None) {
        reset(stream)?;
        return Ok(false);
    }
    let bodiless = head || answer.status == 204 || answer.status == 304;
    stream.write_all(&header(answer, close))?;
    if bodiless {
        return Ok(answer.framing != Framing::Close);
    }
    let stop = match answer.end {
        End::Whole | End::Reset(None) | End::Endless(_) => answer.body.len(),
        End::Cut(at) | End::Hang(at) | End::Reset(Some(at)) => at.min(answer.body.len()),
    };
    let mut sent = 0;
    let mut pauses = answer.pauses.clone();
    while sent < stop || !pauses.is_empty() {
        let next_pause = pauses
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| *at >= sent)
            .min()
            .unwrap_or(stop);
        let end = stop.min(sent + PIECE).min(next_pause.max(sent));
        write_piece(stream, &answer.body[sent..end], answer.framing)?;
        sent = end;
        pauses.retain(|(at, pause)| {
            if *at == sent {
                hold(pause, closing);
            }
            *at > sent && *at <= stop
        });
    }
    match answer.end {
        End::Hang(_) => {
            pass(&Gate::new(), closing);
            return Ok(false);
        }
        End::Reset(_) => {
            reset(stream)?;
            return Ok(false);
        }
        End::Cut(_) => return Ok(false),
        End::Endless(pause) => {
            while !closing.wait(pause) {
                write_piece(stream, &answer.body, answer.framing)?;
            }
            return Ok(false);
        }
        End::Whole => {}
    }
    if answer.framing == Framing::Chunked {
        let mut end = b"0\r\n".to_vec();
        for (name, value) in &answer.trailers {
            end.extend_from_slice(format!("{name}: ").as_bytes());
            end.extend_from_slice(value);
            end.extend_from_slice(b"\r\n");
        }
        end.extend_from_slice(b"\r\n");
        stream.write_all(&end)?;
    }
    Ok(answer.framing != Framing::Close)
}

fn write_piece(mut stream: &TcpStream, piece: &[u8], framing: Framing) -> io::Result<()> {
    if piece.is_empty() {
        return Ok(());
    }
    if framing != Framing::Chunked {
        return stream.write_all(piece);
    }
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    stream.write_all(&chunk)
}

fn header(answer: &Answer, close: bool) -> Vec<u8> {
    let rest = match &answer.reason {
        Some(rest) => rest.clone(),
        None => format!(" {}", reason(answer.status)),
    };
    let mut head = format!("HTTP/1.1 {}{rest}\r\n", answer.status).into_bytes();
    let given = |name: &str| {
        answer
            .fields
            .iter()
            .any(|(field, _)| field.eq_ignore_ascii_case(name))
    };
    let mut add = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    if !given("date") {
        add("Date", http_date(SystemTime::now()).as_bytes());
    }
    if !given("server") {
        add("Server", b"testbed");
    }
    for (name, value) in &answer.fields {
        add(name, value);
    }
    match answer.framing {
        Framing::Chunked => add("Transfer-Encoding", b"chunked"),
        Framing::Length
            if !given("content-length") && answer.status != 204 && answer.status != 304 =>
        {
            add("Content-Length", answer.body.len().to_string().as_bytes());
        }
        Framing::Length | Framing::Close => {}
    }
    if (close || answer.framing == Framing::Close) && !given("connection") {
        add("Connection", b"close");
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn hold(pause: &Pause, closing: &Gate) {
    match pause {
        Pause::For(time) => {
            closing.wait(*time);
        }
        Pause::Until(gate) => pass(gate, closing),
    }
}

/// Waits until `gate` is open, or the backend is being stopped.
fn pass(gate: &Gate, closing: &Gate) {
    while !gate.wait(Duration::from_millis(20)) && !closing.is_open() {}
}

fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Whatever",
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(crate) fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days, counted in eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize]);
    format!(
        "{weekday}, {day:02} {month} {year} {:02}:{:02}:{:02} GMT",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_rfc_9110() {
        let at = |seconds| http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(at(1_735_689_599), "Tue, 31 Dec 2024 23:59:59 GMT");
    }
}
