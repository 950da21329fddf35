//! The part of an HTTP/1.1 client that the tasks need. A keep-alive connection sends one request
//! and reads one whole response (by length or in chunks), without allocation after the first
//! responses. For rare requests there is a call that opens a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The largest response that is read here.
const RESPONSE_BYTES_MAX: usize = 4 << 20;

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One response: its status, and the range of its body in the connection's buffer.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// For a chunked response: the raw chunks, with their sizes between them.
    pub(crate) body: &'a [u8],
    is_chunked: bool,
}

impl Response<'_> {
    /// The body without the sizes of its chunks.
    fn whole(&self) -> Vec<u8> {
        if self.is_chunked { join_chunks(self.body) } else { self.body.to_vec() }
    }
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
    /// The connection breaks or the response is not HTTP/1.1: the connection is unusable.
    pub(crate) async fn call(&mut self, request: &[u8]) -> anyhow::Result<Response<'_>> {
        self.stream.write_all(request).await.context("send a request")?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.context("read a response")?;
            ensure!(read > 0, "the server closed the connection");
            ensure!(self.buffer.len() <= RESPONSE_BYTES_MAX, "a response without an end");
            if let Some(Head { status, body, is_chunked }) = parse(&self.buffer)? {
                return Ok(Response { status, body: &self.buffer[body..], is_chunked });
            }
        }
    }
}

/// Sends one request on a new connection and returns the status and the body, within a time limit.
///
/// # Errors
/// There is no whole response in time.
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
        Ok((response.status, response.whole()))
    };
    runtime.block_on(async {
        let answer = tokio::time::timeout(limit, call).await;
        answer.with_context(|| format!("no answer from {address} in {} s", limit.as_secs()))?
    })
}

/// The parsed head of a response.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// The offset of the body.
    body: usize,
    is_chunked: bool,
}

/// The head of the response, when the whole response has arrived.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).context("read a response head")?;
    let body = end + 4;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let Some(status) = status_line.strip_prefix("HTTP/1.1 ").and_then(|s| s.get(..3)) else {
        bail!("not a response: {status_line}");
    };
    let status = status.parse().context("read a status")?;
    let head = |is_chunked| Head { status, body, is_chunked };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.trim().parse().context("read a content length")?;
            return Ok((bytes.len() >= body + length).then(|| head(false)));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(bytes[body..].ends_with(b"0\r\n\r\n").then(|| head(true)));
        }
    }
    // A response such as 204 has no body and no length.
    Ok(Some(head(false)))
}

/// The content of the chunks, up to the empty one or the first malformed one.
fn join_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(bytes.len());
    while let Some(end) = find(bytes, b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let start = end + 2;
        let Some(chunk) = bytes.get(start..start + size).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        joined.extend_from_slice(chunk);
        bytes = bytes.get(start + size + 2..).unwrap_or_default();
    }
    joined
}

/// Percent-encodes text for the query part of a URL: all but unreserved characters.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::{Head, join_chunks, parse, percent_encode};

    #[test]
    fn a_response_is_whole_only_with_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert!(parse(&whole[..whole.len() - 1]).unwrap().is_none());
        let head = Head { status: 200, body: whole.len() - 3, is_chunked: false };
        assert_eq!(parse(whole).unwrap(), Some(head));
    }

    #[test]
    fn a_chunked_response_ends_with_the_empty_chunk() {
        let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert!(parse(&whole[..whole.len() - 5]).unwrap().is_none());
        assert!(parse(whole).unwrap().is_some_and(|head| head.is_chunked));
    }

    #[test]
    fn chunks_are_joined_without_their_sizes() {
        assert_eq!(
            join_chunks(b"5\r\nhe\r\nl\r\nA\r\n0123456789\r\n0\r\n\r\n"),
            b"he\r\nl0123456789"
        );
        assert_eq!(join_chunks(b"5\r\nhel"), b"");
    }

    #[test]
    fn a_query_is_encoded_byte_by_byte() {
        assert_eq!(percent_encode("a{b=\"é\"}"), "a%7Bb%3D%22%C3%A9%22%7D");
    }

    #[test]
    fn a_response_without_a_body_ends_with_its_head() {
        assert!(parse(b"HTTP/1.1 204 No Content\r\nKV-Revision: 1\r\n\r\n").unwrap().is_some());
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
    }
}
