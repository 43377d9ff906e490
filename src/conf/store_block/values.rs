//! What lines of a `redis_cache_store` block have for values.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ngx::ffi::*;

use crate::conf::reader::{Directive, Fault, SetResult};
use crate::ngx::text;

/// Most bytes of a password in a file, as in nginx's `ssl_password_file`.
const PASSWORD: usize = 4096;

/// The value of a line that takes one.
pub fn single(line: &Directive, store: &str) -> Result<String, Fault> {
    if line.words().len() == 2 {
        return Ok(line.text(1));
    }
    let word = line.text(0);
    Err(Fault::Text(format!(
        "\"{word}\" of store \"{store}\" takes one value"
    )))
}

/// Sets a value that may be set once in a block.
pub fn once<T>(place: &mut Option<T>, value: T, line: &Directive, store: &str) -> SetResult {
    if place.is_some() {
        let word = line.text(0);
        return Err(Fault::Text(format!(
            "duplicate \"{word}\" in store \"{store}\""
        )));
    }
    *place = Some(value);
    Ok(())
}

/// A time in milliseconds, longer than 0.
pub fn timeout(line: &Directive, store: &str) -> Result<u64, Fault> {
    let (word, value) = (line.text(0), single(line, store)?);
    let millis = line.millis(1).ok().filter(|ms| *ms > 0);
    millis.ok_or_else(|| {
        Fault::Text(format!(
            "invalid time \"{value}\" in \"{word}\" of store \"{store}\"; use a time such as 200ms"
        ))
    })
}

/// A number within bounds.
pub fn number<T>(line: &Directive, store: &str, bounds: RangeInclusive<T>) -> Result<T, Fault>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let value = single(line, store)?.parse().ok();
    value.filter(|n| bounds.contains(n)).ok_or_else(|| {
        let (word, least, most) = (line.text(0), bounds.start(), bounds.end());
        Fault::Text(format!(
            "\"{word}\" of store \"{store}\" must be between {least} and {most}"
        ))
    })
}

/// A password as it stands, or the first line of a file: `file:/path`, relative to the configuration's directory.
pub fn secret(line: &Directive, store: &str) -> Result<String, Fault> {
    let value = single(line, store)?;
    let Some(path) = value.strip_prefix("file:") else {
        return Ok(value);
    };
    first_line(line.as_ptr(), path).map_err(|reason| {
        let word = line.text(0);
        Fault::Text(format!(
            "\"{word}\" of store \"{store}\" can't be read: {reason}"
        ))
    })
}

/// The name of a file that can be read, relative to the configuration's directory.
pub fn file(line: &Directive, store: &str) -> Result<String, Fault> {
    let name = single(line, store)?;
    let readable = full_path(line.as_ptr(), &name).and_then(|path| {
        let file = fs::File::open(&path);
        file.map_err(|error| format!("\"{path}\": {error}"))
    });
    match readable {
        Ok(_) => Ok(name),
        Err(reason) => {
            let word = line.text(0);
            Err(Fault::Text(format!(
                "\"{word}\" of store \"{store}\" can't be read: {reason}"
            )))
        }
    }
}

fn full_path(cf: *mut ngx_conf_t, path: &str) -> Result<String, String> {
    // SAFETY: nginx replaces the string by a full path in the configuration's pool.
    unsafe {
        let mut name = text::copy((*cf).pool, path.as_bytes()).ok_or("no memory")?;
        if ngx_conf_full_name((*cf).cycle, &mut name, 1) != NGX_OK as isize {
            return Err(String::from("no memory"));
        }
        Ok(String::from_utf8_lossy(text::bytes(&name)).into_owned())
    }
}

fn first_line(cf: *mut ngx_conf_t, path: &str) -> Result<String, String> {
    let path = full_path(cf, path)?;
    let fault = |reason: String| format!("\"{path}\": {reason}");
    let file = fs::File::open(&path).map_err(|error| fault(error.to_string()))?;
    let mut content = Vec::new();
    // Whatever the name leads to may be endless. Two more are its end of line.
    let most = file.take(PASSWORD as u64 + 2);
    let read = BufReader::new(most).read_until(b'\n', &mut content);
    read.map_err(|error| fault(error.to_string()))?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(fault(String::from("its first line is empty")));
    }
    if line.len() > PASSWORD {
        let reason = format!("its first line is longer than {PASSWORD} bytes");
        return Err(fault(reason));
    }
    String::from_utf8(line.to_vec())
        .map_err(|_| fault(String::from("its first line is no valid UTF-8")))
}
