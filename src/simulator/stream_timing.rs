//! How fast a stream goes out: a model takes its time over a long answer, and a client can see that it does.

use std::time::Duration;

/// The records of an answer that is long.
const LONG: usize = 30;

/// The most pauses in one stream, so that a very long answer takes no very long time.
const MOST: usize = 200;

/// The pause of a long answer.
const PAUSE: Duration = Duration::from_millis(1);

/// When a stream rests, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pause: Duration,
    /// It rests before each record of which this is a factor.
    every: usize,
}

impl Pace {
    /// The pace of so many records, where the server itself is that slow between any two.
    pub fn of(records: usize, slowness: Duration) -> Self {
        match (slowness.is_zero(), records > LONG) {
            (false, _) => Self { pause: slowness, every: 1 },
            (true, true) => Self { pause: PAUSE, every: records.div_ceil(MOST) },
            (true, false) => Self { pause: Duration::ZERO, every: 1 },
        }
    }

    /// The pause before a record.
    pub fn before(self, record: usize) -> Duration {
        if record > 0 && record.is_multiple_of(self.every) { self.pause } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_take_time_and_very_long_ones_not_much_more() {
        let time = |pace: Pace, records: usize| (0..records).map(|record| pace.before(record)).sum::<Duration>();
        let whole = |records| time(Pace::of(records, Duration::ZERO), records);
        assert_eq!(whole(30), Duration::ZERO);
        assert_eq!(whole(60), Duration::from_millis(59));
        assert!(whole(20_000) <= Duration::from_millis(200));
        assert_eq!(time(Pace::of(3, Duration::from_secs(1)), 3), Duration::from_secs(2));
    }
}
