//! The probe of bit fields: whether generated accessors touch the bits that C does.
//!
//! Those of `ngx_http_request_t` go through the shim, because bindgen has laid them out wrongly for
//! some versions of nginx. That it does so for no other structure is checked once, before the
//! configuration is read: a module that was built wrong doesn't start.

use std::mem::zeroed;

use ngx::ffi::*;

use super::shim;

/// Whether every bit lies where C has it.
pub fn agree() -> bool {
    // SAFETY: all zeroes are valid values of these plain structures; the shim only compares.
    unsafe {
        let mut connection: ngx_connection_t = zeroed();
        connection.set_buffered(0x10);
        connection.set_log_error(3);
        connection.set_timedout(1);
        connection.set_error(1);
        connection.set_close(1);
        connection.set_shared(1);
        connection.set_tcp_nodelay(2);
        connection.set_tcp_nopush(2);

        let mut event: ngx_event_t = zeroed();
        event.set_write(1);
        event.set_active(1);
        event.set_ready(1);
        event.set_eof(1);
        event.set_pending_eof(1);
        event.set_timedout(1);
        event.set_timer_set(1);
        event.set_delayed(1);
        event.set_posted(1);
        event.set_channel(1);
        event.set_cancelable(1);

        let mut buf: ngx_buf_t = zeroed();
        buf.set_memory(1);
        buf.set_in_file(1);
        buf.set_recycled(1);
        buf.set_flush(1);
        buf.set_sync(1);
        buf.set_last_buf(1);
        buf.set_last_in_chain(1);

        let mut file: ngx_file_t = zeroed();
        file.set_directio(1);

        let mut value: ngx_http_variable_value_t = zeroed();
        value.set_len(5);
        value.set_valid(1);
        value.set_no_cacheable(1);
        value.set_not_found(1);

        let mut url: ngx_url_t = zeroed();
        url.set_no_resolve(1);

        shim::rcs_bits_agree(&connection, &event, &buf, &file, &value, &url) == 1
    }
}
