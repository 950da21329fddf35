//! Runs of the whole simulation, small enough for every test run; `cargo xtask simulate` runs more.

#[cfg(not(any(
    feature = "planted-ack-before-sync",
    feature = "planted-read-without-quorum",
    feature = "planted-lease-too-long",
    feature = "planted-lease-kept-in-transfer",
    feature = "planted-vote-after-restart",
    feature = "planted-learner-counts",
    feature = "planted-removed-leader-serves",
    feature = "planted-lease-kept-across-removal",
    feature = "planted-founding-genesis",
    feature = "planted-replica-id-reused",
)))]
mod seeds;
