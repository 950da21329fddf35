//! The load generator: a closed loop over keep-alive connections on one thread, the same for every
//! store. Every response is checked. A wrong one ends the run: the speed of wrong responses means
//! nothing.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::LocalSet;

use super::latency::Latencies;
use super::store::{Operation, Store};
use crate::http::Connection;

/// The work of one run.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) operation: Operation,
    pub(crate) connections: usize,
    pub(crate) keys: usize,
    pub(crate) value_bytes: usize,
    pub(crate) seed: u64,
}

/// The result of one run.
pub(crate) struct Outcome {
    pub(crate) latencies: Latencies,
    /// From the first request to the last response.
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

/// How a run chooses its keys, and when it ends.
#[derive(Clone, Copy)]
enum Pace {
    /// Each key once, divided among the connections.
    Once,
    /// Uniformly at random until this time.
    Until(Instant),
}

/// The requests of one run, built before it so that the generator only sends them.
struct Requests {
    bytes: Vec<Vec<u8>>,
    value: Vec<u8>,
}

/// Writes each key once.
pub(crate) fn fill(store: &dyn Store, load: Load) -> anyhow::Result<Outcome> {
    drive(store, Load { operation: Operation::Put, ..load }, Pace::Once)
}

/// Runs the load for this long.
pub(crate) fn run(store: &dyn Store, load: Load, length: Duration) -> anyhow::Result<Outcome> {
    drive(store, load, Pace::Until(Instant::now() + length))
}

fn drive(store: &dyn Store, load: Load, pace: Pace) -> anyhow::Result<Outcome> {
    // One value for all keys: its content makes no difference to either store.
    let value: Vec<u8> = (0..load.value_bytes).map(|i| b'a' + (i % 26) as u8).collect();
    let bytes =
        (0..load.keys).map(|key| store.request(load.operation, &name(key), &value)).collect();
    let requests = Rc::new(Requests { bytes, value });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the generator")?;
    let started = Instant::now();
    let latencies =
        LocalSet::new().block_on(&runtime, connections(store, load, pace, &requests))?;
    Ok(Outcome { latencies, took: started.elapsed() })
}

async fn connections(
    store: &dyn Store,
    load: Load,
    pace: Pace,
    requests: &Rc<Requests>,
) -> anyhow::Result<Latencies> {
    let tasks: Vec<_> = (0..load.connections)
        .map(|index| {
            let worker = Worker { index, load, pace, requests: Rc::clone(requests) };
            tokio::task::spawn_local(worker.run(store.address()))
        })
        .collect();
    let mut all = Latencies::default();
    for task in tasks {
        all.merge(task.await.context("join a connection")??);
    }
    check_last(store, load, requests).await?;
    Ok(all)
}

/// Reads one key back and compares its value, to detect a store that acknowledges without storing.
async fn check_last(store: &dyn Store, load: Load, requests: &Requests) -> anyhow::Result<()> {
    let mut connection = Connection::open(store.address()).await?;
    let request = store.request(Operation::Get, &name(load.keys / 2), &[]);
    let response = connection.call(&request).await?;
    ensure!(response.status == 200, "GET returned {} after the run", response.status);
    ensure!(
        store.carries(response.body, &requests.value),
        "a key has a value other than the one written"
    );
    Ok(())
}

struct Worker {
    index: usize,
    load: Load,
    pace: Pace,
    requests: Rc<Requests>,
}

impl Worker {
    async fn run(self, address: SocketAddr) -> anyhow::Result<Latencies> {
        let mut connection = Connection::open(address).await?;
        let mut random = SmallRng::seed_from_u64(self.load.seed.wrapping_add(self.index as u64));
        let mut latencies = Latencies::default();
        let mut next = self.index;
        loop {
            let key = match self.pace {
                Pace::Once if next >= self.load.keys => return Ok(latencies),
                Pace::Until(end) if Instant::now() >= end => return Ok(latencies),
                Pace::Once => next,
                Pace::Until(_) => random.random_range(0..self.load.keys),
            };
            next += self.load.connections;
            let sent = Instant::now();
            let response = connection.call(&self.requests.bytes[key]).await?;
            latencies.record(sent.elapsed());
            let status = response.status;
            if !matches!(status, 200 | 201 | 204) {
                let body = String::from_utf8_lossy(response.body).into_owned();
                anyhow::bail!("{} returned {status}: {body}", self.load.operation.name());
            }
        }
    }
}

/// The key with this number; all are 16 bytes long.
fn name(key: usize) -> String {
    format!("bench-{key:010}")
}
