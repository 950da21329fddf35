//! Ports of this machine: free ones to listen on, and which program holds one that is taken.
//!
//! Owns the promise that no port is returned twice by one process. Ends no program.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

use anyhow::{Context as _, bail};
use rand::Rng as _;

const PORTS: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS_MAX: usize = 200;
/// How `/proc/net/tcp` writes the state of a socket that listens.
const LISTEN: &str = "0A";

/// A loopback address that is free at the time of the call and that this process returns only once.
///
/// Its port is below the kernel's ephemeral range (from 32,768 by default): while its listener is
/// not running, the kernel could use an ephemeral port as the source of any connection.
///
/// # Errors
/// When no free port is found.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    free(Ipv4Addr::LOCALHOST)
}

/// Like `free_address`, a port that is free on every address of this machine.
///
/// # Errors
/// When no free port is found.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(free(Ipv4Addr::UNSPECIFIED)?.port())
}

fn free(host: Ipv4Addr) -> anyhow::Result<SocketAddr> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().expect("no holder of this lock can panic");
    (0..ATTEMPTS_MAX)
        .map(|_| SocketAddr::from((host, rand::rng().random_range(PORTS))))
        .find(|address| TcpListener::bind(address).is_ok() && given.insert(address.port()))
        .context("find a free port")
}

/// Checks that nothing listens on a port that has to be this very one.
///
/// # Errors
/// When it is taken; names the program and its process id.
pub(crate) fn ensure_free(port: u16) -> anyhow::Result<()> {
    let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else { return Ok(()) };
    match holder(port) {
        Some(holder) => bail!("port {port} is needed and {holder} listens on it"),
        None => Err(error).with_context(|| format!("port {port} is needed")),
    }
}

/// Who listens on a port: `NAME (process ID)`, as far as this user may see it.
fn holder(port: u16) -> Option<String> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .concat();
    let Listener { user, inode } = listener(&sockets, port)?;
    let Some((process, name)) = owner(&inode) else {
        return Some(format!("a program of user {user} (root can see which)"));
    };
    let hint = match name.as_str() {
        // Docker's own program, for a container.
        "docker-proxy" => format!("; docker ps --filter publish={port} shows its container"),
        _ => String::new(),
    };
    Some(format!("{name} (process {process}{hint})"))
}

#[derive(Debug, PartialEq)]
struct Listener {
    user: String,
    inode: String,
}

/// The socket that listens on the port, from lines of `/proc/net/tcp`.
fn listener(sockets: &str, port: u16) -> Option<Listener> {
    let local = format!(":{port:04X}");
    sockets.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, address, _, state, _, _, _, user, _, inode, ..] = fields.as_slice() else {
            return None;
        };
        let found = address.ends_with(&local) && *state == LISTEN;
        found.then(|| Listener { user: (*user).to_owned(), inode: (*inode).to_owned() })
    })
}

/// The process that has the socket open, and its name.
fn owner(inode: &str) -> Option<(u32, String)> {
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Ok(id) = process.file_name().to_string_lossy().parse() else { continue };
        // Not readable for processes of other users.
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let has_it = files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|path| path.as_os_str() == &*socket));
        if has_it {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((id, name.trim().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::{Listener, ensure_free, listener};

    #[test]
    fn the_program_that_holds_a_port_is_named() {
        let held = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("bind any port");
        let port = held.local_addr().expect("a bound port").port();
        let error = ensure_free(port).expect_err("the port is held").to_string();
        let me = format!("(process {}) listens on it", std::process::id());
        assert!(error.starts_with(&format!("port {port} is needed and ")), "{error}");
        assert!(error.ends_with(&me), "{error}");
        drop(held);
        ensure_free(port).expect("the port is free again");
    }

    #[test]
    fn a_connection_from_the_port_is_not_its_listener() {
        let sockets = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000  1000        0 11 1\n\
             1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 12 1\n";
        let found = Listener { user: "999".to_owned(), inode: "12".to_owned() };
        assert_eq!(listener(sockets, 8080), Some(found));
        assert_eq!(listener(sockets, 8081), None);
    }
}
