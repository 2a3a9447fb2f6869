//! [`AdaptiveInterval`]: a delay between requests that throttled responses (429, 529) increase and
//! other responses decrease.
//!
//! It is for servers without rate-limit headers. The number of requests accepted between two
//! throttled responses gives an estimate of the rate of the server. The interval returns to that
//! estimate after each throttled response, and goes below it only in small steps. A server may also
//! throttle requests for reasons that do not depend on their rate. In this case, the estimate is
//! dropped and the interval decreases again.
//!
//! This module must not know headers. Callers pass the current time.

use std::time::{Duration, Instant};

/// The maximum interval, as a multiple of the initial one. A server that needs more sends
/// `retry-after`.
const MAX_INTERVAL_FACTOR: u32 = 64;

/// The minimum number of requests between two throttled responses for an estimate of the rate. With
/// fewer requests, the estimated rate is far too high.
const MIN_SAMPLE_REQUESTS: u32 = 5;

/// An interval longer than this multiple of the estimate does not grow. If the server still
/// throttles requests, the quota of its current time window is used up. A longer interval does not
/// help before the next window.
const MAX_WIDENING_FACTOR: u32 = 4;

/// After the interval has reached the estimate, the nth successful response reduces it by n/512.
/// This tests from time to time whether the server accepts a higher rate. At most about one request
/// in ten is throttled.
const PROBE_STEPS: u32 = 512;

/// An interval that is shorter than the estimate by less than one of these parts counts as equal to
/// it.
const ESTIMATE_PARTS: u32 = 32;

/// A shorter interval becomes zero. A longer one does not: at an interval of zero, all waiting
/// requests are sent at the same time.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// The current interval, and the observations behind it.
#[derive(Debug)]
pub(crate) struct AdaptiveInterval {
    /// The interval after the first throttled response.
    initial: Duration,
    interval: Duration,
    /// When the interval last rose from zero. Responses to earlier requests are ignored.
    widened_at: Option<Instant>,
    /// The time of the last throttled response that `on_throttled` did not ignore.
    throttled_at: Option<Instant>,
    /// The number of requests sent since `throttled_at`.
    sent_count: u32,
    /// The estimated interval at which the server accepts all requests.
    sustained_interval: Option<Duration>,
    /// The number of successful responses since the interval reached the estimate.
    successes_at_sustained: u32,
}

impl AdaptiveInterval {
    pub(crate) fn new(initial: Duration) -> Self {
        Self {
            initial,
            interval: Duration::ZERO,
            widened_at: None,
            throttled_at: None,
            sent_count: 0,
            sustained_interval: None,
            successes_at_sustained: 0,
        }
    }

    /// The current delay between requests.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Counts a sent request.
    pub(crate) fn on_sent(&mut self) {
        self.sent_count += 1;
    }

    /// Adapts the interval after a throttled response to a request sent at `sent`. Requests in
    /// flight at the same time are throttled together, so only the first of their responses counts.
    pub(crate) fn on_throttled(&mut self, sent: Instant, now: Instant) {
        if self.throttled_at.is_some_and(|throttled| sent < throttled) {
            return;
        }
        if self.interval.is_zero() {
            self.widened_at = Some(now);
        }
        let previous = self.throttled_at.filter(|_| self.sent_count >= MIN_SAMPLE_REQUESTS);
        let measured = previous.map(|previous| now.saturating_duration_since(previous) / (self.sent_count - 1));
        let interval = match (measured, self.sustained_interval) {
            (None, Some(sustained)) if self.interval > sustained * MAX_WIDENING_FACTOR => self.interval,
            (None, _) => (self.interval * 2).max(self.initial),
            (Some(_), Some(sustained)) if self.interval > sustained * (ESTIMATE_PARTS - 1) / ESTIMATE_PARTS => {
                // The requests did not exceed the estimated rate and most of them succeeded, so the
                // server throttles for another reason.
                self.sustained_interval = None;
                self.interval / 2
            }
            (Some(measured), _) => {
                self.sustained_interval = Some(measured);
                self.interval.max(measured)
            }
        };
        self.interval = interval.min(self.initial * MAX_INTERVAL_FACTOR);
        (self.throttled_at, self.sent_count, self.successes_at_sustained) = (Some(now), 0, 0);
    }

    /// Reduces the interval after a response that is not throttled, to a request sent at `sent`.
    pub(crate) fn on_success(&mut self, sent: Instant) {
        if self.widened_at.is_some_and(|widened| sent < widened) {
            return;
        }
        let reduced = self.interval * 3 / 4;
        self.interval = match self.sustained_interval {
            Some(sustained) if self.interval <= sustained => {
                self.successes_at_sustained += 1;
                self.interval * PROBE_STEPS.saturating_sub(self.successes_at_sustained) / PROBE_STEPS
            }
            Some(sustained) => reduced.max(sustained),
            None => reduced,
        };
        if self.interval < MIN_INTERVAL {
            self.interval = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL_INTERVAL: Duration = Duration::from_millis(20);

    fn throttled_interval(times: u32) -> (AdaptiveInterval, Instant) {
        let (mut interval, now) = (AdaptiveInterval::new(INITIAL_INTERVAL), Instant::now());
        for _ in 0..times {
            interval.on_throttled(now, now);
        }
        (interval, now)
    }

    /// The number of successes that reduce the interval to `target` or less.
    fn count_successes_until(interval: &mut AdaptiveInterval, sent: Instant, target: Duration) -> u32 {
        let mut successes = 0;
        while interval.interval() > target {
            interval.on_success(sent);
            successes += 1;
        }
        successes
    }

    #[test]
    fn each_throttled_response_doubles_the_interval_up_to_the_maximum() {
        for (times, factor) in [(0, 0), (1, 1), (2, 2), (3, 4), (7, 64), (8, 64), (90, 64)] {
            assert_eq!(throttled_interval(times).0.interval(), INITIAL_INTERVAL * factor, "{times}");
        }
    }

    #[test]
    fn each_success_reduces_the_interval_by_a_quarter() {
        let (mut interval, now) = throttled_interval(2);
        interval.on_success(now);
        assert_eq!(interval.interval(), INITIAL_INTERVAL * 3 / 2);
        assert_eq!(count_successes_until(&mut interval, now, Duration::ZERO), 12);
        let (mut interval, now) = throttled_interval(90);
        assert_eq!(count_successes_until(&mut interval, now, Duration::ZERO), 25);
    }

    #[test]
    fn the_interval_returns_to_the_estimated_rate_and_probes_below_it() {
        let (mut interval, start) = throttled_interval(1);
        let (sustained, at) = (Duration::from_millis(50), |ms: u64| start + Duration::from_millis(ms));
        let send = |interval: &mut AdaptiveInterval, times: u32| (0..times).for_each(|_| interval.on_sent());
        send(&mut interval, 11);
        interval.on_throttled(at(500), at(500));
        assert_eq!(interval.interval(), sustained);
        assert_eq!(count_successes_until(&mut interval, at(501), sustained * 4 / 5), 15);
        // The interval was below the estimate, so the throttled response confirms the estimate.
        send(&mut interval, 21);
        interval.on_throttled(at(1500), at(1500));
        assert_eq!(interval.interval(), sustained);
        // Consecutive throttled responses widen the interval beyond the estimate, for a while.
        interval.on_throttled(at(1501), at(1501));
        interval.on_throttled(at(1502), at(1502));
        interval.on_throttled(at(1503), at(1503));
        interval.on_throttled(at(1504), at(1504));
        assert_eq!(interval.interval(), sustained * 8);
        assert_eq!(count_successes_until(&mut interval, at(1505), sustained), 8);
        assert_eq!(count_successes_until(&mut interval, at(1505), sustained * 4 / 5), 15);
        // Many successful responses reduce the interval to zero.
        assert_eq!(count_successes_until(&mut interval, at(1505), Duration::ZERO), 47);
    }

    #[test]
    fn throttled_responses_at_the_sustained_rate_drop_the_estimate() {
        let (mut interval, start) = throttled_interval(1);
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (ms, expected_ms) in [(500, 100), (1000, 50), (1500, 100), (2000, 50)] {
            (0..6).for_each(|_| interval.on_sent());
            interval.on_throttled(at(ms), at(ms));
            assert_eq!(interval.interval(), Duration::from_millis(expected_ms), "{ms}");
        }
    }

    #[test]
    fn requests_sent_before_the_first_throttled_response_are_ignored() {
        let (mut interval, now) = throttled_interval(1);
        let before = now.checked_sub(Duration::from_millis(1)).unwrap();
        for _ in 0..32 {
            interval.on_throttled(before, now);
            interval.on_success(before);
        }
        assert_eq!(interval.interval(), INITIAL_INTERVAL);
        interval.on_success(now);
        assert!(interval.interval() < INITIAL_INTERVAL);
    }

    #[test]
    fn an_initial_interval_of_zero_stays_zero() {
        let (mut interval, now) = (AdaptiveInterval::new(Duration::ZERO), Instant::now());
        interval.on_throttled(now, now);
        assert_eq!(interval.interval(), Duration::ZERO);
    }
}
