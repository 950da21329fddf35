//! What `put` and `del` share: the conditions of a write and how its result is shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;

use crate::failure::Failure;
use crate::gateway::Reply;
use crate::output;

/// Flags of every write.
#[derive(Debug, clap::Args)]
pub(crate) struct WriteArgs {
    /// Write only if the key is at this revision.
    #[arg(long, value_name = "REVISION")]
    pub if_match: Option<u64>,

    /// Print the value that was there before: raw bytes, or in the JSON with --json.
    #[arg(long)]
    pub previous: bool,

    /// Makes it safe to repeat this command: it applies at most once, and a repetition gets the
    /// first result. The cluster remembers the id for about an hour.
    #[arg(long, value_name = "ID")]
    pub idempotency_key: Option<String>,

    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl WriteArgs {
    /// Puts the conditions into the request.
    pub(crate) fn apply(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(revision) = self.if_match {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        if let Some(id) = &self.idempotency_key {
            request = request.header("idempotency-key", id);
        }
        if self.previous {
            request = request.query(&[("return", "previous")]);
        }
        request
    }
}

/// A write that applied.
pub(super) struct WriteReply {
    /// What the write did: created, replaced or deleted.
    pub word: &'static str,
    pub reply: Reply,
}

impl WriteReply {
    /// Shows the result: the previous value, if asked for, on standard output; the rest as a remark.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn print(&self, args: &WriteArgs) -> Result<(), Failure> {
        if args.json {
            return output::result_line(&self.json(args.previous).to_string());
        }
        match self.reply.revision() {
            Some(revision) => output::remark(&format!("{}, revision {revision}", self.word)),
            None => output::remark(self.word),
        }
        if args.previous { output::result(&self.reply.body) } else { Ok(()) }
    }

    fn json(&self, previous: bool) -> serde_json::Value {
        let mut object = serde_json::json!({
            "outcome": "applied",
            "did": self.word,
            "revision": self.reply.revision(),
        });
        let previous_revision = self.reply.header("kv-previous-revision");
        if let (true, Some(revision)) = (previous, previous_revision) {
            // As in the gateway's own envelope: text when the bytes are UTF-8, else base64.
            let (name, value) = match std::str::from_utf8(&self.reply.body) {
                Ok(text) => ("value", text.to_owned()),
                Err(_) => ("value_b64", STANDARD.encode(&self.reply.body)),
            };
            object["previous"] = serde_json::json!({
                "revision": revision.parse::<u64>().ok(),
                name: value,
            });
        }
        object
    }
}
