//! The `ringkv` command and `ringkv dev`, as a user or a script runs them.

mod dev;
mod keys;
mod nodes;
