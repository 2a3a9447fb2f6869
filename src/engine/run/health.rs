//! [`EndpointHealth`]: whether the endpoint still answers a plain request, and which responses came
//! while it did not.
//!
//! A rejection counts only if the endpoint was healthy before and after it. Responses that come in a
//! stretch of trouble become void, and their requests are sent again after it. This module must not
//! send anything, and must not know rows.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::response_sign::{ErrorSign, MIN_EQUAL_FAILURES, ResponseSign, classify_response, row_of};
use crate::engine::trouble::TroubleKind;
use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, ExchangeAttempt, FailureKind};
use crate::wire::parsed_exchange::ParsedExchange;

/// The waits before plain requests are sent again in a stretch of trouble.
pub(super) const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// The number of rows with an equal error after which one plain request tests the endpoint, although
/// the error was the true response to a request before.
const MIN_KNOWN_FAILURES: usize = 8;

/// The number of equal errors of several rows at the end of a run after which the endpoint is tested.
const MIN_DOUBTFUL_RESPONSES: usize = 4;

/// The health of the endpoint during a run.
#[derive(Debug, Default)]
pub(super) struct EndpointHealth {
    /// Held while the endpoint is tested. Requests wait for it.
    pub gate: tokio::sync::Mutex<()>,
    /// True once the trouble did not end within the pauses.
    has_failed: AtomicBool,
    state: Mutex<HealthState>,
}

#[derive(Debug, Default)]
struct HealthState {
    /// Counts the starts and the ends of requests.
    now: u64,
    /// The start of the latest answered request.
    last_answer_start: Option<u64>,
    /// Rejections and malformed responses since that start.
    unconfirmed: Vec<OddExchange>,
    /// Errors that came again for the same request while a plain request was answered.
    genuine: HashSet<String>,
    /// The attempts of void exchanges.
    void: HashMap<String, Vec<ExchangeAttempt>>,
    /// The void exchanges whose rows were not restarted yet.
    new_void: HashSet<String>,
}

/// An exchange whose response is not a message.
#[derive(Debug, Clone)]
struct OddExchange {
    exchange: Arc<Exchange>,
    error: String,
    end: u64,
}

/// What a response says about the health of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HealthSign {
    /// Nothing is wrong, or nothing is known.
    Good,
    /// A content filter rejected the request.
    Filtered,
    /// The endpoint may be in trouble.
    Suspicious {
        /// The kind of trouble.
        kind: TroubleKind,
        /// The status and the text, without ids and numbers.
        error: String,
        /// The time of the response.
        end: u64,
    },
}

impl EndpointHealth {
    /// The start of a request.
    pub fn start_request(&self) -> u64 {
        self.lock_state().tick()
    }

    /// True if the run ends because of trouble.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Ends the run because the trouble did not end.
    pub fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// True if a request that was started after this time was answered.
    pub fn is_answering_since(&self, time: u64) -> bool {
        self.lock_state().last_answer_start.is_some_and(|start| start > time)
    }

    /// Records a response to a request that started at `start`.
    pub fn record_response(
        &self,
        start: u64,
        exchange: &Arc<Exchange>,
        parsed: &ParsedExchange,
        model: &str,
    ) -> HealthSign {
        let mut state = self.lock_state();
        let end = state.tick();
        let ErrorSign { error, trouble } = match classify_response(exchange, parsed, model) {
            ResponseSign::Answer => {
                state.record_answer(start);
                return HealthSign::Good;
            }
            ResponseSign::Neutral => return HealthSign::Good,
            ResponseSign::Filtered => return HealthSign::Filtered,
            // Before the first answer, the endpoint may never work.
            ResponseSign::Error(_) if state.last_answer_start.is_none() => return HealthSign::Good,
            ResponseSign::Error(sign) => sign,
        };
        let is_genuine = state.genuine.contains(&error);
        if let Some(kind) = trouble.filter(|_| !is_genuine) {
            return HealthSign::Suspicious { kind, error, end };
        }
        state.unconfirmed.push(OddExchange { exchange: exchange.clone(), error: error.clone(), end });
        let alike = state.unconfirmed.iter().filter(|odd| odd.error == error);
        let requests: HashSet<&str> = alike.map(|odd| row_of(&odd.exchange.id)).collect();
        if requests.len() >= if is_genuine { MIN_KNOWN_FAILURES } else { MIN_EQUAL_FAILURES } {
            // The caller sends it again, so no row uses it.
            state.unconfirmed.pop();
            return HealthSign::Suspicious { kind: TroubleKind::Unknown, error, end };
        }
        HealthSign::Good
    }

    /// Records that the same request got the same error again, while a plain request was answered.
    /// The error is then a response to the request.
    pub fn record_genuine(&self, error: &str) {
        self.lock_state().genuine.insert(error.to_owned());
    }

    /// Records an answered request.
    pub fn record_answer(&self, start: u64) {
        self.lock_state().record_answer(start);
    }

    /// True if the last responses of the run are alike and not answers.
    pub fn has_doubtful_end(&self) -> bool {
        let state = self.lock_state();
        let mut alike: HashMap<&str, Vec<&str>> = HashMap::new();
        for odd in state.unconfirmed.iter().filter(|odd| !state.genuine.contains(&odd.error)) {
            alike.entry(&odd.error).or_default().push(row_of(&odd.exchange.id));
        }
        alike.values().any(|rows| rows.len() >= MIN_DOUBTFUL_RESPONSES && rows.iter().any(|row| *row != rows[0]))
    }

    /// Makes the responses since the last answer void. With an error, only those with this error.
    /// Returns the void exchanges.
    pub fn void_unconfirmed(&self, error: Option<&str>) -> Vec<Exchange> {
        let mut state = self.lock_state();
        let is_void = |odd: &mut OddExchange| error.is_none_or(|error| odd.error == error);
        let odd: Vec<OddExchange> = state.unconfirmed.extract_if(.., is_void).collect();
        odd.into_iter().map(|odd| state.make_void(&odd.exchange)).collect()
    }

    /// Makes one exchange void.
    pub fn void_exchange(&self, exchange: &Exchange) -> Exchange {
        self.lock_state().make_void(exchange)
    }

    /// The attempts of a void exchange.
    pub fn void_attempts(&self, id: &str) -> Option<Vec<ExchangeAttempt>> {
        self.lock_state().void.get(id).cloned()
    }

    /// The exchanges that became void since the last call.
    pub fn take_void(&self) -> HashSet<String> {
        std::mem::take(&mut self.lock_state().new_void)
    }

    fn lock_state(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HealthState {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn record_answer(&mut self, start: u64) {
        self.last_answer_start = self.last_answer_start.max(Some(start));
        self.unconfirmed.retain(|odd| odd.end >= start);
    }

    fn make_void(&mut self, exchange: &Exchange) -> Exchange {
        let mut void = exchange.clone();
        let message = "void: at that time, the endpoint rejected plain requests too".to_owned();
        let result = AttemptResult::Failure(AttemptFailure { kind: FailureKind::Void, message });
        let started_ms = void.last_attempt().map_or(0, |last| last.started_ms.saturating_add(last.duration_ms));
        void.attempts.push(ExchangeAttempt { started_ms, duration_ms: 0, result });
        self.void.insert(void.id.clone(), void.attempts.clone());
        self.new_void.insert(void.id.clone());
        void
    }
}
