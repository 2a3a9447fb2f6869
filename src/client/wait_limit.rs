//! [`WaitLimit`]: limits how long a client waits without an answer that is not "try again later".
//!
//! A server decides how long a client waits: by 429 responses, or by headers such as "0 left, reset
//! in 9,999 s". Without a limit, it could keep a run waiting for ever.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::wire::exchange::{AttemptFailure, AttemptResult, FailureKind};

/// The longest wait that a limit per minute causes. If the server lets requests through only after
/// longer waits, its answers do not end the wait.
const MAX_USUAL_WAIT: Duration = Duration::from_secs(61);

/// While a request is in flight, its response may still end the wait.
const IN_FLIGHT_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The wait of all requests of a client.
#[derive(Debug)]
pub(super) struct WaitLimit {
    max_wait: Duration,
    state: Mutex<WaitState>,
}

#[derive(Debug, Default)]
struct WaitState {
    /// The start of the first wait since the last answer.
    waiting_since: Option<Instant>,
    in_flight: usize,
    /// True if the last request waited longer than usual.
    is_slow: bool,
    /// True once the limit is exceeded. Then nothing more is sent.
    is_exceeded: bool,
}

impl WaitLimit {
    pub fn new(max_wait: Duration) -> Self {
        Self { max_wait, state: Mutex::default() }
    }

    /// Waits for a future that the server delays. `None` if the limit is exceeded.
    pub async fn limit<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = std::pin::pin!(wait);
        let started = Instant::now();
        while let Some(check_at) = self.next_check(Instant::now()) {
            tokio::select! {
                biased;
                result = &mut wait => {
                    self.record_wait(started.elapsed());
                    return Some(result);
                }
                () = sleep_until(check_at) => {}
            }
        }
        None
    }

    /// The time of the next check. `None` if the limit is exceeded.
    fn next_check(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let deadline = *state.waiting_since.get_or_insert(now) + self.max_wait;
        state.is_exceeded |= now >= deadline && state.in_flight == 0;
        let check_at = if now < deadline { deadline } else { now + IN_FLIGHT_CHECK_INTERVAL };
        (!state.is_exceeded).then_some(check_at)
    }

    /// Notes the length of a wait.
    fn record_wait(&self, wait: Duration) {
        self.lock().is_slow = wait > MAX_USUAL_WAIT;
    }

    /// Notes the start of an attempt.
    pub fn record_start(&self) {
        self.lock().in_flight += 1;
    }

    /// Notes the end of an attempt. An answer ends the wait.
    pub fn record_end(&self, result: &AttemptResult) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        let is_answer = match result {
            AttemptResult::Response(response) => response.status < 500 && response.status != 429,
            AttemptResult::Failure(_) => false,
        };
        if is_answer && !state.is_slow {
            state.waiting_since = None;
        }
    }

    /// The failure of a request that was not sent, or not again.
    pub fn failure(&self, host_and_port: &str) -> AttemptFailure {
        let message = format!(
            "{host_and_port} let no request through for {} s (429 or 5xx responses, or rate-limit headers). \
             --max-wait waits longer",
            self.max_wait.as_secs()
        );
        AttemptFailure { kind: FailureKind::Timeout, message }
    }

    fn lock(&self) -> MutexGuard<'_, WaitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{BodyBytes, Response};

    fn response(status: u16) -> AttemptResult {
        let (headers, arrivals) = (Vec::new(), Vec::new());
        AttemptResult::Response(Response { status, headers, body: BodyBytes::default(), arrivals, cut: None })
    }

    #[test]
    fn the_wait_counts_from_the_last_answer() {
        let limit = WaitLimit::new(Duration::from_secs(300));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.next_check(start), Some(at(300)));
        for status in [429, 500, 503, 529] {
            limit.record_start();
            limit.record_end(&response(status));
            assert_eq!(limit.next_check(at(100)), Some(at(300)), "{status} is no answer");
        }
        limit.record_start();
        limit.record_end(&response(400));
        assert_eq!(limit.next_check(at(200)), Some(at(500)), "any other response is an answer");
        assert_eq!(limit.next_check(at(499)), Some(at(500)));
        assert_eq!(limit.next_check(at(500)), None);
        limit.record_start();
        limit.record_end(&response(200));
        assert_eq!(limit.next_check(at(501)), None, "the client stopped");
    }

    #[test]
    fn a_request_in_flight_may_still_be_answered() {
        let limit = WaitLimit::new(Duration::from_secs(300));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        limit.next_check(start);
        limit.record_start();
        assert_eq!(limit.next_check(at(900)), Some(at(900) + IN_FLIGHT_CHECK_INTERVAL));
        limit.record_end(&response(200));
        assert_eq!(limit.next_check(at(901)), Some(at(1201)));
        limit.record_start();
        limit.record_end(&response(429));
        assert_eq!(limit.next_check(at(1202)), None);
    }

    #[test]
    fn answers_after_long_waits_do_not_end_the_wait() {
        let limit = WaitLimit::new(Duration::from_secs(300));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (waited, is_limited) in [(120, true), (60, false)] {
            assert_eq!(limit.next_check(start), Some(at(300)));
            limit.record_wait(Duration::from_secs(waited));
            limit.record_start();
            limit.record_end(&response(200));
            assert_eq!(limit.next_check(at(200)) == Some(at(300)), is_limited);
        }
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_future_or_with_the_limit() {
        let limit = WaitLimit::new(Duration::from_millis(1));
        assert_eq!(limit.limit(std::future::ready(7)).await, Some(7));
        assert_eq!(limit.limit(std::future::pending::<()>()).await, None);
    }
}
