//! The client side of HTTP/1.1 as far as the chores need it: one keep-alive connection, one request
//! out, one response read whole (by length or in chunks), no allocation once warm.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No response that is read here is larger.
const RESPONSE_BYTES_MAX: usize = 4 << 20;

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One response: its status, and where its body is in the connection's buffer.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// For a chunked response the raw chunks, with their sizes between them.
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends one request and reads its response.
    ///
    /// # Errors
    /// When the connection breaks or the response is no HTTP/1.1: the connection is of no more use.
    pub(crate) async fn call(&mut self, request: &[u8]) -> anyhow::Result<Response<'_>> {
        self.stream.write_all(request).await.context("send a request")?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.context("read a response")?;
            ensure!(read > 0, "the server closed the connection");
            ensure!(self.buffer.len() <= RESPONSE_BYTES_MAX, "a response without an end");
            if let Some((status, body)) = parse(&self.buffer)? {
                return Ok(Response { status, body: &self.buffer[body..] });
            }
        }
    }
}

/// Sends one request on a connection of its own and gives the status and the body, within a limit
/// of time.
///
/// # Errors
/// When there is no whole response in time.
pub(crate) fn call_once(
    address: SocketAddr,
    request: &[u8],
    limit: Duration,
) -> anyhow::Result<(u16, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let call = async {
        let mut connection = Connection::open(address).await?;
        let response = connection.call(request).await?;
        Ok((response.status, response.body.to_vec()))
    };
    runtime.block_on(async {
        let answer = tokio::time::timeout(limit, call).await;
        answer.with_context(|| format!("no answer from {address} in {} s", limit.as_secs()))?
    })
}

/// The status and the start of the body, once the whole response is there.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("read a response head")?;
    let body = end + 4;
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let Some(status) = status_line.strip_prefix("HTTP/1.1 ").and_then(|s| s.get(..3)) else {
        bail!("not a response: {status_line}");
    };
    let status = status.parse().context("read a status")?;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.trim().parse().context("read a content length")?;
            return Ok((bytes.len() >= body + length).then_some((status, body)));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(bytes[body..].ends_with(b"0\r\n\r\n").then_some((status, body)));
        }
    }
    // A response such as 204 has no body and no length.
    Ok(Some((status, body)))
}

pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_response_is_whole_only_with_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert!(parse(&whole[..whole.len() - 1]).unwrap().is_none());
        assert_eq!(parse(whole).unwrap(), Some((200, whole.len() - 3)));
    }

    #[test]
    fn a_chunked_response_ends_with_the_empty_chunk() {
        let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert!(parse(&whole[..whole.len() - 5]).unwrap().is_none());
        assert_eq!(parse(whole).unwrap().map(|(status, _)| status), Some(200));
    }

    #[test]
    fn a_response_without_a_body_ends_with_its_head() {
        assert!(parse(b"HTTP/1.1 204 No Content\r\nKV-Revision: 1\r\n\r\n").unwrap().is_some());
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
    }
}
