//! The cluster goes on serving while parts of it are away, and takes them back.

mod catch_up;
mod clean_stop;
mod leader_crash;
mod placement_away;
