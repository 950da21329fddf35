//! One file per subcommand: its flags and what it does.

pub mod del;
pub mod get;
pub mod put;
mod write;

pub mod node_list;
pub mod node_start;
pub mod node_stop;
pub mod topology;

pub mod health;
