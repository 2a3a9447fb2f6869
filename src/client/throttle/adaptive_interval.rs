//! The distance that requests are kept apart after refusals: refusals widen it, and answers bring it down again.
//!
//! This is for servers that say nothing of their limits. A server with a limit takes as many requests between two
//! refusals as its limit allows, so the second of them tells the pace that it takes; it is gone back to after each
//! refusal, and passed only carefully. A server that refuses for other reasons does so at that pace as well; then
//! nothing was learned, and requests are not kept apart for it. This module knows no headers, and time comes in as an
//! argument.

use std::time::{Duration, Instant};

/// No two requests are kept further apart than so many times the first gap: a server that wants longer waits says so.
const WIDEST: u32 = 64;

/// One refusal among so many requests tells a pace; among fewer, that it is far too fast.
const ENOUGH: u32 = 5;

/// Beyond so many times the known pace, refusals say no more of it: a window is used up that opens again by itself.
const BEYOND: u32 = 4;

/// At the known pace, the nth answer brings requests n of so many parts nearer: the limit is tried now and then, though
/// not more often than one request in ten is refused.
const PARTS: u32 = 512;

/// A shorter gap than this is none. A longer one does not vanish at once: all that wait would be sent together.
const SHORTEST: Duration = Duration::from_millis(1);

/// The gap, and what it was learned from.
#[derive(Debug)]
pub(crate) struct Gap {
    /// The gap after the first refusal.
    first: Duration,
    now: Duration,
    /// When requests were last set apart that were not. Answers to those that were sent before say nothing.
    opened: Option<Instant>,
    /// The last refusal that taught something.
    refused: Option<Instant>,
    /// How many requests were sent since.
    sent: u32,
    /// From one request to the next, as the server seems to take them in the long run.
    pace: Option<Duration>,
    /// Answers since the gap was down to the pace.
    at_pace: u32,
}

impl Gap {
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, now: Duration::ZERO, opened: None, refused: None, sent: 0, pace: None, at_pace: 0 }
    }

    /// How far apart requests are kept.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// One more was sent.
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// A request that was sent at `sent` was refused. Those that were under way together are refused together, and are
    /// one sign.
    pub(crate) fn refused(&mut self, sent: Instant, now: Instant) {
        if self.refused.is_some_and(|refused| sent < refused) {
            return;
        }
        if self.now.is_zero() {
            self.opened = Some(now);
        }
        let before = self.refused.filter(|_| self.sent >= ENOUGH);
        let measured = before.map(|before| now.saturating_duration_since(before) / (self.sent - 1));
        let wider = match (measured, self.pace) {
            (None, Some(pace)) if self.now > pace * BEYOND => self.now,
            (None, _) => (self.now * 2).max(self.first),
            (Some(_), Some(pace)) if self.now > pace * 31 / 32 => {
                // The pace was kept, and most requests were answered: it is not the pace that this one is refused for.
                self.pace = None;
                self.now / 2
            }
            (Some(measured), _) => {
                self.pace = Some(measured);
                self.now.max(measured)
            }
        };
        self.now = wider.min(self.first * WIDEST);
        (self.refused, self.sent, self.at_pace) = (Some(now), 0, 0);
    }

    /// A request that was sent at `sent` was answered.
    pub(crate) fn answered(&mut self, sent: Instant) {
        if self.opened.is_some_and(|opened| sent < opened) {
            return;
        }
        let nearer = self.now * 3 / 4;
        self.now = match self.pace {
            Some(pace) if self.now <= pace => {
                self.at_pace += 1;
                self.now * PARTS.saturating_sub(self.at_pace) / PARTS
            }
            Some(pace) => nearer.max(pace),
            None => nearer,
        };
        if self.now < SHORTEST {
            self.now = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(20);

    fn refused(times: u32) -> (Gap, Instant) {
        let (mut gap, now) = (Gap::new(FIRST), Instant::now());
        for _ in 0..times {
            gap.refused(now, now);
        }
        (gap, now)
    }

    /// How many answers bring it to so much or less.
    fn answers_until(gap: &mut Gap, sent: Instant, least: Duration) -> u32 {
        let mut answers = 0;
        while gap.now() > least {
            gap.answered(sent);
            answers += 1;
        }
        answers
    }

    #[test]
    fn each_refusal_doubles_it_up_to_the_widest() {
        for (times, wide) in [(0, 0), (1, 1), (2, 2), (3, 4), (7, 64), (8, 64), (90, 64)] {
            assert_eq!(refused(times).0.now(), FIRST * wide, "{times}");
        }
    }

    #[test]
    fn each_answer_brings_it_a_quarter_nearer() {
        let (mut gap, now) = refused(2);
        gap.answered(now);
        assert_eq!(gap.now(), FIRST * 3 / 2);
        assert_eq!(answers_until(&mut gap, now, Duration::ZERO), 12);
        let (mut gap, now) = refused(90);
        assert_eq!(answers_until(&mut gap, now, Duration::ZERO), 25);
    }

    #[test]
    fn what_a_server_takes_between_two_refusals_is_its_pace_which_is_passed_only_carefully() {
        let (mut gap, start) = refused(1);
        let (pace, at) = (Duration::from_millis(50), |ms: u64| start + Duration::from_millis(ms));
        let ask = |gap: &mut Gap, times: u32| (0..times).for_each(|_| gap.sent());
        ask(&mut gap, 11);
        gap.refused(at(500), at(500));
        assert_eq!(gap.now(), pace);
        assert_eq!(answers_until(&mut gap, at(501), pace * 4 / 5), 15);
        // It was passed, so it is right that this one was refused.
        ask(&mut gap, 21);
        gap.refused(at(1500), at(1500));
        assert_eq!(gap.now(), pace);
        // Refusals in a row: it is too much, whatever the pace was; though not for ever.
        gap.refused(at(1501), at(1501));
        gap.refused(at(1502), at(1502));
        gap.refused(at(1503), at(1503));
        gap.refused(at(1504), at(1504));
        assert_eq!(gap.now(), pace * 8);
        assert_eq!(answers_until(&mut gap, at(1505), pace), 8);
        assert_eq!(answers_until(&mut gap, at(1505), pace * 4 / 5), 15);
        // Nothing is remembered for ever.
        assert_eq!(answers_until(&mut gap, at(1505), Duration::ZERO), 47);
    }

    #[test]
    fn a_refusal_now_and_then_though_the_pace_is_kept_is_not_for_the_pace() {
        let (mut gap, start) = refused(1);
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (ms, gap_ms) in [(500, 100), (1000, 50), (1500, 100), (2000, 50)] {
            (0..6).for_each(|_| gap.sent());
            gap.refused(at(ms), at(ms));
            assert_eq!(gap.now(), Duration::from_millis(gap_ms), "{ms}");
        }
    }

    #[test]
    fn what_was_sent_before_the_first_refusal_changes_nothing() {
        let (mut gap, now) = refused(1);
        let before = now.checked_sub(Duration::from_millis(1)).unwrap();
        for _ in 0..32 {
            gap.refused(before, now);
            gap.answered(before);
        }
        assert_eq!(gap.now(), FIRST);
        gap.answered(now);
        assert!(gap.now() < FIRST);
    }

    #[test]
    fn no_first_gap_is_no_gap() {
        let (mut gap, now) = (Gap::new(Duration::ZERO), Instant::now());
        gap.refused(now, now);
        assert_eq!(gap.now(), Duration::ZERO);
    }
}
