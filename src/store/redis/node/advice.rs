//! What an operator is told of a server that works, but will not for long.

use std::rc::Rc;

use cache_core::info;
use cache_core::resp::{Limits, Reply};
use ngx::ffi::NGX_LOG_WARN;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::Node;
use crate::store::background;

/// A reply to INFO has a few kilobytes.
const LIMITS: Limits = Limits {
    bulk: 64 << 10,
    line: 8 << 10,
    elements: 16,
    depth: 1,
};

/// Warns of a server that refuses writes once it is full. Servers that don't let us ask say nothing.
pub fn warn_of_no_eviction(node: &Rc<Node>) {
    let Ok(waiting) = node.ask(&[b"INFO", b"memory"], LIMITS) else {
        return;
    };
    let node = Rc::clone(node);
    background::spawn(async move {
        if let Ok(Reply::Bulk(Some(text))) = waiting.await
            && info::refuses_when_full(&text)
        {
            let (name, server) = (&node.config.shown, &node.server.text);
            ngx_log_error!(
                NGX_LOG_WARN,
                ngx_cycle_log().as_ptr(),
                "redis store \"{name}\" ({server}) has \"maxmemory-policy noeviction\": once it is full \
                 nothing more is stored; set it to \"allkeys-lru\" or the like"
            );
        }
    });
}
