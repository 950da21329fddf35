//! Keys byte for byte, from the request line to the node and back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use ringkv_proto::v1::kv_request::Operation;

use crate::support::Gateway;

/// The key of the last request that reached a node.
fn last_key(gateway: &Gateway) -> Vec<u8> {
    let seen = gateway.fake.seen();
    match seen.last().and_then(|seen| seen.request.operation.clone()) {
        Some(Operation::Get(get)) => get.key.to_vec(),
        Some(Operation::Put(put)) => put.key.to_vec(),
        Some(Operation::Delete(delete)) => delete.key.to_vec(),
        None => Vec::new(),
    }
}

#[tokio::test]
async fn no_path_is_rewritten() {
    let gateway = Gateway::start(&[]).await;
    let cases: [(&str, &[u8]); 10] = [
        ("/kv/a/", b"a/"),
        ("/kv//", b"/"),
        ("/kv/../a", b"../a"),
        ("/kv/./a", b"./a"),
        ("/kv/%2e%2E%2f", b"../"),
        ("/kv/%252F", b"%2F"),
        ("/kv/a;b=c&d", b"a;b=c&d"),
        ("/v1/kv/%00%FF", b"\x00\xff"),
        ("/kv/{tag}x", b"{tag}x"),
        ("/kv?key_b64=Li4_", b"..?"),
    ];
    for (target, key) in cases {
        assert_eq!(gateway.put(target, key).await.status, 201, "{target}");
        assert_eq!(last_key(&gateway), key, "{target}");
        assert_eq!(gateway.get(target).await.body, key, "{target}");
    }
}

#[tokio::test]
async fn both_prefixes_and_both_forms_name_one_record() {
    let gateway = Gateway::start(&[]).await;
    gateway.put("/kv/a%2Fb", b"value").await;
    for target in ["/kv/a/b", "/v1/kv/a/b", "/kv?key_b64=YS9i", "/v1/kv?key_b64=YS9i"] {
        assert_eq!(gateway.get(target).await.body, b"value", "{target}");
    }
    assert_eq!(gateway.get("/kv/a/b/").await.status, 404);
}

#[tokio::test]
async fn random_keys_and_values_come_back_as_they_went() {
    let gateway = Gateway::start(&[]).await;
    let special = prop::sample::select(b"\x00\xff/%?#.+ &=;{}\"\\".to_vec());
    let byte = prop_oneof![special, any::<u8>()];
    let key = prop::collection::vec(byte, 1..24);
    let value = prop::collection::vec(any::<u8>(), 0..64);
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let tree = (key.clone(), value.clone()).new_tree(&mut runner).expect("any bytes will do");
        let (key, value) = tree.current();
        let path: String = key.iter().map(|byte| escape(*byte)).collect();
        let put = gateway.put(&format!("/kv/{path}"), &value).await;
        assert!(matches!(put.status, 201 | 204), "{key:?}: {put:?}");
        assert_eq!(last_key(&gateway), key);
        let text = URL_SAFE_NO_PAD.encode(&key);
        let got = gateway.get(&format!("/kv?key_b64={text}")).await;
        assert_eq!((got.status, got.body), (200, value), "{key:?}");
    }
}

/// As raw as a request line takes it: only what would end or split the path is escaped.
fn escape(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'+' | b'&' | b'=' | b';' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02x}"),
    }
}

#[tokio::test]
async fn a_key_of_4096_bytes_is_the_longest() {
    let gateway = Gateway::start(&[]).await;
    let longest = "%FF".repeat(4096);
    assert_eq!(gateway.put(&format!("/kv/{longest}"), b"v").await.status, 201);
    assert_eq!(gateway.get(&format!("/kv/{longest}")).await.body, b"v");
    let reply = gateway.get(&format!("/kv/{longest}a")).await;
    assert_eq!(reply.problem(), (400, "bad_key".into(), "not_applied".into()));
    assert_eq!(reply.json()["limit"], 4096);
}
