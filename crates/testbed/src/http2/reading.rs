//! A socket whose reading the test holds back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Of a slowed-down connection: how long it rests after a read.
const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: usize = 100;

/// How fast a connection reads.
#[derive(Debug, Default)]
pub(super) struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    paused: bool,
    bytes_per_second: Option<usize>,
    reader: Option<Waker>,
}

impl Pace {
    pub(super) fn pause(&self) {
        self.lock().paused = true;
    }

    pub(super) fn resume(&self) {
        let mut state = self.lock();
        state.paused = false;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn slow_down(&self, bytes_per_second: usize) {
        self.lock().bytes_per_second = Some(bytes_per_second);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Paced {
    socket: TcpStream,
    pace: Arc<Pace>,
    /// Until the next read may come.
    rest: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(socket: TcpStream, pace: Arc<Pace>) -> Paced {
        Paced {
            socket,
            pace,
            rest: None,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rate = {
            let mut state = this.pace.lock();
            if state.paused {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.bytes_per_second
        };
        let Some(rate) = rate else {
            return Pin::new(&mut this.socket).poll_read(cx, buffer);
        };
        if let Some(rest) = &mut this.rest {
            std::task::ready!(rest.as_mut().poll(cx));
            this.rest = None;
        }
        let most = (rate / TICKS_PER_SECOND).clamp(1, buffer.remaining().max(1));
        let mut bytes = vec![0; most];
        let mut part = ReadBuf::new(&mut bytes);
        std::task::ready!(Pin::new(&mut this.socket).poll_read(cx, &mut part))?;
        buffer.put_slice(part.filled());
        if !part.filled().is_empty() {
            this.rest = Some(Box::pin(sleep(TICK)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
