//! `ringkv placement list`: placement's own replicas, as their leader sees them.

use ringkv_proto::v1::{ListReplicasRequest, PlacementGroup, PlacementReplica, ReplicaRole};

use crate::admin::AdminArgs;
use crate::command::placement::{connect, refused};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::topology_view::table;

/// Flags of `ringkv placement list`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlacementListArgs {
    /// Print placement's replicas as one JSON object.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Shows one line a replica.
///
/// # Errors
/// Exit 3 when no replica answers.
pub(crate) async fn run(args: PlacementListArgs) -> Result<(), Failure> {
    let json = args.json;
    list(args).await.map_err(|failure| Failure { json, ..failure })
}

async fn list(args: PlacementListArgs) -> Result<(), Failure> {
    let mut client = connect(&args.admin).await?;
    let reply = client.list_replicas(ListReplicasRequest {}).await;
    let reply = reply.map_err(|status| refused("cannot list placement's replicas", &status))?;
    let Some(group) = reply.into_inner().group else {
        let happened = "the placement replica has an empty data directory";
        return Err(Failure::new(Exit::NotApplied, happened, "its /readyz says for whom it waits"));
    };
    if args.json {
        return output::result_line(&as_json(&group).to_string());
    }
    output::result(text(&group).as_bytes())
}

fn text(group: &PlacementGroup) -> String {
    let mut rows =
        vec![["REPLICA", "NUMBER", "ADDRESS", "ROLE", "LEADER", "LAG", "ALIVE"].map(str::to_owned)];
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    rows.extend(group.replicas.iter().map(|replica| {
        [
            replica.id.to_string(),
            replica.place.to_string(),
            replica.address.clone(),
            role(replica).to_owned(),
            yes(replica.id == group.leader),
            replica.lag_entries.to_string(),
            yes(replica.alive),
        ]
    }));
    let mut text = table(&rows);
    for address in &group.invited {
        text.push_str(&format!("waiting for a process with an empty directory at {address}\n"));
    }
    if group.leader == 0 {
        text.push_str("no leader is known: who is alive is not known either\n");
    }
    for recovery in &group.recoveries {
        let nodes: Vec<_> = recovery.nodes.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            "recovered by {} at {} s since 1970 from nodes {}, epoch {} to {}\n",
            recovery.by,
            recovery.at_s,
            nodes.join(" "),
            recovery.epoch_found,
            recovery.epoch
        ));
    }
    text
}

fn as_json(group: &PlacementGroup) -> serde_json::Value {
    let replica = |replica: &PlacementReplica| {
        serde_json::json!({
            "id": replica.id,
            "number": replica.place,
            "address": replica.address,
            "role": role(replica),
            "leader": replica.id == group.leader,
            "lag_entries": replica.lag_entries,
            "alive": replica.alive,
        })
    };
    serde_json::json!({
        "cluster": group.cluster.to_string(),
        "replicas": group.replicas.iter().map(replica).collect::<Vec<_>>(),
        "invited": group.invited,
        "recoveries": group.recoveries.len(),
    })
}

fn role(replica: &PlacementReplica) -> &'static str {
    match replica.role() {
        ReplicaRole::Voter => "voter",
        ReplicaRole::Learner => "learner",
        ReplicaRole::Leaving => "leaving",
        ReplicaRole::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_a_line_and_an_expected_one_is_named() {
        let mut replica = PlacementReplica {
            id: 4,
            place: 2,
            address: "p2:7000".into(),
            lag_entries: 3,
            alive: true,
            ..Default::default()
        };
        replica.set_role(ReplicaRole::Learner);
        let group = PlacementGroup {
            leader: 1,
            replicas: vec![replica],
            invited: vec!["p4:7000".into()],
            ..Default::default()
        };
        assert_eq!(
            text(&group),
            "REPLICA  NUMBER  ADDRESS  ROLE     LEADER  LAG  ALIVE\n\
             4        2       p2:7000  learner  no      3    yes\n\
             waiting for a process with an empty directory at p4:7000\n"
        );
    }
}
