//! What a caller may set for a call, in addition to key and value.

use std::time::Duration;

use ringkv_kv_types::{Condition, Metadata, RequestId};

use crate::trace::CallTrace;

/// What every call takes: its time and its trace.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// The whole budget, retries included; `None` is the client's default.
    pub timeout: Option<Duration>,
    /// Set for a traced call only.
    pub trace: Option<CallTrace>,
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Leaves the value out of the record.
    pub without_value: bool,
    /// Time and trace of the call.
    pub call: CallOptions,
}

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// Empty for none.
    pub content_type: String,
    /// Stored and returned with the value.
    pub metadata: Vec<Metadata>,
    /// When the write may happen.
    pub condition: Condition,
    /// Returns the record that was there before.
    pub return_previous: bool,
    /// The write's id; `None` draws one for this call.
    pub request_id: Option<RequestId>,
    /// Time and trace of the call.
    pub call: CallOptions,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// When the delete may happen.
    pub condition: Condition,
    /// Returns the record that was there before.
    pub return_previous: bool,
    /// The delete's id; `None` draws one for this call.
    pub request_id: Option<RequestId>,
    /// Time and trace of the call.
    pub call: CallOptions,
}
