//! `ringkv node start`: a storage node in the foreground, with the storage node's own flags.

use crate::failure::{Exit, Failure};

/// Flags of `ringkv node start`: those of `ringkv-storage-node`.
#[derive(Debug, clap::Args)]
pub struct NodeStartArgs {
    #[command(flatten)]
    pub node: ringkv_storage_node::Args,
}
