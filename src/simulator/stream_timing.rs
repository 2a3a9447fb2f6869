//! How fast a stream goes out: a model takes its time over a long answer, and a client can see that it does.

use std::time::Duration;

/// The records of an answer that is long.
const LONG_STREAM_RECORDS: usize = 30;

/// The most pauses in one stream, so that a very long answer takes no very long time.
const MAX_PAUSES: usize = 200;

/// The pause of a long answer.
const LONG_STREAM_PAUSE: Duration = Duration::from_millis(1);

/// When a stream rests, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamTiming {
    pause: Duration,
    /// It rests before each record of which this is a factor.
    interval_records: usize,
}

impl StreamTiming {
    /// The pace of so many records, where the server itself is that slow between any two.
    pub fn new(records: usize, slowness: Duration) -> Self {
        match (slowness.is_zero(), records > LONG_STREAM_RECORDS) {
            (false, _) => Self { pause: slowness, interval_records: 1 },
            (true, true) => Self { pause: LONG_STREAM_PAUSE, interval_records: records.div_ceil(MAX_PAUSES) },
            (true, false) => Self { pause: Duration::ZERO, interval_records: 1 },
        }
    }

    /// The pause before a record.
    pub fn delay_before(self, record: usize) -> Duration {
        if record > 0 && record.is_multiple_of(self.interval_records) { self.pause } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_take_time_and_very_long_ones_not_much_more() {
        let time =
            |pace: StreamTiming, records: usize| (0..records).map(|record| pace.delay_before(record)).sum::<Duration>();
        let whole = |records| time(StreamTiming::new(records, Duration::ZERO), records);
        assert_eq!(whole(30), Duration::ZERO);
        assert_eq!(whole(60), Duration::from_millis(59));
        assert!(whole(20_000) <= Duration::from_millis(200));
        assert_eq!(time(StreamTiming::new(3, Duration::from_secs(1)), 3), Duration::from_secs(2));
    }
}
