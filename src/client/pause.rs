//! Going slower where a server says that it is too much, and faster again once it no longer does.
//!
//! A 429 to one request is news for all: while it asks for a wait, none is sent, and after it they are sent further
//! apart, each refusal twice as far and each answer somewhat nearer. What the server tells of its own limits
//! (`anthropic-ratelimit-*`) is obeyed before it has to refuse. This module never decides whether a request is sent again.

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
    /// When it was last slowed down: requests that were sent before say nothing of the pace since.
    slowed: Option<Instant>,
}

impl Pause {
    pub(super) fn new(first_gap: Duration) -> Self {
        let now = Instant::now();
        let state = State { not_before: now, gap: Duration::ZERO, next: now, slowed: None };
        Self { first_gap, state: Mutex::new(state) }
    }

    /// Waits until one more attempt may be sent.
    pub(super) async fn until_allowed(&self) {
        loop {
            let until = {
                let mut state = self.state();
                let (now, due) = (Instant::now(), state.not_before.max(state.next));
                if due <= now {
                    state.next = now + state.gap;
                    return;
                }
                due
            };
            // Asked again afterwards: a refusal may have come meanwhile, or another request gone first.
            tokio::time::sleep_until(until).await;
        }
    }

    /// Learns from what an attempt brought that was sent at `sent`; `date` is the time of day, for headers with a date.
    pub(super) fn heard(&self, result: &AttemptResult, sent: Instant, date: Timestamp) {
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
        } else if let Some(wait) = used_up(response, date) {
            state.not_before = state.not_before.max(now + wait.min(LONGEST_RETRY_AFTER));
        } else if state.gap > Duration::ZERO {
            let nearer = state.gap * 3 / 4;
            state.gap = if nearer < self.first_gap / 8 { Duration::ZERO } else { nearer };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long it takes until a limit that has nothing left is filled again, by the server's own account.
fn used_up(response: &Response, date: Timestamp) -> Option<Duration> {
    let of_kind = |kind: &str| {
        let header = |what: &str| response.header(&format!("anthropic-ratelimit-{kind}-{what}"));
        let left: u64 = header("remaining")?.trim().parse().ok()?;
        let reset: Timestamp = header("reset")?.trim().parse().ok()?;
        (left == 0).then(|| Duration::try_from(reset.duration_since(date)).unwrap_or(Duration::ZERO))
    };
    KINDS.into_iter().filter_map(of_kind).max()
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
        pause.heard(&answer(200, &[]), Instant::now(), date());
        pause.heard(&answer(400, &[]), Instant::now(), date());
        assert_eq!(gap(&pause), Duration::ZERO);
        assert!(time_of(&pause, 100).await < GAP);
    }

    #[tokio::test]
    async fn a_wait_that_one_request_is_told_holds_for_all() {
        let pause = Pause::new(Duration::ZERO);
        pause.heard(&answer(429, &[("retry-after", "0.1")]), Instant::now(), date());
        let waited = time_of(&pause, 1).await;
        assert!(waited >= Duration::from_millis(95), "{waited:?}");
    }

    #[tokio::test]
    async fn refusals_set_requests_apart_and_answers_bring_them_together() {
        let pause = Pause::new(GAP);
        pause.heard(&answer(429, &[]), Instant::now(), date());
        assert_eq!(gap(&pause), GAP);
        let waited = time_of(&pause, 4).await;
        assert!(waited >= 3 * GAP - Duration::from_millis(2), "{waited:?}");
        pause.heard(&answer(529, &[]), Instant::now(), date());
        assert_eq!(gap(&pause), 2 * GAP);
        for _ in 0..20 {
            pause.heard(&answer(200, &[]), Instant::now(), date());
        }
        assert_eq!(gap(&pause), Duration::ZERO);
    }

    #[tokio::test]
    async fn requests_that_were_refused_together_count_once() {
        let pause = Pause::new(GAP);
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..32 {
            pause.heard(&answer(429, &[]), sent, date());
        }
        assert_eq!(gap(&pause), GAP);
    }

    #[test]
    fn a_limit_with_nothing_left_is_waited_for_until_it_is_filled() {
        let told = |headers: &[(&str, &str)]| match answer(200, headers) {
            AttemptResult::Response(response) => used_up(&response, date()),
            AttemptResult::Failure(_) => None,
        };
        let requests = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-06T08:49:40Z"),
        ];
        let tokens = [
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-06T08:49:47Z"),
        ];
        assert_eq!(told(&requests), Some(Duration::from_secs(3)));
        assert_eq!(told(&[requests, tokens].concat()), Some(Duration::from_secs(10)));
        assert_eq!(told(&[("anthropic-ratelimit-requests-remaining", "1"), requests[1]]), None);
        assert_eq!(told(&[requests[0], ("anthropic-ratelimit-requests-reset", "soon")]), None);
        assert_eq!(
            told(&[requests[0], ("anthropic-ratelimit-requests-reset", "2020-01-01T00:00:00Z")]),
            Some(Duration::ZERO)
        );
    }

    #[tokio::test]
    async fn no_gap_grows_beyond_the_widest() {
        let pause = Pause::new(GAP);
        for _ in 0..40 {
            pause.heard(&answer(429, &[]), Instant::now(), date());
        }
        assert_eq!(gap(&pause), GAP * WIDEST);
    }
}
