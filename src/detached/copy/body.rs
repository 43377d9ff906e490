//! The client's body, read already: memory is copied, a file is opened once more by `dup`.

use std::ptr;

use ngx::ffi::*;

use super::{alloc, headers};
use crate::ngx::request::Request;
use crate::ngx::{shim, text};

/// Gives the copy a body of its own.
///
/// # Safety
///
/// `client` is live and its body, if it has one, is read; `main` is its copy.
pub unsafe fn copy(client: Request, main: *mut ngx_http_request_t) -> Option<()> {
    // SAFETY: buffers of a body that is read are in memory or in its temporary file.
    unsafe {
        let Some(from) = client.get().request_body.as_ref() else {
            return Some(());
        };
        let m = &mut *main;
        let body = alloc::<ngx_http_request_body_t>(m.pool)?.as_ptr();
        let mut file: Option<*mut ngx_file_t> = None;
        let mut last: *mut *mut ngx_chain_t = &raw mut (*body).bufs;
        let mut total: off_t = 0;
        let mut link = from.bufs;
        while let Some(current) = link.as_ref() {
            link = current.next;
            let buffer = &*current.buf;
            let copy = if buffer.in_file() != 0 {
                if file.is_none() {
                    file = Some(open(m, buffer.file)?);
                }
                let copy = alloc::<ngx_buf_t>(m.pool)?.as_ptr();
                (*copy).set_in_file(1);
                (*copy).file = file?;
                (*copy).file_pos = buffer.file_pos;
                (*copy).file_last = buffer.file_last;
                total += buffer.file_last - buffer.file_pos;
                copy
            } else {
                let length = buffer.last as usize - buffer.pos as usize;
                if length == 0 {
                    // nginx takes an empty buffer for an error
                    continue;
                }
                let copy = ngx_create_temp_buf(m.pool, length);
                let target = copy.as_mut()?;
                ptr::copy_nonoverlapping(buffer.pos, target.pos, length);
                target.last = target.pos.add(length);
                total += length as off_t;
                copy
            };
            let place = ngx_alloc_chain_link(m.pool);
            if place.is_null() {
                return None;
            }
            (*place).buf = copy;
            (*place).next = ptr::null_mut();
            *last = place;
            last = &raw mut (*place).next;
        }
        if let Some(file) = file {
            let temp = alloc::<ngx_temp_file_t>(m.pool)?.as_ptr();
            ptr::copy_nonoverlapping(file, &raw mut (*temp).file, 1);
            (*temp).offset = total;
            (*body).temp_file = temp;
        }
        m.request_body = body;
        if total == 0 && !client.announces_body() {
            return Some(());
        }
        headers::content_length(main, total)?;
        shim::rcs_set_body_known(main, total);
        Some(())
    }
}

/// The client's temporary file, for the copy: the client's descriptor is closed with its request.
unsafe fn open(m: &mut ngx_http_request_t, from: *mut ngx_file_t) -> Option<*mut ngx_file_t> {
    // SAFETY: the file of a live buffer; the descriptor is closed with the copy's pool.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(m.pool, size_of::<ngx_pool_cleanup_file_t>());
        let file = alloc::<ngx_file_t>(m.pool)?.as_ptr();
        let name = text::copy(m.pool, text::bytes(&(*from).name))?;
        if cleanup.is_null() {
            return None;
        }
        let fd = libc::fcntl((*from).fd, libc::F_DUPFD_CLOEXEC, 0);
        if fd < 0 {
            return None;
        }
        let data = (*cleanup).data.cast::<ngx_pool_cleanup_file_t>();
        (*data).fd = fd;
        (*data).name = name.data;
        (*data).log = (*m.pool).log;
        (*cleanup).handler = Some(ngx_pool_cleanup_file);
        (*file).fd = fd;
        (*file).name = name;
        (*file).log = (*m.connection).log;
        Some(file)
    }
}
