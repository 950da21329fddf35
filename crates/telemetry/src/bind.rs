//! Binding of listening sockets, with an error that says which setting to change.
//!
//! Services are handed bound sockets, so that a bad address ends the process before anything of
//! it has started, and tests can take a free port first.

use std::net::TcpListener;

use anyhow::Context as _;

/// Binds `address` (`host:port`; port 0 takes a free one), non-blocking as tokio wants it.
///
/// # Errors
/// Names `flag`, the setting the address came from, the address and the cause.
pub fn tcp(flag: &str, address: &str) -> anyhow::Result<TcpListener> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(listener)
    };
    bind().with_context(|| format!("{flag}: cannot listen on {address}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_in_use_is_refused_with_its_flag() {
        let first = super::tcp("--listen", "127.0.0.1:0").unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let error = format!("{:#}", super::tcp("--metrics-listen", &taken).unwrap_err());
        assert!(error.starts_with(&format!("--metrics-listen: cannot listen on {taken}: ")));
    }
}
