//! `ringkv get`: the bytes of a value, and nothing else, on standard output.

use std::ffi::OsString;

use reqwest::Method;
use reqwest::header::ACCEPT;

use crate::failure::Failure;
use crate::gateway::{Effect, Gateway, GatewayArgs};
use crate::output;

/// Flags of `ringkv get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The key: 1 to 4096 bytes, taken as they are.
    pub key: OsString,

    /// Print one JSON object with revision, times, content type and value instead of the bytes.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Reads the key, linearizably.
///
/// # Errors
/// Exit 1 when the key is absent, 3 when no answer could be had.
pub(crate) async fn run(args: GetArgs) -> Result<(), Failure> {
    let gateway = Gateway::new(&args.gateway)?;
    let accept = if args.json { "application/json" } else { "*/*" };
    let request = gateway.on_key(Method::GET, &args.key).header(ACCEPT, accept);
    let reply = gateway
        .send(request, Effect::Read)
        .await
        .map_err(|failure| Failure { json: args.json, ..failure })?;
    output::result(&reply.body)?;
    if args.json { output::result(b"\n") } else { Ok(()) }
}
