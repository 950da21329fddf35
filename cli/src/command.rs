//! One file per subcommand: its flags and what it does.

pub(crate) mod del;
pub(crate) mod get;
pub(crate) mod put;
mod write;

pub(crate) mod node_drain;
pub(crate) mod node_list;
pub(crate) mod node_replace;
pub(crate) mod node_start;
pub(crate) mod node_stop;
pub(crate) mod topology;

pub(crate) mod operation;
pub(crate) mod placement;
pub(crate) mod recover_placement;
pub(crate) mod settings;
pub(crate) mod status;

pub(crate) mod health;
