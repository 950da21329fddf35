//! Conversions between the wire's requests and results and the values of `ringkv-kv-types`.
//!
//! The only place that knows both. Checks no limit: the storage node does, before it converts.

use bytes::Bytes;
use ringkv_kv_types::{Condition, Metadata, Outcome, Record, RequestId, Written};

use crate::v1;

/// The wire form of a condition; absent for one that always holds.
pub fn condition_to_proto(condition: &Condition) -> Option<v1::Condition> {
    (!condition.is_always()).then(|| v1::Condition {
        if_match: condition.if_match.clone(),
        if_match_any: condition.if_match_any,
        if_none_match: condition.if_none_match.clone(),
        if_none_match_any: condition.if_none_match_any,
    })
}

/// The condition on the wire; one that is absent always holds.
pub fn condition_from_proto(wire: Option<&v1::Condition>) -> Condition {
    wire.map_or_else(Condition::default, |wire| Condition {
        if_match: wire.if_match.clone(),
        if_match_any: wire.if_match_any,
        if_none_match: wire.if_none_match.clone(),
        if_none_match_any: wire.if_none_match_any,
    })
}

/// The wire form of a request id.
pub fn request_id_to_proto(request_id: RequestId) -> v1::RequestId {
    v1::RequestId {
        id: Bytes::copy_from_slice(&request_id.id),
        chosen_by_user: request_id.chosen_by_user,
    }
}

/// The request id on the wire; `None` if it does not have 16 bytes.
pub fn request_id_from_proto(wire: &v1::RequestId) -> Option<RequestId> {
    let id = <[u8; 16]>::try_from(&wire.id[..]).ok()?;
    Some(RequestId { id, chosen_by_user: wire.chosen_by_user })
}

/// The wire form of metadata.
pub fn metadata_to_proto(metadata: Vec<Metadata>) -> Vec<v1::Metadata> {
    let entry = |entry: Metadata| v1::Metadata { name: entry.name, value: entry.value };
    metadata.into_iter().map(entry).collect()
}

/// The wire form of a record.
pub fn record_to_proto(record: Record) -> v1::Record {
    v1::Record {
        revision: record.revision,
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
        expires_ms: record.expires_ms.unwrap_or(0),
        content_type: record.content_type,
        metadata: metadata_to_proto(record.metadata),
        value: record.value,
        value_bytes: record.value_bytes,
    }
}

/// The record on the wire.
pub fn record_from_proto(wire: v1::Record) -> Record {
    let entry = |entry: v1::Metadata| Metadata { name: entry.name, value: entry.value };
    Record {
        revision: wire.revision,
        created_ms: wire.created_ms,
        updated_ms: wire.updated_ms,
        expires_ms: (wire.expires_ms != 0).then_some(wire.expires_ms),
        content_type: wire.content_type,
        metadata: wire.metadata.into_iter().map(entry).collect(),
        value: wire.value,
        value_bytes: wire.value_bytes,
    }
}

/// The wire form of a write's result.
pub fn written_to_proto(written: Written) -> v1::Written {
    v1::Written {
        revision: written.revision,
        existed: written.existed,
        previous: written.previous.map(record_to_proto),
        repeated: written.repeated,
    }
}

/// The result of a write on the wire.
pub fn written_from_proto(wire: v1::Written) -> Written {
    Written {
        revision: wire.revision,
        existed: wire.existed,
        previous: wire.previous.map(record_from_proto),
        repeated: wire.repeated,
    }
}

/// The wire form of an outcome.
pub fn outcome_to_proto(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Applied => v1::Outcome::Applied,
        Outcome::NotApplied => v1::Outcome::NotApplied,
        Outcome::Unknown => v1::Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_comes_back_as_it_went_out() {
        let metadata = vec![Metadata { name: "a".into(), value: String::new() }];
        let record = Record {
            revision: 3,
            created_ms: 1,
            updated_ms: 2,
            expires_ms: Some(9),
            content_type: "text/plain".into(),
            metadata,
            value: Bytes::from_static(b"value"),
            value_bytes: 5,
        };
        let forever = Record { expires_ms: None, ..record.clone() };
        for previous in [None, Some(record), Some(forever)] {
            let written = Written { revision: 4, existed: true, previous, repeated: true };
            assert_eq!(written_from_proto(written_to_proto(written.clone())), written);
        }
    }

    #[test]
    fn a_condition_and_a_request_id_come_back_as_they_went_out() {
        let both = Condition { if_none_match: vec![1, 2], ..Condition::revision(7) };
        for condition in [Condition::default(), Condition::absent(), both] {
            let wire = condition_to_proto(&condition);
            assert_eq!(condition_from_proto(wire.as_ref()), condition);
        }
        let id = RequestId::from_idempotency_key(b"order-7");
        assert_eq!(request_id_from_proto(&request_id_to_proto(id)), Some(id));
        let short = v1::RequestId { id: Bytes::from_static(b"short"), chosen_by_user: true };
        assert_eq!(request_id_from_proto(&short), None);
    }
}
