//! Trace and span ids: drawn at random, never zero, and as hexadecimal digits.

use opentelemetry::{SpanId, TraceId};

/// An id for a trace that begins here.
pub fn new_trace_id() -> TraceId {
    TraceId::from(rand::random::<u128>().max(1))
}

/// An id for a span that begins here.
pub fn new_span_id() -> SpanId {
    SpanId::from(rand::random::<u64>().max(1))
}

/// The digits of an id, most significant first: without an allocation, for headers.
pub fn hex(id: TraceId) -> [u8; 32] {
    let mut digits = [0; 32];
    write_hex(&id.to_bytes(), &mut digits);
    digits
}

/// Writes two digits for each byte; `digits` has room for just as many.
pub(super) fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_everybody_else_writes() {
        let id = TraceId::from(0x0123_4567_89ab_cdef_0000_0000_0000_000f);
        assert_eq!(hex(id), *b"0123456789abcdef000000000000000f");
        assert_eq!(String::from_utf8(hex(id).to_vec()).unwrap(), id.to_string());
    }
}
