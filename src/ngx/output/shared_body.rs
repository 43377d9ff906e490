//! Bodies of records that clients haven't read to the end: equal ones are in memory once, and what is too much for the
//! worker's memory waits in temporary files, as nginx keeps what an upstream has sent.

use std::cell::RefCell;

use ngx::ffi::*;

use super::super::request::{OK, Request};
use super::Body;

/// Bodies up to this many bytes don't count: nginx's own buffers for the response of an upstream are as large.
const SMALL: usize = 64 << 10;

/// Bytes of larger bodies that wait in the memory of one worker. One body may be longer.
const LIMIT: usize = 32 << 20;

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

#[derive(Default)]
struct Kept {
    bodies: Vec<Known>,
    total: usize,
}

struct Known {
    body: Body,
    responses: usize,
}

/// Whether a body of so many bytes counts toward the limit.
pub fn is_large(length: usize) -> bool {
    length > SMALL
}

/// A body in memory, for one response.
pub struct SharedBody {
    body: Body,
}

impl SharedBody {
    /// Takes a large body, or the same one that another response has. What doesn't fit into memory comes back.
    ///
    /// # Errors
    ///
    /// The body, if it is too much.
    pub fn of(body: Body) -> Result<SharedBody, Body> {
        KEPT.with_borrow_mut(|kept| {
            if let Some(same) = kept.bodies.iter_mut().find(|known| known.body.is(&body)) {
                same.responses += 1;
                return Ok(SharedBody {
                    body: same.body.clone(),
                });
            }
            if kept.total > 0 && kept.total + body.len() > LIMIT {
                return Err(body);
            }
            kept.total += body.len();
            kept.bodies.push(Known {
                body: body.clone(),
                responses: 1,
            });
            Ok(SharedBody { body })
        })
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }
}

impl Drop for SharedBody {
    fn drop(&mut self) {
        // At the worker's exit it may be gone.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let Some(index) = kept
                .bodies
                .iter()
                .position(|known| known.body.lies_with(&self.body))
            else {
                return;
            };
            if let Some(known) = kept.bodies.get_mut(index) {
                known.responses -= 1;
                if known.responses == 0 {
                    kept.total -= self.body.len();
                    kept.bodies.swap_remove(index);
                }
            }
        });
    }
}

/// Puts a body into a temporary file of the request, which is gone with it: in the folder that its location has for
/// bodies of clients. `None` if that fails; nginx has said why.
pub fn into_file(r: Request, body: &Body) -> Option<*mut ngx_file_t> {
    let path = r.core_loc_conf()?.client_body_temp_path;
    // SAFETY: the request and its pool are live; a file without a descriptor is what nginx begins with.
    unsafe {
        let file = ngx_pcalloc(r.pool(), size_of::<ngx_file_t>()).cast::<ngx_file_t>();
        if file.is_null() {
            return None;
        }
        (*file).fd = -1;
        (*file).log = r.log();
        if ngx_create_temp_file(file, path, r.pool(), 0, 0, 0o600) != OK {
            return None;
        }
        for piece in body.pieces() {
            // nginx counts in the file how far it is written.
            let written =
                ngx_write_file(file, piece.as_ptr().cast_mut(), piece.len(), (*file).offset);
            if usize::try_from(written) != Ok(piece.len()) {
                return None;
            }
        }
        Some(file)
    }
}
