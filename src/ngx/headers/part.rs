//! Makes of the header of a whole response that of a part of it, as nginx's range filter does.

use std::ptr;

use ngx::ffi::*;

use super::super::request::Request;
use super::known::{MediaType, set_content_type};
use super::response::{NoMemory, copied, push_known};

/// What the header of a part says beside that of the whole.
#[derive(Clone, Debug)]
pub struct Part {
    /// 206 or 416.
    pub status: u16,
    /// Bytes of the response's body.
    pub length: u64,
    /// That of several parts.
    pub content_type: Option<Vec<u8>>,
    /// That of a single part, and of none.
    pub content_range: Option<Vec<u8>>,
}

impl Part {
    /// Whether the filters leave the body of a response alone, and its status at 200, so that a part can be cut out of it.
    pub fn suits(r: Request) -> bool {
        let out = &r.get().headers_out;
        out.status == NGX_HTTP_OK as ngx_uint_t && out.content_length_n >= 0 && r.allows_ranges()
    }

    /// Gives a response this header in place of that of the whole.
    pub fn apply(&self, r: Request) -> Result<(), NoMemory> {
        // SAFETY: live request; null or one of its lines.
        unsafe {
            r.change(|r| {
                let out = &mut r.headers_out;
                out.status = usize::from(self.status);
                out.status_line.len = 0;
                out.content_length_n = i64::try_from(self.length).unwrap_or(-1);
                if let Some(line) = out.content_length.as_mut() {
                    line.hash = 0;
                }
                out.content_length = ptr::null_mut();
            });
        }
        if let Some(kind) = &self.content_type {
            set_content_type(r, copied(r, kind)?, &MediaType::of(kind));
        }
        if let Some(range) = &self.content_range {
            let line = push_known(r, b"Content-Range", range)?;
            // SAFETY: live request; the line is one of its header.
            unsafe { r.change(|r| r.headers_out.content_range = line) };
        }
        Ok(())
    }
}
