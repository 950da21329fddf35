//! What tests share, of this crate and of those that use it (feature `testing`).

pub mod machine;
pub mod store;
pub mod topology;
