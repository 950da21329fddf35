//! `ringkv put`: one write, conditional if asked.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};

use crate::command::write::{WriteArgs, WriteReply};
use crate::failure::{Applied, Exit, Failure};
use crate::gateway::{Effect, Gateway, GatewayArgs};

/// Flags of `ringkv put`.
#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    /// The key: 1 to 4096 bytes, taken as they are.
    pub key: OsString,

    /// The value; `-` reads it from standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub value: Option<OsString>,

    /// Read the value from a file.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Media type; stored with the value and returned with it.
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,

    /// Write only if the key is absent.
    #[arg(long, conflicts_with = "if_match")]
    pub if_absent: bool,

    #[command(flatten)]
    pub write: WriteArgs,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Writes the value.
///
/// # Errors
/// Exit 1 when the precondition does not hold, 3 when certainly not applied, 4 when unknown.
pub(crate) async fn run(args: PutArgs) -> Result<(), Failure> {
    let json = args.write.json;
    put(args).await.map_err(|failure| Failure { json, ..failure })
}

async fn put(args: PutArgs) -> Result<(), Failure> {
    let value = value(args.value, args.file)?;
    let gateway = Gateway::new(&args.gateway)?;
    let mut request = args.write.apply(gateway.on_key(Method::PUT, &args.key)).body(value);
    if args.if_absent {
        request = request.header("if-none-match", "*");
    }
    if let Some(content_type) = &args.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    let reply = gateway.send(request, Effect::Write).await?;
    let word = if reply.status == StatusCode::CREATED { "created" } else { "replaced" };
    WriteReply { word, reply }.print(&args.write)
}

fn value(argument: Option<OsString>, file: Option<PathBuf>) -> Result<Vec<u8>, Failure> {
    let read = match (argument, file) {
        (_, Some(path)) => std::fs::read(&path)
            .map_err(|error| (format!("cannot read {}: {error}", path.display()), "--file")),
        (Some(argument), None) if argument == "-" => {
            let mut value = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut value)
                .map(|_| value)
                .map_err(|error| (format!("cannot read standard input: {error}"), "the value"))
        }
        (argument, None) => Ok(argument.unwrap_or_default().into_vec()),
    };
    read.map_err(|(happened, what)| {
        Failure::new(Exit::Usage, happened, format!("check {what}")).applied(Applied::No)
    })
}
