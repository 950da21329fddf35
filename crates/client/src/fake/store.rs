//! The fake's map: revisions, conditions and remembered results as the state machine has them.

use std::collections::HashMap;

use bytes::Bytes;
use ringkv_proto::kv;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, ErrorCode, kv_reply};

/// The group clock of every write, milliseconds since the Unix epoch (2026-01-01).
const NOW_MS: u64 = 1_767_225_600_000;

#[derive(Default)]
pub(super) struct Store {
    revision: u64,
    records: HashMap<Bytes, v1::Record>,
    results: HashMap<Bytes, (Operation, kv_reply::Result)>,
}

impl Store {
    pub(super) fn apply(&mut self, operation: Option<&Operation>) -> kv_reply::Result {
        let request_id = match operation {
            None => return refused(ErrorCode::Invalid, "no operation"),
            Some(Operation::Get(get)) => return self.get(get),
            Some(Operation::Put(put)) => put.request_id.as_ref(),
            Some(Operation::Delete(delete)) => delete.request_id.as_ref(),
        };
        let operation = operation.expect("the absent operation is turned away above");
        let id = request_id.map(|id| id.id.clone()).unwrap_or_default();
        if id.len() != 16 {
            return refused(ErrorCode::Invalid, "request_id has not 16 bytes");
        }
        if let Some((first, result)) = self.results.get(&id) {
            return match result {
                _ if first != operation => {
                    refused(ErrorCode::RequestIdReused, "the request id belongs to another request")
                }
                kv_reply::Result::Written(written) => {
                    kv_reply::Result::Written(v1::Written { repeated: true, ..written.clone() })
                }
                other => other.clone(),
            };
        }
        let result = match operation {
            Operation::Put(put) => self.put(put),
            Operation::Delete(delete) => self.delete(delete),
            Operation::Get(_) => unreachable!("reads are answered above"),
        };
        self.results.insert(id, (operation.clone(), result.clone()));
        result
    }

    fn get(&self, get: &v1::Get) -> kv_reply::Result {
        let record = self.records.get(&get.key).cloned().map(|record| match get.without_value {
            true => v1::Record { value: Bytes::new(), ..record },
            false => record,
        });
        kv_reply::Result::Found(v1::Found { record })
    }

    fn put(&mut self, put: &v1::Put) -> kv_reply::Result {
        if let Some(refusal) = self.refusal(&put.key, put.condition.as_ref()) {
            return refusal;
        }
        self.revision += 1;
        let record = v1::Record {
            revision: self.revision,
            created_ms: NOW_MS,
            updated_ms: NOW_MS,
            expires_ms: 0,
            content_type: put.content_type.clone(),
            metadata: put.metadata.clone(),
            value: put.value.clone(),
            value_bytes: put.value.len() as u64,
        };
        let previous = self.records.insert(put.key.clone(), record);
        self.written(previous, put.return_previous)
    }

    fn delete(&mut self, delete: &v1::Delete) -> kv_reply::Result {
        if let Some(refusal) = self.refusal(&delete.key, delete.condition.as_ref()) {
            return refusal;
        }
        match self.records.remove(&delete.key) {
            None => refused(ErrorCode::KeyAbsent, "the key is absent"),
            previous => {
                self.revision += 1;
                self.written(previous, delete.return_previous)
            }
        }
    }

    fn written(&self, previous: Option<v1::Record>, return_previous: bool) -> kv_reply::Result {
        kv_reply::Result::Written(v1::Written {
            revision: self.revision,
            existed: previous.is_some(),
            previous: previous.filter(|_| return_previous),
            repeated: false,
        })
    }

    fn refusal(&self, key: &Bytes, condition: Option<&v1::Condition>) -> Option<kv_reply::Result> {
        let condition = condition?;
        let revision = self.records.get(key).map(|record| record.revision);
        let holds = kv::condition_from_proto(Some(condition)).holds(revision);
        (!holds).then(|| {
            let error =
                v1::Error::new(ErrorCode::PreconditionFailed, "the condition does not hold");
            let current_revision = revision.unwrap_or(0);
            kv_reply::Result::Error(v1::Error { current_revision, ..error })
        })
    }
}

fn refused(code: ErrorCode, message: &str) -> kv_reply::Result {
    kv_reply::Result::Error(v1::Error::new(code, message))
}
