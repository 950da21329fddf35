//! Runs of the whole simulation, small enough for every test run; `cargo xtask simulate` runs more.

#[cfg(not(any(feature = "planted-ack-before-sync", feature = "planted-read-without-quorum")))]
mod seeds;
