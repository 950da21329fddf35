//! Pure. The values of a request and its result, shared by client, gateway and storage node.
//!
//! Owns their meaning and the limits that every record keeps. Knows no wire format (the conversion
//! is in `ringkv-proto`) and no layout on disk (that is the storage node's).
#![warn(missing_docs)]

mod condition;
mod error_kind;
mod outcome;
mod record;
mod request_id;

pub use condition::{Condition, REVISIONS_MAX};
pub use error_kind::ErrorKind;
pub use outcome::Outcome;
pub use record::{
    CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX, METADATA_BYTES_MAX, METADATA_PAIRS_MAX, Metadata,
    Record, Written,
};
pub use request_id::RequestId;
