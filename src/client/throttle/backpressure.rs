//! [`AccountBackpressure`]: delays the requests of an account while its server throttles them.
//!
//! A 429 response to one request affects all requests of the account: none is sent during its
//! `retry-after`, and after it requests are spaced out for a while. Advertised limits are followed
//! before the server has to reject requests. This module must not decide whether a request is
//! retried.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::client::retry::{MAX_RETRY_AFTER, min_retry_delay};
use crate::client::throttle::adaptive_interval::AdaptiveInterval;
use crate::client::throttle::server_limits::{AdvertisedLimits, RequestDemand};
use crate::wire::exchange::{AttemptResult, Response};

/// Shorter waits are not logged.
const MIN_LOGGED_WAIT: Duration = Duration::from_secs(1);

/// The backpressure of one account.
#[derive(Debug)]
pub(crate) struct AccountBackpressure {
    state: Mutex<BackpressureState>,
    /// Notified at the end of each attempt.
    state_changed: Notify,
}

/// The permission for one attempt, which is in flight until the permit is dropped.
#[derive(Debug)]
pub(crate) struct SendPermit<'a> {
    backpressure: &'a AccountBackpressure,
    demand: RequestDemand,
    sent_at: Instant,
}

impl AccountBackpressure {
    pub(crate) fn new(initial_interval: Duration) -> Self {
        // Limited so that no sum of times overflows.
        let initial_interval = initial_interval.min(MAX_RETRY_AFTER);
        let state = Mutex::new(BackpressureState::new(initial_interval, Instant::now()));
        Self { state, state_changed: Notify::new() }
    }

    /// Waits until one more attempt of about this many tokens may be sent.
    pub(crate) async fn acquire(&self, tokens: u32) -> SendPermit<'_> {
        let demand = RequestDemand::from_tokens(tokens);
        let mut is_logged = false;
        loop {
            // Subscribe before reading the state, so that no change in between is missed.
            let change = self.state_changed.notified();
            let now = Instant::now();
            let due = {
                let mut state = self.lock_state();
                let due = state.due_at(demand, now);
                if due <= now {
                    state.record_sent(demand, now);
                    return SendPermit { backpressure: self, demand, sent_at: now };
                }
                due
            };
            let wait = due - now;
            if wait >= MIN_LOGGED_WAIT && !is_logged {
                is_logged = true;
                tracing::info!(wait_ms = wait.as_millis() as u64, "waiting for the limits of the account");
            }
            // Check again after either: the state may have changed, or another request was first.
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = change => {}
            }
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, BackpressureState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SendPermit<'_> {
    /// Learns from the result of the attempt. `date` is the current time, for headers with a date.
    pub(crate) fn record_outcome(&self, result: &AttemptResult, date: Timestamp) {
        if let AttemptResult::Response(response) = result {
            self.backpressure.lock_state().observe_response(response, self.sent_at, Instant::now(), date);
        }
    }
}

impl Drop for SendPermit<'_> {
    fn drop(&mut self) {
        self.backpressure.lock_state().in_flight.subtract(self.demand);
        self.backpressure.state_changed.notify_waiters();
    }
}

/// Decides when the next attempt may be sent. Time is an argument.
#[derive(Debug)]
struct BackpressureState {
    /// No request is sent before this time.
    not_before: Instant,
    last_sent: Option<Instant>,
    /// Learned from throttled responses.
    adaptive_interval: AdaptiveInterval,
    /// Learned from headers.
    advertised_limits: AdvertisedLimits,
    in_flight: RequestDemand,
}

impl BackpressureState {
    fn new(initial_interval: Duration, now: Instant) -> Self {
        Self {
            not_before: now,
            last_sent: None,
            adaptive_interval: AdaptiveInterval::new(initial_interval),
            advertised_limits: AdvertisedLimits::default(),
            in_flight: RequestDemand::default(),
        }
    }

    /// When an attempt may be sent, in the current state.
    fn due_at(&self, demand: RequestDemand, now: Instant) -> Instant {
        let limits = &self.advertised_limits;
        let interval = self.adaptive_interval.interval().max(limits.min_interval(demand, self.in_flight, now));
        let next = self.last_sent.map_or(now, |last| last + interval);
        let unblocked = limits.blocked_until(demand, self.in_flight, now).unwrap_or(now);
        self.not_before.max(next).max(unblocked)
    }

    fn record_sent(&mut self, demand: RequestDemand, now: Instant) {
        self.last_sent = Some(now);
        self.adaptive_interval.on_sent();
        self.in_flight.add(demand);
    }

    fn observe_response(&mut self, response: &Response, sent: Instant, now: Instant, date: Timestamp) {
        if matches!(response.status, 429 | 529) {
            match min_retry_delay(response, date).unwrap_or_default() {
                // A limit that refills continuously need not be full, so a `retry-after` is more
                // exact.
                Duration::ZERO => self.advertised_limits.observe(response, sent, now, date),
                wait if wait <= MAX_RETRY_AFTER => self.not_before = self.not_before.max(now + wait),
                // Too long to wait. The requests fail, and the run soon ends if that goes for all
                // of them.
                _ => {}
            }
            self.adaptive_interval.on_throttled(sent, now);
        } else {
            self.advertised_limits.observe(response, sent, now, date);
            self.adaptive_interval.on_success(sent);
        }
    }
}

#[cfg(test)]
mod tests;
