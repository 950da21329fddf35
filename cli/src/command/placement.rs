//! `ringkv placement`: placement's own replicas, through the admin listener of any of them.
//!
//! Owns how that listener is reached. Each subcommand is one file.

pub(crate) mod add;
pub(crate) mod list;
pub(crate) mod remove;

use std::time::Duration;

use ringkv_services::v1::placement_admin_client::PlacementAdminClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::admin::AdminArgs;
use crate::failure::{Exit, Failure};
use crate::gateway::chain;

/// A change of placement's leader takes about 2 s, and the call is passed on.
const ANSWER: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(5);

/// Connects.
///
/// # Errors
/// Exit 2 for an invalid address, 3 when no replica answers there.
async fn connect(args: &AdminArgs) -> Result<PlacementAdminClient<Channel>, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{}", args.admin)).map_err(|error| {
        let happened =
            format!("--placement-admin: {:?} is not an address: {}", args.admin, chain(&error));
        Failure::new(Exit::Usage, happened, "use host:port")
    })?;
    let channel = endpoint.connect_timeout(CONNECT).timeout(ANSWER).connect().await;
    let channel = channel.map_err(|error| {
        Failure::new(
            Exit::NotApplied,
            format!("no placement replica answers at {}: {}", args.admin, chain(&error)),
            "run it where placement runs, or set --placement-admin to its --admin-listen",
        )
    })?;
    Ok(PlacementAdminClient::new(channel))
}

/// A change that placement did not make.
fn refused(what: &str, status: &Status) -> Failure {
    match status.code() {
        Code::InvalidArgument => {
            Failure::new(Exit::Usage, format!("{what}: {}", status.message()), "")
        }
        Code::FailedPrecondition => {
            Failure::new(Exit::Negative, format!("{what}: {}", status.message()), "")
        }
        _ => Failure::new(Exit::NotApplied, format!("{what}: {}", status.message()), "retry"),
    }
}
