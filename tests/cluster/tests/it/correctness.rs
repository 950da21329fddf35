//! Nothing acknowledged is lost, nothing else is read, and bad input is told so.

mod bad_http;
mod bad_node_input;
mod crash_of_everything;
mod diverged_replica;
mod full_disk;
mod lost_write_is_found;
mod random_operations;
