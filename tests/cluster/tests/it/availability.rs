//! The cluster serves requests while parts of it are down, and reintegrates them when they return.

mod catch_up;
mod clean_stop;
mod leader_crash;
mod placement_away;
mod placement_lost;
