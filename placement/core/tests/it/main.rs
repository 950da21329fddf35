//! The tests of placement's core as a whole: a small cluster in memory that the reconciler drives.

mod checks;
mod faults;
mod group;
mod healing;
mod node;
mod random;
mod world;
