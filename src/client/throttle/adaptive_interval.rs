//! The distance that requests are kept apart after refusals: refusals widen it, and answers bring it down again.
//!
//! This is for servers that say nothing of their limits. A server with a limit takes as many requests between two
//! refusals as its limit allows, so the second of them tells the pace that it takes; it is gone back to after each
//! refusal, and passed only carefully. A server that refuses for other reasons does so at that pace as well; then
//! nothing was learned, and requests are not kept apart for it. This module knows no headers, and time comes in as an
//! argument.

use std::time::{Duration, Instant};

/// No two requests are kept further apart than so many times the first gap: a server that wants longer waits says so.
const MAX_INTERVAL_FACTOR: u32 = 64;

/// One refusal among so many requests tells a pace; among fewer, that it is far too fast.
const MIN_SAMPLE_REQUESTS: u32 = 5;

/// Beyond so many times the known pace, refusals say no more of it: a window is used up that opens again by itself.
const MAX_WIDENING_FACTOR: u32 = 4;

/// At the known pace, the nth answer brings requests n of so many parts nearer: the limit is tried now and then, though
/// not more often than one request in ten is refused.
const PROBE_STEPS: u32 = 512;

/// A shorter gap than this is none. A longer one does not vanish at once: all that wait would be sent together.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// The gap, and what it was learned from.
#[derive(Debug)]
pub(crate) struct AdaptiveInterval {
    /// The gap after the first refusal.
    initial: Duration,
    interval: Duration,
    /// When requests were last set apart that were not. Answers to those that were sent before say nothing.
    widened_at: Option<Instant>,
    /// The last refusal that taught something.
    throttled_at: Option<Instant>,
    /// How many requests were sent since.
    sent_count: u32,
    /// From one request to the next, as the server seems to take them in the long run.
    sustained_interval: Option<Duration>,
    /// Answers since the gap was down to the pace.
    successes_at_sustained: u32,
}

impl AdaptiveInterval {
    pub(crate) fn new(first: Duration) -> Self {
        Self {
            initial: first,
            interval: Duration::ZERO,
            widened_at: None,
            throttled_at: None,
            sent_count: 0,
            sustained_interval: None,
            successes_at_sustained: 0,
        }
    }

    /// How far apart requests are kept.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// One more was sent.
    pub(crate) fn on_sent(&mut self) {
        self.sent_count += 1;
    }

    /// A request that was sent at `sent` was refused. Those that were under way together are refused together, and are
    /// one sign.
    pub(crate) fn on_throttled(&mut self, sent: Instant, now: Instant) {
        if self.throttled_at.is_some_and(|refused| sent < refused) {
            return;
        }
        if self.interval.is_zero() {
            self.widened_at = Some(now);
        }
        let before = self.throttled_at.filter(|_| self.sent_count >= MIN_SAMPLE_REQUESTS);
        let measured = before.map(|before| now.saturating_duration_since(before) / (self.sent_count - 1));
        let wider = match (measured, self.sustained_interval) {
            (None, Some(pace)) if self.interval > pace * MAX_WIDENING_FACTOR => self.interval,
            (None, _) => (self.interval * 2).max(self.initial),
            (Some(_), Some(pace)) if self.interval > pace * 31 / 32 => {
                // The pace was kept, and most requests were answered: it is not the pace that this one is refused for.
                self.sustained_interval = None;
                self.interval / 2
            }
            (Some(measured), _) => {
                self.sustained_interval = Some(measured);
                self.interval.max(measured)
            }
        };
        self.interval = wider.min(self.initial * MAX_INTERVAL_FACTOR);
        (self.throttled_at, self.sent_count, self.successes_at_sustained) = (Some(now), 0, 0);
    }

    /// A request that was sent at `sent` was answered.
    pub(crate) fn on_success(&mut self, sent: Instant) {
        if self.widened_at.is_some_and(|opened| sent < opened) {
            return;
        }
        let nearer = self.interval * 3 / 4;
        self.interval = match self.sustained_interval {
            Some(pace) if self.interval <= pace => {
                self.successes_at_sustained += 1;
                self.interval * PROBE_STEPS.saturating_sub(self.successes_at_sustained) / PROBE_STEPS
            }
            Some(pace) => nearer.max(pace),
            None => nearer,
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

    fn throttle_times(times: u32) -> (AdaptiveInterval, Instant) {
        let (mut gap, now) = (AdaptiveInterval::new(INITIAL_INTERVAL), Instant::now());
        for _ in 0..times {
            gap.on_throttled(now, now);
        }
        (gap, now)
    }

    /// How many answers bring it to so much or less.
    fn count_successes_until(gap: &mut AdaptiveInterval, sent: Instant, least: Duration) -> u32 {
        let mut answers = 0;
        while gap.interval() > least {
            gap.on_success(sent);
            answers += 1;
        }
        answers
    }

    #[test]
    fn each_refusal_doubles_it_up_to_the_widest() {
        for (times, wide) in [(0, 0), (1, 1), (2, 2), (3, 4), (7, 64), (8, 64), (90, 64)] {
            assert_eq!(throttle_times(times).0.interval(), INITIAL_INTERVAL * wide, "{times}");
        }
    }

    #[test]
    fn each_answer_brings_it_a_quarter_nearer() {
        let (mut gap, now) = throttle_times(2);
        gap.on_success(now);
        assert_eq!(gap.interval(), INITIAL_INTERVAL * 3 / 2);
        assert_eq!(count_successes_until(&mut gap, now, Duration::ZERO), 12);
        let (mut gap, now) = throttle_times(90);
        assert_eq!(count_successes_until(&mut gap, now, Duration::ZERO), 25);
    }

    #[test]
    fn what_a_server_takes_between_two_refusals_is_its_pace_which_is_passed_only_carefully() {
        let (mut gap, start) = throttle_times(1);
        let (pace, at) = (Duration::from_millis(50), |ms: u64| start + Duration::from_millis(ms));
        let ask = |gap: &mut AdaptiveInterval, times: u32| (0..times).for_each(|_| gap.on_sent());
        ask(&mut gap, 11);
        gap.on_throttled(at(500), at(500));
        assert_eq!(gap.interval(), pace);
        assert_eq!(count_successes_until(&mut gap, at(501), pace * 4 / 5), 15);
        // It was passed, so it is right that this one was refused.
        ask(&mut gap, 21);
        gap.on_throttled(at(1500), at(1500));
        assert_eq!(gap.interval(), pace);
        // Refusals in a row: it is too much, whatever the pace was; though not for ever.
        gap.on_throttled(at(1501), at(1501));
        gap.on_throttled(at(1502), at(1502));
        gap.on_throttled(at(1503), at(1503));
        gap.on_throttled(at(1504), at(1504));
        assert_eq!(gap.interval(), pace * 8);
        assert_eq!(count_successes_until(&mut gap, at(1505), pace), 8);
        assert_eq!(count_successes_until(&mut gap, at(1505), pace * 4 / 5), 15);
        // Nothing is remembered for ever.
        assert_eq!(count_successes_until(&mut gap, at(1505), Duration::ZERO), 47);
    }

    #[test]
    fn a_refusal_now_and_then_though_the_pace_is_kept_is_not_for_the_pace() {
        let (mut gap, start) = throttle_times(1);
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (ms, gap_ms) in [(500, 100), (1000, 50), (1500, 100), (2000, 50)] {
            (0..6).for_each(|_| gap.on_sent());
            gap.on_throttled(at(ms), at(ms));
            assert_eq!(gap.interval(), Duration::from_millis(gap_ms), "{ms}");
        }
    }

    #[test]
    fn what_was_sent_before_the_first_refusal_changes_nothing() {
        let (mut gap, now) = throttle_times(1);
        let before = now.checked_sub(Duration::from_millis(1)).unwrap();
        for _ in 0..32 {
            gap.on_throttled(before, now);
            gap.on_success(before);
        }
        assert_eq!(gap.interval(), INITIAL_INTERVAL);
        gap.on_success(now);
        assert!(gap.interval() < INITIAL_INTERVAL);
    }

    #[test]
    fn no_first_gap_is_no_gap() {
        let (mut gap, now) = (AdaptiveInterval::new(Duration::ZERO), Instant::now());
        gap.on_throttled(now, now);
        assert_eq!(gap.interval(), Duration::ZERO);
    }
}
