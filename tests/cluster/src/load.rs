//! Writers that run during a fault, and the check of the acknowledgements they received.
//!
//! Every worker writes one value after the other: alternately to a new key, and to a register of
//! its own that only increases. A lost write is an acknowledged write that is missing afterwards,
//! or a register below its last acknowledged value. Several gateways are used in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::http::Gateway;
use crate::wait;

/// The number of concurrent writers: enough that every group almost always has a write in
/// progress.
const WORKERS: usize = 16;
/// The pause after a failed write, so that a worker does not spin on a stopped gateway.
const PAUSE: Duration = Duration::from_millis(20);
/// The number of concurrent readers of the final check.
const READERS: usize = 16;
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// A write that was not acknowledged.
#[derive(Debug)]
pub struct Shortfall {
    pub key: String,
    /// The gateway's answer, or the reason why there was none.
    pub answer: String,
}

/// The observations of the writers.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// Acknowledged writes of new keys, with their values.
    pub acknowledged: BTreeMap<String, String>,
    /// Per register: the last acknowledged value and the last attempted one.
    pub registers: BTreeMap<String, (u64, u64)>,
    pub shortfalls: Vec<Shortfall>,
    /// The duration of the slowest acknowledged write.
    pub slowest: Duration,
}

impl LoadReport {
    fn merge(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.registers.extend(other.registers);
        self.shortfalls.extend(other.shortfalls);
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// Running writers. Dropping it stops them.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    workers: JoinSet<LoadReport>,
}

impl Load {
    /// Starts the writers; all their keys start with `name`.
    pub fn start(name: &str, gateways: &[Gateway]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let worker = Worker {
                prefix: format!("{name}/{number}"),
                gateways: gateways.to_vec(),
                stop: Arc::clone(&stop),
                acknowledged: Arc::clone(&acknowledged),
                report: LoadReport::default(),
            };
            workers.spawn(worker.run());
        }
        Self { stop, acknowledged, workers }
    }

    /// Waits until `count` more writes have been acknowledged since the call.
    ///
    /// # Errors
    /// They were not acknowledged within `deadline`.
    pub async fn progress(&self, count: usize, deadline: Duration) -> anyhow::Result<()> {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        wait::until("progress of the load", deadline, async || {
            self.acknowledged.load(Ordering::Relaxed) >= goal
        })
        .await
    }

    /// Lets every writer complete its write and returns their observations.
    ///
    /// # Errors
    /// A writer panicked.
    pub async fn stop(mut self) -> anyhow::Result<LoadReport> {
        self.stop.store(true, Ordering::Relaxed);
        let mut report = LoadReport::default();
        while let Some(worker) = self.workers.join_next().await {
            report.merge(worker.context("join a writer")?);
        }
        Ok(report)
    }
}

struct Worker {
    prefix: String,
    gateways: Vec<Gateway>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    report: LoadReport,
}

impl Worker {
    async fn run(mut self) -> LoadReport {
        let register = format!("{}/register", self.prefix);
        let gateways = self.gateways.clone();
        for (number, gateway) in (1..).zip(gateways.iter().cycle()) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("{}/{number}", self.prefix);
            let value = format!("value of {key}");
            if self.write(gateway, &key, value.clone()).await {
                self.report.acknowledged.insert(key, value);
            }
            self.report.registers.entry(register.clone()).or_default().1 = number;
            if self.write(gateway, &register, number.to_string()).await {
                self.report.registers.entry(register.clone()).or_default().0 = number;
            }
        }
        self.report
    }

    /// Whether the write was acknowledged.
    async fn write(&mut self, gateway: &Gateway, key: &str, value: String) -> bool {
        let start = Instant::now();
        let answer = match gateway.put(key.as_bytes(), value).await {
            Ok(answer) if answer.is_success() => {
                self.report.slowest = self.report.slowest.max(start.elapsed());
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Ok(answer) => answer.shown(),
            Err(error) => format!("{error:#}"),
        };
        self.report.shortfalls.push(Shortfall { key: key.to_owned(), answer });
        tokio::time::sleep(PAUSE).await;
        false
    }
}

impl LoadReport {
    /// Reads back every acknowledged write, each key through one of the gateways.
    ///
    /// # Errors
    /// Names the first write that was lost, or a key that cannot be read.
    pub async fn check(&self, gateways: &[Gateway]) -> anyhow::Result<()> {
        ensure!(!self.acknowledged.is_empty(), "the load wrote nothing");
        let expected: Vec<(String, String)> =
            self.acknowledged.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut readers = JoinSet::new();
        for (number, chunk) in expected.chunks(expected.len().div_ceil(READERS)).enumerate() {
            let (chunk, gateway) = (chunk.to_vec(), gateways[number % gateways.len()].clone());
            readers.spawn(async move {
                for (key, value) in &chunk {
                    let found = read(&gateway, key).await?;
                    ensure!(found.as_ref() == Some(value), "{key}: lost write, found {found:?}");
                }
                Ok(())
            });
        }
        while let Some(reader) = readers.join_next().await {
            reader.context("join a reader")??;
        }
        for (key, (acknowledged, tried)) in &self.registers {
            let found = read(&gateways[0], key).await?.unwrap_or_default();
            let found: u64 = if found.is_empty() { 0 } else { found.parse()? };
            ensure!(
                (*acknowledged..=*tried).contains(&found),
                "{key}: acknowledged up to {acknowledged}, tried up to {tried}, found {found}"
            );
        }
        Ok(())
    }
}

/// The value of a key; retries while a gateway is not ready.
async fn read(gateway: &Gateway, key: &str) -> anyhow::Result<Option<String>> {
    let end = Instant::now() + READ_DEADLINE;
    loop {
        let refused = match gateway.get(key.as_bytes()).await {
            Ok(answer) if answer.status == 404 => return Ok(None),
            Ok(answer) if answer.status == 200 => {
                return Ok(Some(String::from_utf8(answer.body.to_vec())?));
            }
            Ok(answer) => answer.shown(),
            Err(error) => format!("{error:#}"),
        };
        ensure!(Instant::now() < end, "{key} cannot be read: {refused}");
        tokio::time::sleep(PAUSE).await;
    }
}
