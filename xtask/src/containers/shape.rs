//! Checks of how the containers run and how they exit.

use anyhow::ensure;

use super::cluster::{Cluster, SERVICES};

/// Every container: a numeric user that is not root, a read-only root file system, no capability.
pub(super) fn check(cluster: &Cluster) -> anyhow::Result<()> {
    for service in SERVICES {
        let facts = cluster.inspect(service)?;
        let user = facts["Config"]["User"].as_str().unwrap_or_default();
        let id: u32 = user.split(':').next().unwrap_or_default().parse().unwrap_or(0);
        ensure!(id != 0, "{service} runs as user {user:?}");
        ensure!(facts["HostConfig"]["ReadonlyRootfs"] == true, "{service} can write its root");
        ensure!(facts["HostConfig"]["CapDrop"][0] == "ALL", "{service} keeps capabilities");
        let health = facts["Config"]["Healthcheck"]["Test"][0].as_str().unwrap_or_default();
        ensure!(health == "CMD", "{service} has a health check that needs a shell");
    }
    Ok(())
}

/// The start of the gateways has started every ringkv service and no other.
pub(super) fn check_services(cluster: &Cluster) -> anyhow::Result<()> {
    let mut started = cluster.services()?;
    let mut ours = SERVICES.to_vec();
    started.sort();
    ours.sort_unstable();
    ensure!(started == ours, "started: {}", started.join(", "));
    Ok(())
}

/// Every container exited with code 0 when stopped, without a kill.
pub(super) fn check_clean_exits(cluster: &Cluster) -> anyhow::Result<()> {
    for service in SERVICES {
        let state = cluster.inspect(service)?["State"].clone();
        ensure!(state["Running"] == false, "{service} still runs");
        ensure!(state["ExitCode"] == 0, "{service} ended with {}", state["ExitCode"]);
    }
    Ok(())
}
