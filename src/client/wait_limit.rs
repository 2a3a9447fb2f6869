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

/// The requests that end at their timeout may together take this many times the longest wait.
const MAX_LOST_WAITS: u32 = 12;

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
    /// The time of requests that ended at their timeout, and of those with a response.
    lost: Duration,
    answered: Duration,
    /// Set once a limit is exceeded. Then nothing more is sent.
    exceeded: Option<ExceededLimit>,
}

/// Why nothing more is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExceededLimit {
    /// No request was let through.
    Wait,
    /// The requests that did not end took too long.
    LostTime,
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
        if now >= deadline && state.in_flight == 0 {
            state.exceeded.get_or_insert(ExceededLimit::Wait);
        }
        let check_at = if now < deadline { deadline } else { now + IN_FLIGHT_CHECK_INTERVAL };
        state.exceeded.is_none().then_some(check_at)
    }

    /// Notes the length of a wait.
    fn record_wait(&self, wait: Duration) {
        self.lock().is_slow = wait > MAX_USUAL_WAIT;
    }

    /// Notes the start of an attempt.
    pub fn record_start(&self) {
        self.lock().in_flight += 1;
    }

    /// Notes the end of an attempt that took this time. An answer ends the wait. An endpoint that
    /// answers some requests at once must not let each of the others take the whole timeout.
    pub fn record_end(&self, result: &AttemptResult, duration: Duration) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        match result {
            _ if is_timeout(result) => state.lost += duration,
            AttemptResult::Response(_) => state.answered += duration,
            AttemptResult::Failure(_) => {}
        }
        if state.lost > self.max_wait * MAX_LOST_WAITS && state.lost > state.answered {
            state.exceeded.get_or_insert(ExceededLimit::LostTime);
        }
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
        let state = self.lock();
        let message = match state.exceeded {
            Some(ExceededLimit::LostTime) => format!(
                "{host_and_port} did not end its responses: requests that ended at the timeout took {} s, longer than \
                 all others. A shorter --timeout loses less time; --max-wait waits longer",
                state.lost.as_secs()
            ),
            Some(ExceededLimit::Wait) | None => format!(
                "{host_and_port} let no request through for {} s (429 or 5xx responses, or rate-limit headers). \
                 --max-wait waits longer",
                self.max_wait.as_secs()
            ),
        };
        AttemptFailure { kind: FailureKind::Timeout, message }
    }

    fn lock(&self) -> MutexGuard<'_, WaitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if the response did not begin or did not end within the timeout.
fn is_timeout(result: &AttemptResult) -> bool {
    let failure = match result {
        AttemptResult::Response(response) => response.cut.as_ref(),
        AttemptResult::Failure(failure) => Some(failure),
    };
    failure.is_some_and(|failure| failure.kind == FailureKind::Timeout)
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
            limit.record_end(&response(status), Duration::ZERO);
            assert_eq!(limit.next_check(at(100)), Some(at(300)), "{status} is no answer");
        }
        limit.record_start();
        limit.record_end(&response(400), Duration::ZERO);
        assert_eq!(limit.next_check(at(200)), Some(at(500)), "any other response is an answer");
        assert_eq!(limit.next_check(at(499)), Some(at(500)));
        assert_eq!(limit.next_check(at(500)), None);
        limit.record_start();
        limit.record_end(&response(200), Duration::ZERO);
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
        limit.record_end(&response(200), Duration::ZERO);
        assert_eq!(limit.next_check(at(901)), Some(at(1201)));
        limit.record_start();
        limit.record_end(&response(429), Duration::ZERO);
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
            limit.record_end(&response(200), Duration::ZERO);
            assert_eq!(limit.next_check(at(200)) == Some(at(300)), is_limited);
        }
    }

    #[test]
    fn requests_that_do_not_end_may_not_take_most_of_the_time() {
        let timeout = || {
            let mut result = response(200);
            if let AttemptResult::Response(response) = &mut result {
                response.cut = Some(AttemptFailure { kind: FailureKind::Timeout, message: String::new() });
            }
            result
        };
        let seconds = Duration::from_secs;
        for (answered, may_go_on) in [(0, false), (2, false), (5000, true)] {
            let limit = WaitLimit::new(seconds(300));
            limit.record_end(&response(200), seconds(answered));
            for _ in 0..6 {
                limit.record_end(&timeout(), seconds(600));
                assert!(limit.next_check(Instant::now()).is_some(), "an hour may be lost");
            }
            limit.record_end(&timeout(), seconds(600));
            assert_eq!(limit.next_check(Instant::now()).is_some(), may_go_on, "{answered}");
            assert_eq!(limit.failure("h:1").message.contains("did not end its responses"), !may_go_on);
        }
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_future_or_with_the_limit() {
        let limit = WaitLimit::new(Duration::from_millis(1));
        assert_eq!(limit.limit(std::future::ready(7)).await, Some(7));
        assert_eq!(limit.limit(std::future::pending::<()>()).await, None);
    }
}
