//! `ringkv placement remove`: takes a replica of placement out for good.

use ringkv_proto::v1::RemoveReplicaRequest;

use crate::admin::AdminArgs;
use crate::command::placement::{connect, refused};
use crate::failure::Failure;
use crate::output;

/// Flags of `ringkv placement remove`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlacementRemoveArgs {
    /// The replica: its id as `ringkv placement list` shows it, or its address.
    #[arg(value_name = "ID|ADDRESS")]
    pub replica: String,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Removes the replica; one that leads hands over first.
///
/// # Errors
/// Exit 1 when placement refuses, 3 when it does not answer.
pub(crate) async fn run(args: PlacementRemoveArgs) -> Result<(), Failure> {
    let mut client = connect(&args.admin).await?;
    let request = match args.replica.parse() {
        Ok(replica) => RemoveReplicaRequest { replica, ..Default::default() },
        Err(_) => RemoveReplicaRequest { address: args.replica.clone(), ..Default::default() },
    };
    let what = format!("cannot remove {}", args.replica);
    client.remove_replica(request).await.map_err(|status| refused(&what, &status))?;
    output::remark(&format!(
        "{} leaves placement; stop its process once `ringkv placement list` no longer shows it",
        args.replica
    ));
    Ok(())
}
