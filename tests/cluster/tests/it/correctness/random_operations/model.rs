//! The model of a store: expected answers, and the keys and values of the operations.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngCore};

/// The longest key and the largest value that a cluster accepts by default.
const KEY_BYTES_MAX: usize = 4096;
const VALUE_BYTES_MAX: usize = 1024 * 1024;
const KEYS_PER_WORKER: usize = 40;

/// The expected state of one key.
#[derive(Clone, Debug)]
pub(super) struct Present {
    pub value: Bytes,
    pub revision: u64,
    pub content_type: Option<&'static str>,
}

/// A key and its expected record.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: Vec<u8>,
    pub present: Option<Present>,
}

/// The keys of one worker, distinct from those of all others.
pub(super) struct Keys {
    pub entries: Vec<Entry>,
}

impl Keys {
    /// Keys of 1 B, of 4 KiB, with slashes, dots, percent signs, tags and random bytes.
    pub(super) fn new(worker: usize) -> Self {
        use rand::SeedableRng;
        let mark = u8::try_from(worker).expect("few workers");
        // Fixed, so that a seed of operations always uses the same keys.
        let mut rng = StdRng::seed_from_u64(worker as u64);
        let mut keys = vec![vec![mark]];
        for shape in [
            &b"//double//slash/"[..],
            b"./dots/../and/./more",
            b"..",
            b"percent%2Fpercent%zz%",
            b"a?query=1#fragment",
            b"{tag}/in/one/slot",
            b"{}/empty tag {x}",
            b"plus+and space",
            b"\0zero\xff\xfe",
        ] {
            let mut key = shape.to_vec();
            // At the end, so that the key begins with the special form; `..` stays a segment.
            key.extend([b'/', b'0' + mark]);
            keys.push(key);
        }
        let longest = std::iter::once(KEY_BYTES_MAX).chain([KEY_BYTES_MAX - 1]);
        let random = std::iter::repeat_with(|| 3).take(KEYS_PER_WORKER);
        for length in longest.chain(random) {
            let length = if length == 3 { rng.random_range(3..200) } else { length };
            let mut key = vec![0; length];
            rng.fill_bytes(&mut key);
            // The first and the last byte differ from those of every other worker's random keys.
            key[0] = 0x80 + mark;
            keys.push(key);
        }
        let entries = keys.into_iter().map(|key| Entry { key, present: None }).collect();
        Self { entries }
    }
}

/// Mostly small values of random bytes; some empty, some large, a few of the largest size.
pub(super) fn value(rng: &mut StdRng) -> Bytes {
    let length = match rng.random_range(0..1000) {
        0..60 => 0,
        60..950 => rng.random_range(1..400),
        950..994 => rng.random_range(1_000..64_000),
        _ => VALUE_BYTES_MAX,
    };
    let mut value = vec![0; length];
    rng.fill_bytes(&mut value);
    value.into()
}
