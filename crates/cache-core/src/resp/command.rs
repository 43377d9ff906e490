//! Commands as they are sent: arrays of bulks.

/// Appends a command to `out`: an array of bulks.
pub fn command(out: &mut Vec<u8>, args: &[&[u8]]) {
    array_header(out, args.len());
    for arg in args {
        bulk_header(out, arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the head of a command of `count` arguments, each to follow as a bulk: for an argument that is
/// written from several pieces without joining them.
pub fn array_header(out: &mut Vec<u8>, count: usize) {
    header(out, b'*', count);
}

/// Appends the head of a bulk of `length` bytes; the bytes and CR LF are to follow.
pub fn bulk_header(out: &mut Vec<u8>, length: usize) {
    header(out, b'$', length);
}

fn header(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}
