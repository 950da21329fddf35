//! Every limit of a request, from both sides, and the way of answers back to the wire.

use ringkv_kv_types::Metadata;

use super::*;
use crate::command::Received;

const VALUE_BYTES_MAX: u32 = 100;

fn put() -> v1::Put {
    v1::Put {
        key: Bytes::from_static(b"k"),
        value: Bytes::from_static(b"v"),
        content_type: "text/plain".into(),
        metadata: vec![v1::Metadata { name: "n".into(), value: "v".into() }],
        condition: Some(v1::Condition { if_match: vec![3], ..v1::Condition::default() }),
        request_id: Some(v1::RequestId { id: Bytes::from_static(&[7; 16]), chosen_by_user: true }),
        return_previous: true,
    }
}

fn decoded(bytes: Result<Bytes, v1::Error>) -> Command {
    let Received { command, .. } =
        Command::decode(&bytes.expect("a good request")).expect("a command");
    command
}

fn refused(put: &v1::Put) -> v1::Error {
    put_command(Slot(1), put, VALUE_BYTES_MAX).expect_err("a bad request")
}

#[test]
fn a_put_becomes_a_command_with_all_its_parts() {
    let command = decoded(put_command(Slot(1), &put(), VALUE_BYTES_MAX));
    assert_eq!((command.slot, &command.key[..]), (Slot(1), &b"k"[..]));
    assert_eq!(command.request, RequestId { id: [7; 16], chosen_by_user: true });
    assert_eq!(command.condition, Condition { if_match: vec![3], ..Condition::default() });
    assert!(command.return_previous);
    let Operation::Put { ttl_ms, attributes, value } = &command.operation else {
        panic!("{command:?}")
    };
    let attributes = Attributes::take(&mut &attributes[..]).expect("attributes");
    assert_eq!((*ttl_ms, attributes.content_type, &value[..]), (0, "text/plain", &b"v"[..]));
    assert_eq!(attributes.metadata(), [Metadata { name: "n".into(), value: "v".into() }]);
}

#[test]
fn a_delete_becomes_a_command_with_all_its_parts() {
    let put = put();
    let delete = v1::Delete {
        key: put.key,
        condition: put.condition,
        request_id: put.request_id,
        return_previous: false,
    };
    let command = decoded(delete_command(Slot(1), &delete));
    assert_eq!(command.operation, Operation::Delete);
    assert_eq!(command.condition.if_match, [3]);
    assert!(!command.return_previous);
    let keyless = v1::Delete { key: Bytes::new(), ..delete };
    let error = delete_command(Slot(1), &keyless).expect_err("a bad request");
    assert_eq!(error.code(), ErrorCode::KeyInvalid);
}

#[test]
fn sizes_are_taken_at_their_limit_and_refused_beyond_it_with_the_limit_named() {
    type Grow = fn(&mut v1::Put, usize);
    let metadata = |put: &mut v1::Put, len: usize| {
        put.metadata = vec![v1::Metadata { name: "n".into(), value: "v".repeat(len - 1) }];
    };
    let pairs = |put: &mut v1::Put, len| {
        put.metadata = vec![v1::Metadata { name: "n".into(), value: String::new() }; len];
    };
    let cases: [(ErrorCode, &str, usize, Grow); 6] = [
        (ErrorCode::KeyInvalid, "`key`", 4096, |put, len| put.key = vec![1; len].into()),
        (ErrorCode::ValueTooLarge, "`value`", 100, |put, len| put.value = vec![1; len].into()),
        (ErrorCode::Invalid, "`content_type`", 256, |put, len| {
            put.content_type = "t".repeat(len);
        }),
        (ErrorCode::Invalid, "`metadata`", 8192, metadata),
        (ErrorCode::Invalid, "`metadata`", 32, pairs),
        (ErrorCode::Invalid, "`condition.if_match`", 32, |put, len| {
            put.condition = Some(v1::Condition { if_match: vec![1; len], ..Default::default() });
        }),
    ];
    for (code, field, max, grow) in cases {
        let mut put = put();
        grow(&mut put, max);
        decoded(put_command(Slot(1), &put, VALUE_BYTES_MAX));
        grow(&mut put, max + 1);
        let error = refused(&put);
        assert_eq!((error.code(), error.limit), (code, max as u64), "{error:?}");
        assert!(error.message.starts_with(field) && error.message.contains(&max.to_string()));
        assert_eq!(error.outcome(), v1::Outcome::NotApplied);
    }
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let empty_key = refused(&v1::Put { key: Bytes::new(), ..put() });
    assert_eq!((empty_key.code(), empty_key.limit), (ErrorCode::KeyInvalid, 4096));
    let without_id = refused(&v1::Put { request_id: None, ..put() });
    assert!(without_id.message.contains("`request_id` is missing"), "{without_id:?}");
    let id = v1::RequestId { id: Bytes::from_static(&[7; 15]), chosen_by_user: false };
    let short_id = refused(&v1::Put { request_id: Some(id), ..put() });
    assert!(short_id.message.contains("15 bytes"), "{short_id:?}");
    let nameless = vec![v1::Metadata::default()];
    let nameless = refused(&v1::Put { metadata: nameless, ..put() });
    assert!(nameless.message.contains("`metadata.name`"), "{nameless:?}");
}

#[test]
fn rejections_reach_the_wire_with_their_code_and_none_of_them_applied() {
    let cases = [
        (Rejection::PreconditionFailed { current_revision: 9 }, ErrorCode::PreconditionFailed),
        (Rejection::KeyAbsent, ErrorCode::KeyAbsent),
        (Rejection::Moved, ErrorCode::Moved),
        (Rejection::RequestIdReused, ErrorCode::RequestIdReused),
        (Rejection::Busy, ErrorCode::Busy),
    ];
    for (rejection, code) in cases {
        let kv_reply::Result::Error(error) = write_reply(&rejection.encode()) else {
            panic!("{rejection:?}")
        };
        assert_eq!((error.code(), error.outcome()), (code, v1::Outcome::NotApplied));
        assert_eq!(
            error.current_revision,
            if code == ErrorCode::PreconditionFailed { 9 } else { 0 }
        );
    }
    let kv_reply::Result::Error(error) = write_reply(b"garbage") else { panic!("an error") };
    assert_eq!(error.outcome(), v1::Outcome::Unknown);
}

#[test]
fn writes_and_reads_reach_the_wire() {
    let written = crate::command_result::encode_written(5, true, None);
    let expected = v1::Written { revision: 5, existed: true, previous: None, repeated: false };
    assert_eq!(write_reply(&written), kv_reply::Result::Written(expected));
    let absent = v1::Found { record: None };
    assert_eq!(read_reply(Ok(None)), kv_reply::Result::Found(absent));
    let record = Record { revision: 2, value_bytes: 4, ..Record::default() };
    let kv_reply::Result::Found(v1::Found { record: Some(found) }) = read_reply(Ok(Some(record)))
    else {
        panic!("a record")
    };
    assert_eq!((found.revision, found.value_bytes), (2, 4));
    let kv_reply::Result::Error(error) = read_reply(Err(ReadError::Moved)) else {
        panic!("an error")
    };
    assert_eq!(error.code(), ErrorCode::Moved);
}
