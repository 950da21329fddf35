//! `ringkv placement add`: lets one more process become a replica of placement.

use ringkv_proto::v1::AddReplicaRequest;

use crate::admin::AdminArgs;
use crate::command::placement::{connect, refused};
use crate::failure::Failure;
use crate::output;

/// Flags of `ringkv placement add`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlacementAddArgs {
    /// The new process's --advertise address, host:port.
    pub address: String,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Adds the address to those that may join.
///
/// # Errors
/// Exit 1 when placement refuses, 3 when it does not answer.
pub(crate) async fn run(args: PlacementAddArgs) -> Result<(), Failure> {
    let mut client = connect(&args.admin).await?;
    let request = AddReplicaRequest { address: args.address.clone() };
    let what = format!("cannot add {}", args.address);
    client.add_replica(request).await.map_err(|status| refused(&what, &status))?;
    output::remark(&format!(
        "{} may join: start it with an empty --data-dir, a number of its own, and --peers that \
         names it and the others",
        args.address
    ));
    Ok(())
}
