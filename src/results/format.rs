//! Formats numbers, dates, durations and money for people.

use jiff::Timestamp;

/// A count with separators: `1,200,000`.
pub(crate) fn with_thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 row`, `2 rows`.
pub(crate) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", with_thousands(n), if n == 1 { one } else { many })
}

/// A number with one decimal.
pub(crate) fn one_decimal(n: f64) -> String {
    format!("{n:.1}")
}

/// A duration: `340 ms`, `12.5 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..=59 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// US dollars. Small amounts have four decimals, since most runs cost cents.
pub(crate) fn dollars(usd: f64) -> String {
    if usd.abs() < 1.0 { format!("${usd:.4}") } else { format!("${usd:.2}") }
}

/// An RFC 3339 timestamp, to the minute, in UTC. Any other text is returned unchanged.
pub(crate) fn timestamp(rfc3339: &str) -> String {
    match rfc3339.parse::<Timestamp>() {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!([0, 999, 1_000, 1_200_000].map(with_thousands), ["0", "999", "1,000", "1,200,000"]);
        assert_eq!([0, 1, 2].map(|n| plural(n, "row", "rows")), ["0 rows", "1 row", "2 rows"]);
    }

    #[test]
    fn durations_have_a_suitable_precision() {
        let spans = [340, 1_000, 12_560, 200_000, 7_500_000].map(duration);
        assert_eq!(spans, ["340 ms", "1.0 s", "12.5 s", "3 min 20 s", "2 h 5 min"]);
    }

    #[test]
    fn money_and_timestamps() {
        assert_eq!(dollars(0.01234), "$0.0123");
        assert_eq!(dollars(12.5), "$12.50");
        assert_eq!(timestamp("2026-11-21T18:00:59Z"), "2026-11-21 18:00 UTC");
        assert_eq!(timestamp("2026-11-21T20:00:00+02:00"), "2026-11-21 18:00 UTC");
        assert_eq!(timestamp("yesterday"), "yesterday");
    }
}
