//! The secret with which a node proves that it is the one it says it is.
//!
//! Placement draws it when a node registers for the first time. Owns its form in bytes and in text,
//! and the comparison. Never shown: its `Debug` hides it, and it has no `Display`.

use std::fmt;

/// The length of a secret.
const BYTES: usize = 16;

/// What only a node's data directory and placement know.
#[derive(Clone, Copy)]
pub struct NodeSecret([u8; BYTES]);

impl NodeSecret {
    /// A secret of these bytes; the caller draws them at random.
    pub const fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The secret of a message; `None` for another length.
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for messages and formats only.
    pub fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// 32 hexadecimal digits, for the file that keeps it.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The reverse of [`Self::to_hex`]; `None` for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 2 * BYTES || !text.bytes().all(is_lower_hex) {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Looks at every byte, also after one that differs: the time does not show how many are right.
impl PartialEq for NodeSecret {
    fn eq(&self, other: &Self) -> bool {
        let differing = self
            .0
            .iter()
            .zip(other.0)
            .fold(0, |bits, (ours, theirs)| std::hint::black_box(bits | (ours ^ theirs)));
        differing == 0
    }
}

impl Eq for NodeSecret {}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: NodeSecret =
        NodeSecret::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 171, 12, 13, 14, 255]);

    #[test]
    fn it_is_never_shown() {
        assert_eq!(format!("{SECRET:?} {:?}", Some(SECRET)), "redacted Some(redacted)");
    }

    #[test]
    fn every_byte_counts() {
        for at in 0..BYTES {
            let mut other = *SECRET.bytes();
            other[at] ^= 1;
            assert_ne!(NodeSecret::new(other), SECRET, "byte {at}");
        }
        assert_eq!(NodeSecret::from_wire(SECRET.bytes()), Some(SECRET));
        assert_eq!(NodeSecret::from_wire(&SECRET.bytes()[1..]), None);
        assert_eq!(NodeSecret::from_wire(&[]), None);
    }

    #[test]
    fn its_text_reads_back_and_nothing_else_does() {
        let text = SECRET.to_hex();
        assert_eq!(NodeSecret::from_hex(&text), Some(SECRET));
        for wrong in [
            "",
            "00",
            &text[1..],
            &text.to_uppercase(),
            &text.replace("00", "+0"),
            "äääääääääääääääää",
        ] {
            assert_eq!(NodeSecret::from_hex(wrong), None, "{wrong}");
        }
    }
}
