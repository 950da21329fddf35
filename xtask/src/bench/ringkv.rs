//! Our own cluster as a store under test: the bytes of its requests.

use std::net::SocketAddr;

use super::store::{Operation, Store};
use crate::cluster::Cluster;
use crate::http::find;

impl Store for Cluster {
    fn name(&self) -> &'static str {
        "ringkv"
    }

    fn address(&self) -> SocketAddr {
        self.gateway()
    }

    fn request(&self, operation: Operation, key: &str, value: &[u8]) -> Vec<u8> {
        match operation {
            Operation::Put => {
                let mut request = format!(
                    "PUT /kv/{key} HTTP/1.1\r\nHost: ringkv\r\n\
                     Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                    value.len()
                )
                .into_bytes();
                request.extend_from_slice(value);
                request
            }
            Operation::Get => {
                format!("GET /kv/{key} HTTP/1.1\r\nHost: ringkv\r\n\r\n").into_bytes()
            }
        }
    }

    fn processes(&self) -> Vec<u32> {
        Self::processes(self)
    }

    fn carries(&self, body: &[u8], value: &[u8]) -> bool {
        find(body, value).is_some()
    }
}
