//! How a connection sends: all commands of a turn of the event loop at once, as far as the server takes them.

use super::end::End;
use super::{Connection, State};
use crate::ngx::event::now_msec;

impl Connection {
    /// Sends what there is, as far as it goes.
    pub fn flush(&self) {
        let output = match self.state.get() {
            State::Connecting | State::Closed => return,
            State::Greeting => &self.greeting,
            State::Established => {
                self.lookups.borrow_mut().sent(now_msec());
                &self.output
            }
        };
        loop {
            let sent = {
                let mut output = output.borrow_mut();
                let limit = output.sendable();
                let sent = self.peer.send(output.pieces());
                sent.map(|n| {
                    output.advance(n);
                    (n, n == limit, output.len() == 0)
                })
            };
            match sent {
                Ok((_, _, true)) => return self.unblock(),
                Ok((n, false, false)) => return self.block(n),
                Ok((_, true, false)) => {}
                Err(error) => return self.end(End::of(&error)),
            }
        }
    }

    /// The server takes no more for now.
    pub fn block(&self, sent: usize) {
        let timeout = self.config.send_timeout;
        if !self.blocked.replace(true) {
            self.writing.restart();
            self.peer.arm_write(timeout);
        } else if sent > 0 {
            self.writing.moved(sent);
            if self.writing.is_over(timeout) {
                return self.too_slow("sending a command took too long");
            }
            self.peer.arm_write(timeout);
        }
        if sent > 0 {
            // It reads, so it is alive; its reply can't come before it has the whole command.
            self.reading.restart();
            self.await_reply();
        }
    }

    pub fn unblock(&self) {
        if self.blocked.replace(false) {
            self.peer.disarm_write();
            self.reading.restart();
            self.await_reply();
        }
    }

    pub fn on_write_timer(&self) {
        if self.state.get() == State::Connecting {
            self.connect_elsewhere(if self.peer.is_in_handshake() {
                "the TLS handshake timed out; if the server speaks no TLS at this port, use its \"tls-port\", or take \"tls\" out"
            } else {
                "connecting timed out"
            });
        } else if self.blocked.get() {
            self.too_slow("sending a command timed out");
        }
    }
}
