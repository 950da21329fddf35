//! A record as an answer: its bytes with headers, or a JSON envelope.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ringkv_client::Record;
use serde_json::{Map, Value, json};

use super::headers::METADATA_PREFIX;
use crate::reply::{self, Reply};

pub(super) const KV_REVISION: HeaderName = HeaderName::from_static("kv-revision");

/// Sets what names a revision: the entity tag and the number.
pub(super) fn set_revision(headers: &mut HeaderMap, revision: u64) {
    if let Ok(etag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(KV_REVISION, HeaderValue::from(revision));
}

/// The record's bytes under its stored content type.
pub(super) fn raw(record: Record) -> Reply {
    let value = record.value.clone();
    let mut reply = reply::bytes(StatusCode::OK, value);
    let headers = reply.headers_mut();
    set_content(headers, &record);
    set_description(headers, &record);
    reply
}

/// The headers of [`raw`], for a record read without its value.
pub(super) fn head(record: &Record) -> Reply {
    let mut reply = reply::bytes(StatusCode::OK, Bytes::new());
    let headers = reply.headers_mut();
    set_content(headers, record);
    set_description(headers, record);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(record.value_bytes));
    reply
}

/// The reader has this record.
pub(super) fn not_modified(record: &Record) -> Reply {
    let mut reply = reply::bytes(StatusCode::NOT_MODIFIED, Bytes::new());
    set_description(reply.headers_mut(), record);
    reply
}

/// The record with all that is known of it, as JSON: text as text, other bytes as base64.
pub(super) fn envelope(key: &[u8], record: &Record) -> Reply {
    let mut body = Map::new();
    set_bytes(&mut body, "key", "key_b64", key);
    set_bytes(&mut body, "value", "value_b64", &record.value);
    let metadata: Map<String, Value> =
        record.metadata.iter().map(|e| (e.name.clone(), json!(e.value))).collect();
    body.insert("revision".into(), json!(record.revision));
    body.insert("content_type".into(), json!(content_type(record)));
    body.insert("metadata".into(), Value::Object(metadata));
    body.insert("created_ms".into(), json!(record.created_ms));
    body.insert("updated_ms".into(), json!(record.updated_ms));
    let body = Value::Object(body).to_string().into_bytes();
    let mut reply = reply::json(StatusCode::OK, "application/json", body);
    set_description(reply.headers_mut(), record);
    reply
}

fn set_bytes(body: &mut Map<String, Value>, text: &str, base64: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(as_text) => body.insert(text.into(), json!(as_text)),
        Err(_) => body.insert(base64.into(), json!(STANDARD.encode(bytes))),
    };
}

fn content_type(record: &Record) -> &str {
    match record.content_type.as_str() {
        "" => "application/octet-stream",
        stored => stored,
    }
}

fn set_content(headers: &mut HeaderMap, record: &Record) {
    let stored = HeaderValue::from_str(content_type(record));
    // A record written past the gateway may carry a type that no header can.
    let content_type =
        stored.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, content_type);
    // The stored type is the user's word: no browser shall guess another.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for entry in &record.metadata {
        let name = HeaderName::try_from(format!("{METADATA_PREFIX}{}", entry.name));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&entry.value)) {
            headers.insert(name, value);
        }
    }
}

fn set_description(headers: &mut HeaderMap, record: &Record) {
    set_revision(headers, record.revision);
    // A date needs four digits for its year; the check keeps a damaged clock from a panic.
    const YEAR_9999_MS: u64 = 253_402_300_000_000;
    if record.updated_ms < YEAR_9999_MS {
        let updated = UNIX_EPOCH + Duration::from_millis(record.updated_ms);
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(updated)) {
            headers.insert(header::LAST_MODIFIED, date);
        }
    }
}
