//! Proves that the check on which other tests rely can fail.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Method;
use ringkv_cluster_tests::{Load, PathForm, Shape, run, send};

#[tokio::test(flavor = "multi_thread")]
async fn check_of_the_load_finds_a_missing_key_and_a_register_set_back() -> anyhow::Result<()> {
    run(Shape { nodes: 1, replication_factor: 1, ..Shape::default() }, async |cluster| {
        let gateways = cluster.clients()?;
        let load = Load::start("load", &gateways);
        load.progress(200, Duration::from_secs(20)).await?;
        let report = load.stop().await?;
        report.check(&gateways).await?;

        let (key, value) = report.acknowledged.first_key_value().context("a written key")?;
        let delete = gateways[0].on_key(Method::DELETE, key.as_bytes(), PathForm::Path);
        send(delete).await?.expect(204)?;
        ensure!(report.check(&gateways).await.is_err(), "a missing key was not found");
        gateways[0].put(key.as_bytes(), value.clone()).await?.expect(201)?;
        report.check(&gateways).await?;

        let register = report.registers.keys().next().context("a register")?;
        gateways[0].put(register.as_bytes(), "0").await?.expect(204)?;
        ensure!(report.check(&gateways).await.is_err(), "an old register was not found");
        Ok(())
    })
    .await
}
