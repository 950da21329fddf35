//! What a request asks for, checked against its limits and this node's topology.
//!
//! The slot is computed here, from the key. Whether the group owns it is decided where the command
//! is applied or the record is read. Here only a client with an older topology than this node is
//! refused early.

use bytes::Bytes;
use ringkv_consensus::{Request, Ticket};
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{Error, ErrorCode, KvRequest};
use ringkv_topology::{GroupId, Slot, Topology};

use crate::service::convert;

/// For requests that name no timeout.
const TIMEOUT_DEFAULT_MS: u64 = 5_000;
/// The longest timeout granted.
const TIMEOUT_MAX_MS: u64 = 60_000;

/// The operation that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get,
    Put,
    Delete,
}

/// A request that passed the checks, for the engine.
#[derive(Debug, PartialEq, Eq)]
pub enum Accepted {
    Read { group: GroupId, read: Read },
    Write { group: GroupId, command: Bytes },
}

/// A read of one key, to be done once the engine says that the store is recent enough.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub group: GroupId,
    pub slot: Slot,
    pub key: Bytes,
    pub without_value: bool,
}

/// What the engine is asked for: to replicate a command, or without one for a read point.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    group: GroupId,
    command: Option<Bytes>,
}

impl Accepted {
    /// The part for the engine, and what to read after it.
    pub fn split(self) -> (Asked, Option<Read>) {
        match self {
            Self::Read { group, read } => (Asked { group, command: None }, Some(read)),
            Self::Write { group, command } => (Asked { group, command: Some(command) }, None),
        }
    }
}

impl Asked {
    /// The engine's request, to be completed under the ticket.
    pub fn under(self, ticket: Ticket) -> Request {
        let group = self.group;
        match self.command {
            Some(command) => Request::Propose { group, command, ticket },
            None => Request::Read { group, ticket },
        }
    }
}

/// The time a request has, in milliseconds.
pub fn timeout_ms(request: &KvRequest) -> u64 {
    match u64::from(request.timeout_ms) {
        0 => TIMEOUT_DEFAULT_MS,
        timeout => timeout.min(TIMEOUT_MAX_MS),
    }
}

/// Which operation the request names; `None` if it names none.
pub fn op(request: &KvRequest) -> Option<Op> {
    Some(match request.operation.as_ref()? {
        Operation::Get(_) => Op::Get,
        Operation::Put(_) => Op::Put,
        Operation::Delete(_) => Op::Delete,
    })
}

/// Checks a request. `disk_full` refuses what grows the data.
///
/// # Errors
/// What to reply; nothing was applied.
pub fn accept(
    request: &KvRequest,
    topology: Option<&Topology>,
    disk_full: bool,
) -> Result<Accepted, Error> {
    let Some(operation) = &request.operation else {
        return Err(Error::new(ErrorCode::Invalid, "`operation` is missing"));
    };
    let Some(group) = GroupId::from_wire(request.group) else {
        return Err(Error::new(ErrorCode::Invalid, "`group` is missing"));
    };
    let Some(topology) = topology.filter(|topology| topology.is_bootstrapped()) else {
        return Err(Error::new(ErrorCode::NoGroup, "the cluster is not bootstrapped yet"));
    };
    let key = match operation {
        Operation::Get(get) => &get.key,
        Operation::Put(put) => &put.key,
        Operation::Delete(delete) => &delete.key,
    };
    convert::check_key(key)?;
    let slot = topology.settings.slot_count.slot_of(key);
    let owner = topology.owner(slot).map(|group| group.id);
    if owner != Some(group) && request.epoch <= topology.epoch.0 {
        let message = format!("group {group} does not own slot {slot} of the key");
        return Err(Error::new(ErrorCode::Moved, message));
    }
    Ok(match operation {
        Operation::Get(get) => {
            let without_value = get.without_value;
            Accepted::Read { group, read: Read { group, slot, key: key.clone(), without_value } }
        }
        Operation::Put(_) if disk_full => {
            let message =
                "the disk of the group's leader is nearly full; deletes are still accepted";
            return Err(Error::new(ErrorCode::NoSpace, message));
        }
        Operation::Put(put) => {
            let value_bytes_max = topology.settings.value_bytes_max;
            Accepted::Write { group, command: convert::put_command(slot, put, value_bytes_max)? }
        }
        Operation::Delete(delete) => {
            Accepted::Write { group, command: convert::delete_command(slot, delete)? }
        }
    })
}

#[cfg(test)]
mod tests {
    use ringkv_proto::v1::{Get, Put, RequestId};

    use super::*;
    use crate::testing::topology::bootstrapped;

    fn get(key: &'static [u8], group: u64, epoch: u64) -> KvRequest {
        let get = Get { key: Bytes::from_static(key), without_value: false };
        KvRequest { group, epoch, operation: Some(Operation::Get(get)), ..KvRequest::default() }
    }

    fn put(value_bytes: usize) -> KvRequest {
        let topology = bootstrapped(2);
        let (_, group) = topology.locate(b"k").unwrap();
        let request_id = RequestId { id: Bytes::from_static(&[7; 16]), chosen_by_user: false };
        let put = Put {
            key: Bytes::from_static(b"k"),
            value: vec![0; value_bytes].into(),
            request_id: Some(request_id),
            ..Put::default()
        };
        let operation = Some(Operation::Put(put));
        KvRequest { group: group.id.0, operation, ..KvRequest::default() }
    }

    fn code(request: &KvRequest, disk_full: bool) -> Option<ErrorCode> {
        let topology = bootstrapped(2);
        accept(request, Some(&topology), disk_full).err().map(|error| error.code())
    }

    #[test]
    fn a_client_with_an_older_topology_is_told_and_one_with_a_newer_is_let_on() {
        let topology = bootstrapped(2);
        let (slot, owner) = topology.locate(b"k").unwrap();
        let other = 3 - owner.id.0;
        assert_eq!(code(&get(b"k", other, topology.epoch.0), false), Some(ErrorCode::Moved));
        assert_eq!(code(&get(b"k", other, topology.epoch.0 + 1), false), None);
        let accepted = accept(&get(b"k", owner.id.0, 0), Some(&topology), false).unwrap();
        let (key, group) = (Bytes::from_static(b"k"), owner.id);
        let read = Read { group, slot, key, without_value: false };
        assert_eq!(accepted, Accepted::Read { group, read });
    }

    #[test]
    fn what_lacks_a_part_or_passes_a_limit_is_refused_before_the_engine() {
        let nothing = KvRequest { group: 1, ..KvRequest::default() };
        assert_eq!(code(&nothing, false), Some(ErrorCode::Invalid));
        assert_eq!(code(&get(b"k", 0, 0), false), Some(ErrorCode::Invalid));
        assert_eq!(code(&get(b"", 1, 0), false), Some(ErrorCode::KeyInvalid));
        assert_eq!(code(&put(1 << 20), false), None);
        assert_eq!(code(&put((1 << 20) + 1), false), Some(ErrorCode::ValueTooLarge));
        let error = accept(&get(b"k", 1, 0), None, false).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NoGroup);
    }

    #[test]
    fn a_full_disk_refuses_puts_only() {
        let topology = bootstrapped(2);
        let owner = topology.locate(b"k").unwrap().1.id.0;
        assert_eq!(code(&put(1), true), Some(ErrorCode::NoSpace));
        assert_eq!(code(&get(b"k", owner, 0), true), None);
    }
}
