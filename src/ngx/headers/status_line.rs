//! The status line of a response whose backend has a phrase of its own.

use cache_core::phrase::Phrase;

use super::super::request::Request;
use super::response::{NoMemory, copied};

/// Sets the status line: the digits of `status`, and the phrase. Filters that change the status take it off again, as
/// they do with that of an upstream. HTTP/2 and HTTP/3 have none.
pub fn status_line(r: Request, status: u16, phrase: &Phrase) -> Result<(), NoMemory> {
    let mut line = status.to_string().into_bytes();
    line.extend_from_slice(phrase.rest());
    let line = copied(r, &line)?;
    // SAFETY: live request; the line is in its pool.
    unsafe { r.change(|r| r.headers_out.status_line = line) };
    Ok(())
}
