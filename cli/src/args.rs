//! The command line: which subcommands exist, and the manual that `--help` prints.
//!
//! Owns the tree of subcommands only; each command's own flags are in its file.

use clap::{Parser, Subcommand};

use crate::command;
use crate::dev::DevArgs;

const EXAMPLES: &str = "\
Examples:
  ringkv dev                                   a whole cluster on this machine, no Docker
  ringkv put greeting hello                    write a value
  ringkv get greeting                          the value's bytes, nothing else
  ringkv put config --file app.toml --content-type application/toml
  tar c logs | ringkv put backup/logs -        value from standard input
  ringkv put lock me --if-absent               only if the key is absent
  ringkv put counter 8 --if-match 7            only if the key is at revision 7
  ringkv del greeting --previous               delete, and print what was there
  ringkv status                                whether all is well, and what to do if not
  ringkv node list                             nodes, their state and what they lead
  ringkv node stop 127.0.0.1:50051             clean stop: hands leadership over first
  ringkv placement list                        placement's own replicas and who leads

Exit codes:
  0  done
  1  a definite no: the key is absent, the precondition does not hold, a change is refused,
     not all is well
  2  the command is wrong; the same command will never work
  3  certainly not applied (no gateway, no leader, busy): retry
  4  unknown: the write may or may not have applied";

/// A distributed, linearizable key-value store: the command line.
///
/// Reads and writes go to a gateway (--gateway, RINGKV_GATEWAY). Keys are any bytes, 1 to 4096 of
/// them; values any bytes up to the cluster's limit (1 MiB unless set otherwise).
#[derive(Debug, Parser)]
#[command(name = "ringkv", version, after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What `ringkv` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the value of a key.
    Get(command::get::GetArgs),
    /// Write the value of a key.
    Put(command::put::PutArgs),
    /// Delete a key.
    Del(command::del::DelArgs),
    /// Show the cluster: epoch, nodes, groups and who leads them.
    Topology(command::topology::TopologyArgs),
    /// Show whether all is well and, if not, what to do next. Exit code 0 if it is, else 1.
    Status(command::status::StatusArgs),
    /// List, drain, replace, stop and start storage nodes.
    #[command(subcommand)]
    Node(NodeCommand),
    /// List, follow and abort changes of the cluster.
    #[command(subcommand)]
    Operation(OperationCommand),
    /// List and change what can be changed while the cluster runs.
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// List, add and remove placement's own replicas.
    #[command(subcommand)]
    Placement(PlacementCommand),
    /// Rebuild what was wholly lost.
    #[command(subcommand)]
    Recover(RecoverCommand),
    /// Run a whole cluster in this process.
    Dev(DevArgs),
    /// Ask a health URL. Exit code 0 if the answer is 2xx, else 1.
    Health(command::health::HealthArgs),
}

/// What can be done to placement's own replicas.
#[derive(Debug, Subcommand)]
pub(crate) enum PlacementCommand {
    /// List the replicas of placement.
    List(command::placement::list::PlacementListArgs),
    /// Let one more process become a replica of placement.
    Add(command::placement::add::PlacementAddArgs),
    /// Take a replica out of placement for good.
    Remove(command::placement::remove::PlacementRemoveArgs),
}

/// What can be rebuilt.
#[derive(Debug, Subcommand)]
pub(crate) enum RecoverCommand {
    /// A placement of which every data directory is lost, from what the storage nodes have.
    #[command(subcommand)]
    Placement(RecoverPlacementCommand),
}

/// The two steps of a recovery.
#[derive(Debug, Subcommand)]
pub(crate) enum RecoverPlacementCommand {
    /// Show what the storage nodes have and what would be rebuilt. Changes nothing.
    Plan(command::recover_placement::PlanArgs),
    /// Write the data directory of the first replica of the recovered placement.
    Apply(command::recover_placement::ApplyArgs),
}

/// What can be done to storage nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the storage nodes.
    List(command::node_list::NodeListArgs),
    /// Move all replicas off a node, and wait until it is empty.
    Drain(command::node_drain::NodeDrainArgs),
    /// Let a node that drains, or was drained, have replicas again.
    Undrain(command::node_drain::NodeUndrainArgs),
    /// Move all replicas of one node to another, and wait until it is empty.
    Replace(command::node_replace::NodeReplaceArgs),
    /// Stop a storage node.
    Stop(command::node_stop::NodeStopArgs),
    /// Run a storage node in the foreground. With an empty data directory it is a new node; else it
    /// is the node that the directory belongs to, with its data.
    Start(Box<command::node_start::NodeStartArgs>),
}

/// What can be done to changes of the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// List those that run and the last that ended.
    List(command::operation::OperationListArgs),
    /// Show one: progress, rate, time left, and what blocks it.
    Show(command::operation::OperationShowArgs),
    /// Follow one until it has ended.
    Watch(command::operation::OperationWatchArgs),
    /// Take one back.
    Abort(command::operation::OperationAbortArgs),
}

/// What can be done to settings.
#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// List the settings with their ranges.
    List(command::settings::SettingsListArgs),
    /// Change one: replace-after or snapshot-rate.
    Set(command::settings::SettingsSetArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn keys_may_be_any_bytes() {
        use std::ffi::OsString;
        use std::os::unix::ffi::OsStringExt;
        let key = OsString::from_vec(vec![0xff, b'/', 0x80]);
        let args = Args::try_parse_from(["ringkv".into(), "get".into(), key.clone()]);
        let Ok(Args { command: Command::Get(get) }) = args else { panic!("get with a raw key") };
        assert_eq!(get.key, key);
    }
}
