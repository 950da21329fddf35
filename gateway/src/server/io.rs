//! A socket with two timeouts that hyper does not have: from accept until the client has sent
//! enough to identify its protocol, and how long a client may leave an answer unread.
//!
//! After either, the next operation fails and the connection ends. A socket that is served in time
//! never touches a timer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// The length of the HTTP/2 preface: with as much, the protocol is known and hyper's own timers
/// take over.
const OPENING_BYTES: usize = 24;

pub(super) struct GuardedIo {
    stream: TcpStream,
    opening: Option<Opening>,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

struct Opening {
    read: usize,
    deadline: Pin<Box<Sleep>>,
}

impl GuardedIo {
    pub(super) fn new(stream: TcpStream, opening: Duration, write_timeout: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(opening));
        let opening = Some(Opening { read: 0, deadline });
        Self { stream, opening, write_timeout, stalled: None }
    }

    /// Bounds how long a write may wait.
    fn guard<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(opening) = &mut self.opening else { return polled };
        if polled.is_pending() {
            return opening
                .deadline
                .as_mut()
                .poll(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        opening.read += buffer.filled().len() - before;
        if opening.read >= OPENING_BYTES {
            self.opening = None;
        }
        polled
    }
}

impl AsyncWrite for GuardedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.guard(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.guard(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.guard(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.guard(cx, polled)
    }
}
