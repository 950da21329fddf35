//! What the benchmark needs from a store under test: the address, the bytes of a request, and the
//! processes whose CPU time counts.

use std::net::SocketAddr;

/// One kind of request of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Put,
    Get,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Put => "PUT",
            Operation::Get => "GET",
        }
    }
}

/// A running cluster of one store. Dropping it stops its processes and removes its data.
pub(crate) trait Store {
    fn name(&self) -> &'static str;

    /// The address to which the generator connects.
    fn address(&self) -> SocketAddr;

    /// All bytes of one HTTP/1.1 request. Only a PUT uses `value`.
    fn request(&self, operation: Operation, key: &str, value: &[u8]) -> Vec<u8>;

    /// The process ids of all servers.
    fn processes(&self) -> Vec<u32>;

    /// Whether the body of a successful GET contains this value.
    fn carries(&self, body: &[u8], value: &[u8]) -> bool;
}
