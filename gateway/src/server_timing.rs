//! Pure. The `Server-Timing` header: where the time of an answer went, in milliseconds.
//!
//! Written on every answer to a key: one buffer on the stack, no float, no formatting machinery.

use std::time::Duration;

use http::HeaderValue;
use ringkv_client::Timing;

/// Six stages of at most eight letters with at most ten digits each.
const BYTES_MAX: usize = 192;

/// The stages that were passed, then the whole: `queue;dur=0.120, raft;dur=1.400, total;dur=2.001`.
pub(crate) fn header(timing: &Timing, total: Duration) -> HeaderValue {
    let mut line = Line { bytes: [0; BYTES_MAX], length: 0 };
    for (stage, us) in [
        ("queue", timing.queue_us),
        ("raft", timing.raft_us),
        ("fsync", timing.fsync_us),
        ("apply", timing.apply_us),
        ("read", timing.read_us),
    ] {
        if us > 0 {
            line.stage(stage, us);
            line.push(b", ");
        }
    }
    line.stage("total", u32::try_from(total.as_micros()).unwrap_or(u32::MAX));
    HeaderValue::from_bytes(&line.bytes[..line.length]).expect("letters and digits are a header's")
}

struct Line {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        self.bytes[self.length..][..text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    fn stage(&mut self, name: &str, us: u32) {
        self.push(name.as_bytes());
        self.push(b";dur=");
        self.number(us / 1_000, 1);
        self.push(b".");
        self.number(us % 1_000, 3);
    }

    /// In decimal, with zeros in front up to `digits_min`.
    fn number(&mut self, mut number: u32, digits_min: usize) {
        let (mut digits, mut first) = ([b'0'; 10], 10);
        while number > 0 {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.push(&digits[first.min(10 - digits_min)..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_were_passed_come_in_milliseconds_and_the_whole_last() {
        let timing = Timing { queue_us: 120, raft_us: 1_400, fsync_us: 800, ..Timing::default() };
        let header = header(&timing, Duration::from_micros(10_002_003));
        assert_eq!(header, "queue;dur=0.120, raft;dur=1.400, fsync;dur=0.800, total;dur=10002.003");
    }

    #[test]
    fn nothing_and_everything_fit() {
        assert_eq!(header(&Timing::default(), Duration::ZERO), "total;dur=0.000");
        let most = u32::MAX;
        let all =
            Timing { queue_us: most, raft_us: most, fsync_us: most, apply_us: most, read_us: most };
        let header = header(&all, Duration::MAX);
        assert!(header.to_str().unwrap().ends_with("read;dur=4294967.295, total;dur=4294967.295"));
    }
}
