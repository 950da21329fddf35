//! `ringkv del`: one delete, conditional if asked.

use std::ffi::OsString;

use reqwest::Method;

use crate::command::write::{WriteArgs, WriteReply};
use crate::failure::Failure;
use crate::gateway::{Effect, Gateway, GatewayArgs};

/// Flags of `ringkv del`.
#[derive(Debug, clap::Args)]
pub(crate) struct DelArgs {
    /// The key: 1 to 4096 bytes, taken as they are.
    pub key: OsString,

    #[command(flatten)]
    pub write: WriteArgs,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Deletes the key.
///
/// # Errors
/// Exit 1 when the key is absent or the precondition does not hold, 3 when certainly not applied,
/// 4 when unknown.
pub(crate) async fn run(args: DelArgs) -> Result<(), Failure> {
    let json = args.write.json;
    delete(args).await.map_err(|failure| Failure { json, ..failure })
}

async fn delete(args: DelArgs) -> Result<(), Failure> {
    let gateway = Gateway::new(&args.gateway)?;
    let request = args.write.apply(gateway.on_key(Method::DELETE, &args.key));
    let reply = gateway.send(request, Effect::Write).await?;
    WriteReply { word: "deleted", reply }.print(&args.write)
}
