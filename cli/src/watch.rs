//! Follows an operation until it has ended: a bar on a terminal, plain lines elsewhere.
//!
//! Ctrl-C ends the watching only. A placement or gateway that does not answer for a while is no end
//! of the operation.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use ringkv_client::admin::Admin;

use crate::admin;
use crate::failure::{Exit, Failure};
use crate::gateway::{Effect, Gateway};
use crate::operation_view::OperationView;
use crate::output;
use crate::progress_bar;

const PAUSE: Duration = Duration::from_millis(500);
/// A change of placement's leader takes about 2 s, a restart some more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Where operations are read.
pub(crate) enum Source {
    Gateway(Gateway),
    Admin(Admin),
}

impl Source {
    /// The operation.
    ///
    /// # Errors
    /// Exit 1 if there is none with the id, 3 if there is no answer.
    pub(crate) async fn operation(&self, id: u64) -> Result<OperationView, Failure> {
        match self {
            Self::Gateway(gateway) => {
                let request = gateway.get(&format!("/operations/{id}"));
                let reply = gateway.send(request, Effect::Read).await?;
                read(&reply.body)
            }
            Self::Admin(placement) => {
                let what = format!("cannot show operation {id}");
                let operation = placement.operation(id).await;
                let operation = operation.map_err(|error| admin::failure(&what, &error))?;
                operation.as_ref().map(OperationView::from).ok_or_else(|| {
                    let happened = format!("there is no operation {id}, or it ended long ago");
                    Failure::new(Exit::Negative, happened, "`ringkv operation list` shows them")
                })
            }
        }
    }
}

/// Reads JSON of the gateway.
///
/// # Errors
/// The gateway has another version.
pub(crate) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let happened = format!("cannot read the gateway's operations: {error}");
        Failure::new(Exit::NotApplied, happened, "use --json, or a ringkv of the gateway's version")
    })
}

/// Follows the operation to its end.
///
/// # Errors
/// Exit 1 if it was aborted, 3 if there was no answer for long, 4 after Ctrl-C.
pub(crate) async fn follow(source: &Source, id: u64) -> Result<(), Failure> {
    tokio::select! {
        followed = to_the_end(source, id) => followed,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(
            Exit::Unknown,
            format!("no longer watching; operation {id} goes on"),
            format!("`ringkv operation watch {id}` shows it, `ringkv operation abort {id}` takes \
                     it back"),
        )),
    }
}

async fn to_the_end(source: &Source, id: u64) -> Result<(), Failure> {
    let mut screen = Screen::new();
    let mut answered = Instant::now();
    loop {
        match source.operation(id).await {
            Ok(operation) if operation.is_running() => {
                answered = Instant::now();
                screen.show(&operation);
            }
            Ok(operation) => {
                screen.clear();
                let line = operation.line();
                if operation.state == "done" {
                    return output::result_line(&line);
                }
                return Err(Failure::new(Exit::Negative, line, ""));
            }
            // A replica that follows may not have applied an operation that has just begun.
            Err(failure) if failure.exit != Exit::Usage && answered.elapsed() < SILENCE_MAX => {}
            Err(failure) => {
                screen.clear();
                return Err(failure);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What was last shown on standard error.
struct Screen {
    is_terminal: bool,
    line: String,
    blocked_by: Vec<String>,
}

impl Screen {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, line: String::new(), blocked_by: Vec::new() }
    }

    fn show(&mut self, operation: &OperationView) {
        if operation.blocked_by != self.blocked_by {
            self.clear();
            for reason in &operation.blocked_by {
                output::remark(&format!("blocked by: {reason}"));
            }
            self.blocked_by.clone_from(&operation.blocked_by);
        }
        if self.is_terminal {
            draw(&progress_bar::line(operation));
            return;
        }
        // The time left changes always, and is no news of its own.
        let line = OperationView { seconds_left: None, ..operation.clone() }.line();
        if line != self.line {
            output::remark(&operation.line());
            self.line = line;
        }
    }

    /// Leaves an empty line for what comes next.
    fn clear(&self) {
        if self.is_terminal {
            draw("");
        }
    }
}

/// Writes over the present line of the terminal.
fn draw(line: &str) {
    let mut terminal = std::io::stderr().lock();
    // If standard error is closed, there is no reader for the bar.
    let _ = write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush());
}
