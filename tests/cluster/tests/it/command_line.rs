//! The `ringkv` command and `ringkv dev`, as a person or script meets them.

mod dev;
mod keys;
mod nodes;
