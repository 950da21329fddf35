//! One set of features for each dependency, whichever package is built: see `Cargo.toml`.
//!
//! Owns no code and never will: what it does is said in its manifest, and other crates depend on it
//! without importing it.
