//! Dates in the header of a response. Many responses share one, so the last is remembered.

use std::cell::Cell;

use cache_core::http_date;
use ngx::ffi::*;

use super::super::request::Request;
use super::response::{NoMemory, push_known};

thread_local! {
    /// The last date that was printed, and how. Those who share a record share it.
    static PRINTED: Cell<(u64, [u8; 29])> = Cell::new((0, http_date::print(0)));
    /// The last date that was parsed, and what it is.
    static PARSED: Cell<([u8; 29], libc::time_t)> = const { Cell::new(([0; 29], -1)) };
}

/// Gives the response this Date, in unix seconds, in place of nginx's own.
pub fn date(r: Request, date: u64) -> Result<(), NoMemory> {
    let (mut known, mut printed) = PRINTED.get();
    if known != date {
        (known, printed) = (date, http_date::print(date));
        PRINTED.set((known, printed));
    }
    let line = push_known(r, b"Date", &printed)?;
    // SAFETY: live request.
    unsafe { r.change(|r| r.headers_out.date = line) };
    Ok(())
}

/// nginx's `ngx_parse_http_time`
pub(super) fn parse_time(value: &[u8]) -> libc::time_t {
    // SAFETY: the value is a readable string of that length.
    let parse = || unsafe { ngx_parse_http_time(value.as_ptr().cast_mut(), value.len()) };
    let Ok(value) = <[u8; 29]>::try_from(value) else {
        return parse();
    };
    let (known, time) = PARSED.get();
    if known == value {
        return time;
    }
    let time = parse();
    PARSED.set((value, time));
    time
}
