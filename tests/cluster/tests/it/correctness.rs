//! No acknowledged write is lost, reads return only written values, and bad input is rejected.

mod bad_http;
mod bad_node_input;
mod crash_of_everything;
mod diverged_replica;
mod full_disk;
mod lost_write_is_found;
mod random_operations;
