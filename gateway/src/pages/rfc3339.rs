//! A point of time as RFC 3339 writes it, in UTC.

const MS_PER_DAY: u64 = 86_400_000;

/// Milliseconds since the Unix epoch as `2026-11-27T20:05:00.250Z`.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / MS_PER_DAY, unix_ms % MS_PER_DAY);
    let (year, month, day) = civil(days);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, ms) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day in the Gregorian calendar of a number of days since the Unix epoch. Years
/// are counted from 1 March, so that a leap day is the last of its year (Hinnant,
/// "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    /// From 1 March of year 0 to 1 January 1970.
    const EPOCH_DAYS: u64 = 719_468;
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_809_906_789), "2026-11-27T20:05:06.789Z");
    }

    #[test]
    fn every_day_is_the_one_that_http_dates_name() {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        for days in (0..150_000).step_by(7) {
            let http = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(days * 86_400));
            let (year, month, day) = civil(days);
            let month = MONTHS[usize::try_from(month).unwrap() - 1];
            assert!(http.contains(&format!("{day:02} {month} {year:04}")), "{http}");
        }
    }
}
