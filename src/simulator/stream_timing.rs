//! The timing of a stream: [`StreamTiming`] adds pauses, so that a long response takes time as with
//! a real model.

use std::time::Duration;

/// The number of events from which a stream is long.
const LONG_STREAM_EVENTS: usize = 30;

/// The largest number of pauses in a stream, so that very long responses stay fast.
const MAX_PAUSES: usize = 200;

/// The pause between the events of a long stream.
const LONG_STREAM_PAUSE: Duration = Duration::from_millis(1);

/// The pauses of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamTiming {
    pause: Duration,
    /// The number of events between two pauses.
    interval_events: usize,
}

impl StreamTiming {
    /// The timing of a stream with this number of events. `delay` is the configured delay between
    /// events.
    pub fn new(events: usize, delay: Duration) -> Self {
        match (delay.is_zero(), events > LONG_STREAM_EVENTS) {
            (false, _) => Self { pause: delay, interval_events: 1 },
            (true, true) => Self { pause: LONG_STREAM_PAUSE, interval_events: events.div_ceil(MAX_PAUSES) },
            (true, false) => Self { pause: Duration::ZERO, interval_events: 1 },
        }
    }

    /// The pause before an event.
    pub fn delay_before(self, event: usize) -> Duration {
        if event > 0 && event.is_multiple_of(self.interval_events) { self.pause } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_streams_take_time_and_very_long_ones_not_much_more() {
        let total =
            |timing: StreamTiming, events: usize| (0..events).map(|event| timing.delay_before(event)).sum::<Duration>();
        let duration = |events| total(StreamTiming::new(events, Duration::ZERO), events);
        assert_eq!(duration(30), Duration::ZERO);
        assert_eq!(duration(60), Duration::from_millis(59));
        assert!(duration(20_000) <= Duration::from_millis(200));
        assert_eq!(total(StreamTiming::new(3, Duration::from_secs(1)), 3), Duration::from_secs(2));
    }
}
