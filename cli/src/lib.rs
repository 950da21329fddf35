//! The `ringkv` command, for people and scripts.
//!
//! Owns the command line, its exit codes and its messages. Knows no key, slot or
//! group: reads and writes go through a gateway's HTTP, as with curl; what operators change goes to
//! the admin listeners of placement and the nodes. Only `dev` and `node start` know the services,
//! and only by their `serve` and `run` functions.
//!
//! Every failure says three things: what happened, whether the write applied, what to do next
//! (`failure`). Standard output carries results only; everything else goes to standard error.

mod admin;
mod args;
mod failure;
mod gateway;
mod operation_view;
mod output;
mod progress_bar;
mod status_view;
mod topology_view;
mod watch;

mod command;

mod dev;

use std::process::ExitCode;

use clap::Parser;

pub use failure::{Exit, Failure};

use args::{
    Args, Command, NodeCommand, OperationCommand, PlacementCommand, RecoverCommand,
    RecoverPlacementCommand, SettingsCommand,
};

/// Reads the process's arguments, runs the command and returns its exit code.
pub async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // `--help` and `--version` come this way too, and print on standard output.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // If the pipe is closed, the exit code alone reports it.
            let _ = error.print();
            return code.into();
        }
    };
    match run(args).await {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

/// Runs one parsed command to its end.
///
/// # Errors
/// The [`Failure`] says what happened, whether a write applied, and what to do next.
async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Get(args) => command::get::run(args).await,
        Command::Put(args) => command::put::run(args).await,
        Command::Del(args) => command::del::run(args).await,
        Command::Topology(args) => command::topology::run(args).await,
        Command::Node(NodeCommand::List(args)) => command::node_list::run(args).await,
        Command::Node(NodeCommand::Drain(args)) => command::node_drain::run(args).await,
        Command::Node(NodeCommand::Undrain(args)) => command::node_drain::undrain(args).await,
        Command::Node(NodeCommand::Replace(args)) => command::node_replace::run(args).await,
        Command::Node(NodeCommand::Stop(args)) => command::node_stop::run(args).await,
        Command::Node(NodeCommand::Start(args)) => command::node_start::run(*args).await,
        Command::Placement(PlacementCommand::List(args)) => {
            command::placement::list::run(args).await
        }
        Command::Placement(PlacementCommand::Add(args)) => command::placement::add::run(args).await,
        Command::Placement(PlacementCommand::Remove(args)) => {
            command::placement::remove::run(args).await
        }
        Command::Recover(RecoverCommand::Placement(command)) => match command {
            RecoverPlacementCommand::Plan(args) => command::recover_placement::plan(args).await,
            RecoverPlacementCommand::Apply(args) => command::recover_placement::apply(args).await,
        },
        Command::Settings(SettingsCommand::List(args)) => command::settings::list(args).await,
        Command::Settings(SettingsCommand::Set(args)) => command::settings::set(args).await,
        Command::Operation(OperationCommand::List(args)) => command::operation::list(args).await,
        Command::Operation(OperationCommand::Show(args)) => command::operation::show(args).await,
        Command::Operation(OperationCommand::Watch(args)) => command::operation::follow(args).await,
        Command::Operation(OperationCommand::Abort(args)) => command::operation::abort(args).await,
        Command::Status(args) => command::status::run(args).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Health(args) => command::health::run(args).await,
    }
}
