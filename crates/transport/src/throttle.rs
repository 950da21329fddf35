//! How fast snapshots leave this node: a token bucket that all transfers share.
//!
//! Pure: time is passed in. The rate may be another one at each call.

use std::time::Duration;

/// A transfer that was held up by the network for this long may catch up, no more.
const BURST: Duration = Duration::from_millis(50);

/// The bytes that may be sent now.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Below 0 after a chunk that is larger than what was left.
    balance: i64,
    /// The balance counts what was earned up to here.
    at: Duration,
}

impl Bucket {
    /// Takes `bytes` at the time `now`, or returns how long it is until they can be taken, at a rate
    /// of `rate` bytes per second. The first caller in debt waits for all that was taken before it.
    pub(crate) fn take(&mut self, bytes: u64, now: Duration, rate: u64) -> Result<(), Duration> {
        let earned = signed(in_time(now.saturating_sub(self.at), rate));
        let most = signed(in_time(BURST, rate));
        self.balance = self.balance.saturating_add(earned).min(most);
        self.at = self.at.max(now);
        if self.balance < 0 {
            let missing = self.balance.unsigned_abs();
            return Err(Duration::from_secs_f64(missing as f64 / rate.max(1) as f64));
        }
        self.balance = self.balance.saturating_sub(signed(bytes));
        Ok(())
    }
}

/// What a rate comes to in a time, in bytes.
fn in_time(time: Duration, rate: u64) -> u64 {
    let bytes = time.as_micros().saturating_mul(u128::from(rate)) / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: u64 = 1_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_chunk_goes_at_once_and_the_next_one_waits_for_its_time() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(500, ms(10), RATE), Ok(()));
        assert_eq!(bucket.take(500, ms(10), RATE), Err(ms(490)), "ten milliseconds were earned");
        assert_eq!(bucket.take(500, ms(499), RATE), Err(ms(1)));
        assert_eq!(bucket.take(500, ms(500), RATE), Ok(()));
    }

    #[test]
    fn a_pause_is_caught_up_with_for_a_moment_only() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(50, ms(60_000), RATE), Ok(()));
        assert_eq!(bucket.take(1, ms(60_000), RATE), Ok(()), "the burst is used up exactly");
        assert_eq!(bucket.take(1, ms(60_000), RATE), Err(ms(1)));
    }

    #[test]
    fn a_new_rate_counts_from_the_next_look() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(1_000, ms(0), RATE), Ok(()));
        assert_eq!(bucket.take(1, ms(0), RATE), Err(ms(1_000)));
        assert_eq!(bucket.take(1, ms(0), 10 * RATE), Err(ms(100)));
        assert_eq!(bucket.take(1, ms(100), 10 * RATE), Ok(()));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_allows_and_all_of_it_if_it_is_wanted(
            chunks in prop::collection::vec(1u64..5_000, 1..50),
            rate in 1u64..1_000_000,
        ) {
            let (mut bucket, mut now, mut sent) = (Bucket::default(), Duration::ZERO, 0);
            for chunk in &chunks {
                // Rounded down to whole bytes, so a few looks may be needed.
                while let Err(wait) = bucket.take(*chunk, now, rate) {
                    now += wait + Duration::from_micros(1);
                }
                prop_assert!(sent <= in_time(now + BURST, rate), "{sent} bytes at {now:?}");
                sent += chunk;
            }
            let needed = sent - chunks.last().expect("at least one");
            let waited = Duration::from_secs_f64(needed as f64 / rate as f64);
            prop_assert!(now <= waited + Duration::from_millis(1) * 50, "{now:?} for {needed}");
        }

        #[test]
        fn extremes_do_not_overflow(bytes: u64, at in 0u64..u64::MAX / 2, rate: u64) {
            let mut bucket = Bucket::default();
            let _ = bucket.take(bytes, Duration::from_micros(at), rate);
            let _ = bucket.take(u64::MAX, Duration::MAX, u64::MAX);
            let _ = bucket.take(u64::MAX, Duration::ZERO, 0);
        }
    }
}
