//! 10,000 random operations through both gateways against a model.
//!
//! Every worker owns its keys, so its model predicts each answer exactly; the workers run at the
//! same time, so the cluster still handles their operations interleaved. A failed test prints its
//! seed; `RINGKV_SEED` repeats it.

mod model;
mod operations;

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringkv_cluster_tests::{Shape, run};
use tokio::task::JoinSet;

use model::Keys;
use operations::Worker;

const OPERATIONS: usize = 10_000;
const WORKERS: usize = 8;
const SEED_DEFAULT: u64 = 20_261_125;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_operations_match_a_model() -> anyhow::Result<()> {
    let seed = match std::env::var("RINGKV_SEED") {
        Ok(seed) => seed.parse().context("RINGKV_SEED is a number")?,
        Err(_) => SEED_DEFAULT,
    };
    let outcome = run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
            let mut worker = Worker::new(Keys::new(number), gateways.clone(), rng);
            workers.spawn(async move {
                for step in 0..OPERATIONS / WORKERS {
                    worker.step().await.with_context(|| format!("worker {number} step {step}"))?;
                }
                worker.final_check().await
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker.context("join a worker")??;
        }
        Ok(())
    })
    .await;
    outcome.with_context(|| format!("RINGKV_SEED={seed}"))
}
