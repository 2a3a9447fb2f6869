//! Going slower where a server says that it is too much, and faster again once it no longer does.
//!
//! A 429 to one request is news for all: while it asks for a wait, none is sent, and after it they are sent further
//! apart, each refusal twice as far and each answer somewhat nearer. What the server tells of its own limits
//! (`anthropic-ratelimit-*`) is obeyed before it has to refuse: where half of a limit is used up, what is left is spread
//! over the time until it is filled again. This module never decides whether a request is sent again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::retry::{LONGEST_RETRY_AFTER, wait_asked_for};
use crate::wire::exchange::{AttemptResult, Response};

/// No two requests are kept further apart than so many times the first gap: a server that wants longer waits says so.
const WIDEST: u32 = 64;

/// The kinds of limit that the Messages API tells of, as they stand in its headers' names.
const KINDS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];

/// What all requests to one account wait for.
#[derive(Debug)]
pub(super) struct Pause {
    /// The gap after the first refusal.
    first_gap: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Nothing is sent before.
    not_before: Instant,
    /// The distance that requests are kept apart.
    gap: Duration,
    /// When the next may go out, by the gap.
    next: Instant,
    /// The distance that the server's own account of its limits asks for, and until when.
    spread: Option<(Duration, Instant)>,
    /// When it was last slowed down: requests that were sent before say nothing of the pace since.
    slowed: Option<Instant>,
}

impl Pause {
    pub(super) fn new(first_gap: Duration) -> Self {
        let now = Instant::now();
        let state = State { not_before: now, gap: Duration::ZERO, next: now, spread: None, slowed: None };
        Self { first_gap, state: Mutex::new(state) }
    }

    /// Waits until one more attempt may be sent.
    pub(super) async fn until_allowed(&self) {
        loop {
            let until = {
                let mut state = self.state();
                let (now, due) = (Instant::now(), state.not_before.max(state.next));
                if due <= now {
                    state.next = now + state.gap.max(state.spread_at(now));
                    return;
                }
                due
            };
            // Asked again afterwards: a refusal may have come meanwhile, or another request gone first.
            tokio::time::sleep_until(until).await;
        }
    }

    /// Learns from what an attempt of about so many tokens brought that was sent at `sent`; `date` is the time of day, for
    /// headers with a date.
    pub(super) fn heard(&self, result: &AttemptResult, tokens: u32, sent: Instant, date: Timestamp) {
        let AttemptResult::Response(response) = result else { return };
        let now = Instant::now();
        let mut state = self.state();
        if matches!(response.status, 429 | 529) {
            let asked = wait_asked_for(response, date).unwrap_or(Duration::ZERO).min(LONGEST_RETRY_AFTER);
            state.not_before = state.not_before.max(now + asked);
            // Requests that were under way together are refused together, and are one sign.
            if state.slowed.is_none_or(|slowed| sent >= slowed) {
                state.gap = (state.gap * 2).clamp(self.first_gap, self.first_gap * WIDEST);
                state.slowed = Some(now);
            }
            return;
        }
        let told: Vec<Left> = KINDS.into_iter().filter_map(|kind| Left::of(response, kind, date)).collect();
        if let Some(wait) = told.iter().filter(|left| left.remaining == 0).map(|left| left.reset).max() {
            state.not_before = state.not_before.max(now + wait.min(LONGEST_RETRY_AFTER));
            return;
        }
        if !told.is_empty() {
            let widest = told.iter().filter_map(|left| Some((left.spread(tokens)?, now + left.reset))).max();
            state.spread = widest.map(|(gap, until)| (gap.min(LONGEST_RETRY_AFTER), until));
        }
        if state.gap > Duration::ZERO {
            let nearer = state.gap * 3 / 4;
            state.gap = if nearer < self.first_gap / 8 { Duration::ZERO } else { nearer };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn spread_at(&self, now: Instant) -> Duration {
        self.spread.filter(|(_, until)| now < *until).map_or(Duration::ZERO, |(gap, _)| gap)
    }
}

/// What is left of one kind of limit, by the server's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    counts_tokens: bool,
    limit: Option<u64>,
    remaining: u64,
    /// Until it is filled again.
    reset: Duration,
}

impl Left {
    fn of(response: &Response, kind: &str, date: Timestamp) -> Option<Self> {
        let header = |what: &str| response.header(&format!("anthropic-ratelimit-{kind}-{what}"));
        let reset: Timestamp = header("reset")?.trim().parse().ok()?;
        Some(Self {
            counts_tokens: kind != "requests",
            limit: header("limit").and_then(|limit| limit.trim().parse().ok()),
            remaining: header("remaining")?.trim().parse().ok()?,
            reset: Duration::try_from(reset.duration_since(date)).unwrap_or(Duration::ZERO),
        })
    }

    /// How far apart requests of so many tokens are to be, so that what is left lasts until the limit is filled again.
    /// `None` while there is plenty.
    fn spread(self, tokens: u32) -> Option<Duration> {
        let used = self.limit.map_or(0, |limit| limit.saturating_sub(self.remaining));
        if self.limit.is_some() && used < self.remaining {
            return None;
        }
        // A limit that fills up bit by bit gives back by then what is used up; one that fills at once keeps what is left.
        let lasts = self.remaining.max(used).max(1);
        let of_one = if self.counts_tokens { f64::from(tokens) } else { 1.0 };
        Some(self.reset.min(LONGEST_RETRY_AFTER).mul_f64((of_one / lasts as f64).min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::Body;

    const GAP: Duration = Duration::from_millis(20);

    fn answer(status: u16, headers: &[(&str, &str)]) -> AttemptResult {
        AttemptResult::Response(Response {
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: Body::default(),
            arrivals: Vec::new(),
            cut: None,
        })
    }

    fn date() -> Timestamp {
        "2026-11-06T08:49:37Z".parse().unwrap()
    }

    async fn time_of(pause: &Pause, requests: u32) -> Duration {
        let started = Instant::now();
        for _ in 0..requests {
            pause.until_allowed().await;
        }
        started.elapsed()
    }

    fn gap(pause: &Pause) -> Duration {
        pause.state().gap
    }

    #[tokio::test]
    async fn nothing_is_slowed_until_the_server_asks_for_it() {
        let pause = Pause::new(GAP);
        pause.heard(&answer(200, &[]), 1, Instant::now(), date());
        pause.heard(&answer(400, &[]), 1, Instant::now(), date());
        assert_eq!(gap(&pause), Duration::ZERO);
        assert!(time_of(&pause, 100).await < GAP);
    }

    #[tokio::test]
    async fn a_wait_that_one_request_is_told_holds_for_all() {
        let pause = Pause::new(Duration::ZERO);
        pause.heard(&answer(429, &[("retry-after", "0.1")]), 1, Instant::now(), date());
        let waited = time_of(&pause, 1).await;
        assert!(waited >= Duration::from_millis(95), "{waited:?}");
    }

    #[tokio::test]
    async fn refusals_set_requests_apart_and_answers_bring_them_together() {
        let pause = Pause::new(GAP);
        pause.heard(&answer(429, &[]), 1, Instant::now(), date());
        assert_eq!(gap(&pause), GAP);
        let waited = time_of(&pause, 4).await;
        assert!(waited >= 3 * GAP - Duration::from_millis(2), "{waited:?}");
        pause.heard(&answer(529, &[]), 1, Instant::now(), date());
        assert_eq!(gap(&pause), 2 * GAP);
        for _ in 0..20 {
            pause.heard(&answer(200, &[]), 1, Instant::now(), date());
        }
        assert_eq!(gap(&pause), Duration::ZERO);
    }

    #[tokio::test]
    async fn requests_that_were_refused_together_count_once() {
        let pause = Pause::new(GAP);
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..32 {
            pause.heard(&answer(429, &[]), 1, sent, date());
        }
        assert_eq!(gap(&pause), GAP);
    }

    /// What a server tells of one kind: its limit, what is left, and in how many seconds it is filled again.
    fn told(kind: &str, limit: Option<u64>, remaining: u64, seconds: i64) -> Vec<(String, String)> {
        let reset = date() + jiff::SignedDuration::from_secs(seconds);
        let name = |what: &str| format!("anthropic-ratelimit-{kind}-{what}");
        let mut headers = vec![(name("remaining"), remaining.to_string()), (name("reset"), reset.to_string())];
        headers.extend(limit.map(|limit| (name("limit"), limit.to_string())));
        headers
    }

    fn answered(pause: &Pause, headers: &[(String, String)], tokens: u32) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        pause.heard(&answer(200, &headers), tokens, Instant::now(), date());
    }

    fn waits(pause: &Pause) -> Duration {
        pause.state().not_before.saturating_duration_since(Instant::now())
    }

    fn spread(pause: &Pause) -> Duration {
        pause.state().spread_at(Instant::now())
    }

    #[tokio::test]
    async fn a_limit_with_nothing_left_is_waited_for_until_it_is_filled() {
        let seconds = |headers: Vec<(String, String)>| {
            let pause = Pause::new(GAP);
            answered(&pause, &headers, 100);
            (waits(&pause).as_secs_f64()).round() as u64
        };
        assert_eq!(seconds(told("requests", None, 0, 3)), 3);
        assert_eq!(seconds([told("requests", None, 0, 3), told("output-tokens", None, 0, 10)].concat()), 10);
        assert_eq!(seconds(told("requests", None, 1, 3)), 0);
        assert_eq!(seconds(told("requests", None, 0, -1_000_000)), 0);
        assert_eq!(seconds(vec![("anthropic-ratelimit-requests-remaining".to_owned(), "0".to_owned())]), 0);
    }

    #[tokio::test]
    async fn what_is_left_is_spread_over_the_time_until_the_limit_is_filled() {
        let after = |headers: Vec<(String, String)>| {
            let pause = Pause::new(GAP);
            answered(&pause, &headers, 200);
            spread(&pause)
        };
        assert_eq!(after(told("requests", Some(50), 40, 60)), Duration::ZERO, "plenty");
        assert_eq!(after(told("requests", Some(50), 20, 60)), Duration::from_secs(2));
        assert_eq!(after(told("requests", None, 10, 60)), Duration::from_secs(6), "no limit is told");
        assert_eq!(after(told("tokens", Some(40_000), 10_000, 30)), Duration::from_millis(200));
        let both = [told("requests", Some(50), 20, 60), told("input-tokens", Some(1000), 100, 60)].concat();
        assert_eq!(after(both), Duration::from_secs_f64(60.0 * 200.0 / 900.0));
        assert!(after(told("tokens", None, 1, 1_000_000)) <= LONGEST_RETRY_AFTER);
    }

    #[tokio::test]
    async fn once_there_is_plenty_again_nothing_is_spread() {
        let pause = Pause::new(GAP);
        answered(&pause, &told("requests", Some(50), 5, 60), 1);
        assert!(spread(&pause) > Duration::ZERO);
        answered(&pause, &[], 1);
        assert!(spread(&pause) > Duration::ZERO, "an answer that tells nothing takes nothing back");
        answered(&pause, &told("requests", Some(50), 49, 1), 1);
        assert_eq!(spread(&pause), Duration::ZERO);
    }

    #[tokio::test]
    async fn no_gap_grows_beyond_the_widest() {
        let pause = Pause::new(GAP);
        for _ in 0..40 {
            pause.heard(&answer(429, &[]), 1, Instant::now(), date());
        }
        assert_eq!(gap(&pause), GAP * WIDEST);
    }
}
