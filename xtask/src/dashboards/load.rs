//! A bounded load of every kind of request, so that each series changes: reads of present and of
//! absent keys, writes of several sizes, deletes, and conditions that fail. Some carry a sampled
//! trace.
//!
//! Slow on purpose: it produces data for the boards and does not measure speed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::http::Connection;

const CONNECTIONS: u64 = 8;
const KEYS: u32 = 2000;
const VALUE_BYTES_MAX: usize = 8 << 10;
/// The mean pause between two requests of a connection, over a wave.
const PAUSE: Duration = Duration::from_millis(30);
/// The period in which the load rises and falls, so that graphs have a shape.
const WAVE: Duration = Duration::from_secs(120);
/// One request in this many asks for a trace.
const TRACED: u32 = 4;

/// A running load. [`Load::stop`] returns its result.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Load {
    pub(crate) fn start(gateway: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Self { stop, thread: std::thread::spawn(move || drive(gateway, &seen)) }
    }

    /// Ends the load and returns the number of requests.
    ///
    /// # Errors
    /// A connection broke, or a request got a response that a healthy cluster does not send.
    pub(crate) fn stop(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
    }
}

fn drive(gateway: SocketAddr, stop: &Arc<AtomicBool>) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the load")?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|seed| tokio::spawn(connection(gateway, seed, Arc::clone(stop))))
            .collect();
        let mut sent = 0;
        for task in tasks {
            sent += task.await.context("join a connection of the load")??;
        }
        Ok(sent)
    })
}

async fn connection(gateway: SocketAddr, seed: u64, stop: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut connection = Connection::open(gateway).await?;
    let started = Instant::now();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = request(&mut random);
        let response = connection.call(&request).await?;
        let status = response.status;
        ensure!(
            matches!(status, 200 | 201 | 204 | 404 | 412),
            "a request of the load got {status}: {}",
            String::from_utf8_lossy(response.body),
        );
        sent += 1;
        let wave =
            (started.elapsed().as_secs_f64() / WAVE.as_secs_f64() * std::f64::consts::TAU).sin();
        let pause = PAUSE.mul_f64((1.0 - 0.6 * wave) * random.random_range(0.5..1.5));
        tokio::time::sleep(pause).await;
    }
    Ok(sent)
}

fn request(random: &mut SmallRng) -> Vec<u8> {
    let key = random.random_range(0..KEYS);
    let mut extra = String::new();
    if random.random_range(0..TRACED) == 0 {
        let (trace, span) = (random.random::<u128>() | 1, random.random::<u64>() | 1);
        extra.push_str(&format!("traceparent: 00-{trace:032x}-{span:016x}-01\r\n"));
    }
    let (method, value) = match random.random_range(0..100) {
        0..60 => ("GET", None),
        60..65 => ("DELETE", None),
        65..70 => {
            extra.push_str("If-Match: \"1\"\r\n");
            ("PUT", Some(value(random)))
        }
        _ => ("PUT", Some(value(random))),
    };
    if let Some(value) = &value {
        extra.push_str(&format!("Content-Length: {}\r\n", value.len()));
    }
    let head = format!("{method} /kv/board-{key:05} HTTP/1.1\r\nHost: ringkv\r\n{extra}\r\n");
    [head.into_bytes(), value.unwrap_or_default()].concat()
}

fn value(random: &mut SmallRng) -> Vec<u8> {
    vec![b'v'; random.random_range(1..VALUE_BYTES_MAX)]
}
