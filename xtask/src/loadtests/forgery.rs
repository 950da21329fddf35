//! A proxy between k6 and a gateway that replaces some bytes of the requests by others of the same
//! length. This turns a correct gateway into one that breaks its promises.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::http::find;

const READ_BYTES: usize = 64 << 10;

/// A running proxy. Dropping it closes all its connections.
pub(super) struct Forger {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forger {
    /// Starts to forward to the gateway, and replaces each `genuine` in requests by `forged`.
    ///
    /// # Errors
    /// The two differ in length, or no port is free.
    pub(super) fn start(gateway: SocketAddr, genuine: &str, forged: &str) -> anyhow::Result<Self> {
        ensure!(genuine.len() == forged.len(), "a forgery keeps the length");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start a runtime")?;
        let bound = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.context("bind a free port")?;
        let address = listener.local_addr().context("read a free port")?;
        let (stop, stopped) = oneshot::channel();
        let words = (genuine.to_owned(), forged.to_owned());
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, gateway, words) => {}
                    // A message and a closed channel both mean the end.
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the proxy has already failed its run.
            thread.join().ok();
        }
    }
}

async fn accept(listener: TcpListener, gateway: SocketAddr, words: (String, String)) {
    while let Ok((client, _)) = listener.accept().await {
        let words = words.clone();
        tokio::spawn(async move {
            // k6 reports a broken connection.
            forward(client, gateway, words).await.ok();
        });
    }
}

/// Forwards both directions of one connection until either ends.
async fn forward(
    client: TcpStream,
    gateway: SocketAddr,
    (genuine, forged): (String, String),
) -> std::io::Result<()> {
    let server = TcpStream::connect(gateway).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        // k6 sends the head of a request in one piece, so `genuine` is never split.
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return std::io::Result::Ok(());
            }
            forge(&mut buffer[..read], genuine.as_bytes(), forged.as_bytes());
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        ended = requests => ended,
        ended = tokio::io::copy(&mut from_server, &mut to_client) => ended.map(|_| ()),
    }
}

fn forge(bytes: &mut [u8], genuine: &[u8], forged: &[u8]) {
    let mut start = 0;
    while let Some(at) = find(&bytes[start..], genuine) {
        let from = start + at;
        start = from + genuine.len();
        bytes[from..start].copy_from_slice(forged);
    }
}

#[cfg(test)]
mod tests {
    use super::forge;

    #[test]
    fn every_occurrence_is_forged_and_nothing_else() {
        let mut bytes = *b"GET a\r\nIf: 1\r\n\r\nGET b\r\nIf: 2\r\n\r\nI";
        forge(&mut bytes, b"If: ", b"Xf: ");
        assert_eq!(&bytes, b"GET a\r\nXf: 1\r\n\r\nGET b\r\nXf: 2\r\n\r\nI");
    }
}
