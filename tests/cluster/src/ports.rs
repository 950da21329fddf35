//! Ports for processes that are started, killed and restarted on the same address.
//!
//! All are below the kernel's ephemeral range (from 32,768 by default): the kernel could use an
//! ephemeral port as the source port of an outgoing connection while its owner is down, and the
//! restarted process could then not listen on it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use anyhow::Context;
use rand::Rng;

const RANGE: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS_MAX: usize = 200;

/// The ports that this process has returned, so that none is returned twice before its owner
/// listens on it.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A loopback port without a listener, which this function returns only once.
///
/// # Errors
/// No free port was found.
pub fn free_port() -> anyhow::Result<u16> {
    let mut given = GIVEN.lock().expect("no holder of this lock can panic");
    (0..ATTEMPTS_MAX)
        .map(|_| rand::rng().random_range(RANGE))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok() && given.insert(*port))
        .context("find a free loopback port")
}
