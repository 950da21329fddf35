//! The gateway through real sockets, over a fake cluster behind real gRPC.

mod support;

mod errors;
mod hostile;
mod keys;
mod operations;
mod pages;
mod shutdown;
mod traces;
mod values;
