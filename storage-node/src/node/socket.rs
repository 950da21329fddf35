//! Connections that can be cut all at once.
//!
//! The server's tasks outlive it as long as their connections do, and a peer's stream never ends.
//! So every connection watches a token; once that is cancelled, it fails as if the peer had closed
//! it. This is how a node that shares its process with other nodes can stop completely.

use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The connections of the socket, each with `TCP_NODELAY`, until `cut`.
///
/// # Errors
/// The socket cannot be handed to the runtime.
pub(super) fn accept(
    listener: &TcpListener,
    cut: CancellationToken,
) -> io::Result<impl Stream<Item = io::Result<Socket>> + Send + 'static> {
    let listener = listener.try_clone()?;
    listener.set_nonblocking(true)?;
    let connections = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener)?);
    Ok(connections.map(move |stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        Ok(Socket { stream, cut: Box::pin(cut.clone().cancelled_owned()) })
    }))
}

/// One connection.
pub(super) struct Socket {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Socket {
    /// Fails once the connection is cut; wakes the task that asked last when it is.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection is always being read from, so this alone notices the cut. Writes ask too,
        // since theirs may be the last task to run.
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }
}

impl Connected for Socket {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cut = CancellationToken::new();
        let mut connections = Box::pin(accept(&listener, cut.clone()).unwrap());
        let _client = TcpStream::connect(address).await.unwrap();
        let mut socket = connections.next().await.unwrap().unwrap();
        let (mut buffer, waiting) = ([0], CancellationToken::new());
        let reading = async {
            waiting.cancel();
            socket.read(&mut buffer).await
        };
        let cutting = async {
            waiting.cancelled().await;
            cut.cancel();
        };
        let (read, ()) = tokio::join!(reading, cutting);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
