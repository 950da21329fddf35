//! A stored value with all that is known about it, and its bytes at rest.
//!
//! Layout (little endian): version u8, revision u64, created_ms u64, updated_ms u64, expires_ms
//! u64, attributes (see [`Attributes`]), value, checksum of all before. Built once with one
//! allocation; read in place. A record whose checksum is wrong is never served.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_kv_types::{Metadata, Record};

use crate::format;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 4 * 8;

/// What is decided when a record is written: its revision and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub revision: u64,
    pub created_ms: u64,
    pub updated_ms: u64,
    pub expires_ms: u64,
}

impl Stamp {
    /// Whether the record has expired at this time of the group clock.
    pub fn is_expired(&self, clock_ms: u64) -> bool {
        self.expires_ms != 0 && self.expires_ms <= clock_ms
    }
}

/// The bytes at rest; `attributes` are encoded already.
pub fn encode(stamp: &Stamp, attributes: &[u8], value: &[u8]) -> Bytes {
    let len = HEADER_BYTES + attributes.len() + value.len() + format::SEAL_BYTES;
    let mut out = Vec::with_capacity(len);
    out.put_u8(VERSION);
    out.put_u64_le(stamp.revision);
    out.put_u64_le(stamp.created_ms);
    out.put_u64_le(stamp.updated_ms);
    out.put_u64_le(stamp.expires_ms);
    out.put_slice(attributes);
    out.put_slice(value);
    format::seal(&mut out);
    Bytes::from(out)
}

/// A record at rest, checked, and read in place.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    pub stamp: Stamp,
    pub attributes: Attributes<'a>,
    pub value: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Checks the bytes and finds their parts.
    ///
    /// # Errors
    /// `DecodeError` for a wrong checksum, an unknown version or bytes that are no record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = format::unseal(bytes)?;
        format::take_version(&mut input, VERSION)?;
        let stamp = Stamp {
            revision: input.try_get_u64_le()?,
            created_ms: input.try_get_u64_le()?,
            updated_ms: input.try_get_u64_le()?,
            expires_ms: input.try_get_u64_le()?,
        };
        let attributes = Attributes::take(&mut input)?;
        Ok(Self { stamp, attributes, value: input })
    }

    /// The record in memory, without its value if not asked for.
    pub fn to_record(self, with_value: bool) -> Record {
        Record {
            revision: self.stamp.revision,
            created_ms: self.stamp.created_ms,
            updated_ms: self.stamp.updated_ms,
            expires_ms: (self.stamp.expires_ms != 0).then_some(self.stamp.expires_ms),
            content_type: self.attributes.content_type.to_owned(),
            metadata: self.attributes.metadata(),
            value: if with_value { Bytes::copy_from_slice(self.value) } else { Bytes::new() },
            value_bytes: self.value.len() as u64,
        }
    }
}

/// Content type and metadata as bytes, shared by commands and records so that they are copied,
/// never encoded again: content type length u16, content type, pair count u8, then per pair name
/// length u16, name, value length u16, value; text is UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    pub content_type: &'a str,
    bytes: &'a [u8],
    pairs: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Appends the bytes of the value. Sizes are within the limits that `convert` has checked.
    pub fn encode<'p>(
        content_type: &str,
        pairs: impl ExactSizeIterator<Item = (&'p str, &'p str)>,
        out: &mut Vec<u8>,
    ) {
        put_text(out, content_type);
        out.put_u8(u8::try_from(pairs.len()).expect("the number of pairs is limited"));
        for (name, value) in pairs {
            put_text(out, name);
            put_text(out, value);
        }
    }

    /// Takes the bytes of one value from the front of `input`, all of them checked.
    ///
    /// # Errors
    /// `DecodeError` when they end early or are not UTF-8.
    pub fn take(input: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let whole = *input;
        let content_type = take_text(input)?;
        let pairs = *input;
        for _ in 0..input.try_get_u8()? {
            take_text(input)?;
            take_text(input)?;
        }
        let bytes = &whole[..whole.len() - input.len()];
        let pairs = &pairs[..pairs.len() - input.len()];
        Ok(Self { content_type, bytes, pairs })
    }

    /// The encoded form.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The metadata pairs in order.
    pub fn metadata(&self) -> Vec<Metadata> {
        let mut input = &self.pairs[1..];
        let mut text = || take_text(&mut input).expect("checked when taken").to_owned();
        (0..self.pairs[0]).map(|_| Metadata { name: text(), value: text() }).collect()
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u16_le(u16::try_from(text.len()).expect("the length of text is limited"));
    out.put_slice(text.as_bytes());
}

fn take_text<'a>(input: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let len = input.try_get_u16_le()?;
    let bytes = format::take_bytes(input, usize::from(len))?;
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Implausible("text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec((".{0,12}", ".{0,12}"), 0..5)
    }

    fn attributes(content_type: &str, metadata: &[(String, String)]) -> Vec<u8> {
        let mut out = Vec::new();
        let pairs = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Attributes::encode(content_type, pairs, &mut out);
        out
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was_written(
            numbers in any::<[u64; 4]>(), content_type in ".{0,20}", metadata in pairs(),
            value in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let [revision, created_ms, updated_ms, expires_ms] = numbers;
            let stamp = Stamp { revision, created_ms, updated_ms, expires_ms };
            let attributes = attributes(&content_type, &metadata);
            let bytes = encode(&stamp, &attributes, &value);
            let view = RecordView::decode(&bytes).expect("a record just made");
            prop_assert_eq!(view.attributes.as_bytes(), &attributes[..]);
            let record = Record {
                revision,
                created_ms,
                updated_ms,
                expires_ms: (expires_ms != 0).then_some(expires_ms),
                content_type,
                metadata: metadata
                    .into_iter()
                    .map(|(name, value)| Metadata { name, value })
                    .collect(),
                value_bytes: value.len() as u64, value: Bytes::from(value),
            };
            prop_assert_eq!(view.to_record(true), record.clone());
            prop_assert_eq!(view.to_record(false), Record { value: Bytes::new(), ..record });
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200), sealed in any::<bool>(),
        ) {
            if sealed {
                bytes.insert(0, VERSION);
                format::seal(&mut bytes);
            }
            if let Ok(view) = RecordView::decode(&bytes) {
                view.to_record(true);
            }
        }

        #[test]
        fn damage_is_found_wherever_it_is(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let stamp = Stamp { revision: 1, created_ms: 2, updated_ms: 3, expires_ms: 0 };
            let mut bytes = encode(&stamp, &attributes("text/plain", &[]), b"value").to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(RecordView::decode(&bytes).err(), Some(DecodeError::Checksum));
        }
    }

    #[test]
    fn a_record_expires_at_its_time_and_not_before() {
        let stamp = Stamp { revision: 1, created_ms: 1, updated_ms: 1, expires_ms: 100 };
        assert!(!stamp.is_expired(99));
        assert!(stamp.is_expired(100));
        assert!(!Stamp { expires_ms: 0, ..stamp }.is_expired(u64::MAX));
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let stamp = Stamp { revision: 1, created_ms: 2, updated_ms: 3, expires_ms: 0 };
        let sealed = encode(&stamp, &attributes("", &[]), b"");
        let mut bytes = format::unseal(&sealed).expect("sealed").to_vec();
        bytes[0] = 2;
        format::seal(&mut bytes);
        let refused = RecordView::decode(&bytes).err();
        assert_eq!(refused, Some(DecodeError::Version { found: 2, known: VERSION }));
    }
}
