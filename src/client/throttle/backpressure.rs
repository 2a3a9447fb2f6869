//! Going slower where a server says that it is too much, and faster again once it no longer does.
//!
//! A 429 to one request is news for all: while it asks for a wait, none is sent, and after it they are sent further
//! apart for a while. What the server tells of its own limits is obeyed before it has to refuse. This module never
//! decides whether a request is sent again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::client::retry::{MAX_RETRY_AFTER, min_retry_delay};
use crate::client::throttle::adaptive_interval::AdaptiveInterval;
use crate::client::throttle::server_limits::{AdvertisedLimits, RequestDemand};
use crate::wire::exchange::{AttemptResult, Response};

/// A wait that somebody who looks on would wonder about.
const MIN_LOGGED_WAIT: Duration = Duration::from_secs(1);

/// What all requests to one account wait for.
#[derive(Debug)]
pub(crate) struct AccountBackpressure {
    state: Mutex<BackpressureState>,
    /// Rings when an attempt has come to its end.
    state_changed: Notify,
}

/// One attempt that may be sent. It is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct SendPermit<'a> {
    backpressure: &'a AccountBackpressure,
    demand: RequestDemand,
    sent_at: Instant,
}

impl AccountBackpressure {
    pub(crate) fn new(first_gap: Duration) -> Self {
        // So that no sum of times overflows.
        let first_gap = first_gap.min(MAX_RETRY_AFTER);
        Self { state: Mutex::new(BackpressureState::new(first_gap, Instant::now())), state_changed: Notify::new() }
    }

    /// Waits until one more attempt of about so many tokens may be sent.
    pub(crate) async fn acquire(&self, tokens: u32) -> SendPermit<'_> {
        let load = RequestDemand::from_tokens(tokens);
        let mut is_told = false;
        loop {
            // What ends from here on is heard.
            let news = self.state_changed.notified();
            let now = Instant::now();
            let due = {
                let mut state = self.lock_state();
                let due = state.due_at(load, now);
                if due <= now {
                    state.record_sent(load, now);
                    return SendPermit { backpressure: self, demand: load, sent_at: now };
                }
                due
            };
            let wait = due - now;
            if wait >= MIN_LOGGED_WAIT && !is_told {
                is_told = true;
                tracing::info!(wait_ms = wait.as_millis() as u64, "waiting for the account's limits");
            }
            // Asked again afterwards: a refusal may have come meanwhile, or another request gone first.
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = news => {}
            }
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, BackpressureState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SendPermit<'_> {
    /// Learns from what the attempt brought; `date` is the time of day, for headers with a date.
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

/// All that decides when the next attempt may be sent. Time comes in as an argument.
#[derive(Debug)]
struct BackpressureState {
    /// Nothing is sent before.
    not_before: Instant,
    /// When the last was sent.
    last_sent: Option<Instant>,
    /// What refusals taught.
    adaptive_interval: AdaptiveInterval,
    /// What the server tells of itself.
    advertised_limits: AdvertisedLimits,
    in_flight: RequestDemand,
}

impl BackpressureState {
    fn new(first_gap: Duration, now: Instant) -> Self {
        let (gap, told) = (AdaptiveInterval::new(first_gap), AdvertisedLimits::default());
        Self {
            not_before: now,
            last_sent: None,
            adaptive_interval: gap,
            advertised_limits: told,
            in_flight: RequestDemand::default(),
        }
    }

    /// When an attempt may be sent, as things stand.
    fn due_at(&self, load: RequestDemand, now: Instant) -> Instant {
        let apart =
            self.adaptive_interval.interval().max(self.advertised_limits.min_interval(load, self.in_flight, now));
        let next = self.last_sent.map_or(now, |last| last + apart);
        let until = self.advertised_limits.blocked_until(load, self.in_flight, now).unwrap_or(now);
        self.not_before.max(next).max(until)
    }

    fn record_sent(&mut self, load: RequestDemand, now: Instant) {
        self.last_sent = Some(now);
        self.adaptive_interval.on_sent();
        self.in_flight.add(load);
    }

    fn observe_response(&mut self, response: &Response, sent: Instant, now: Instant, date: Timestamp) {
        if matches!(response.status, 429 | 529) {
            match min_retry_delay(response, date).unwrap_or_default() {
                // A limit that is filled bit by bit need not be full again: where a wait is asked for, that one counts.
                Duration::ZERO => self.advertised_limits.observe(response, sent, now, date),
                asked if asked <= MAX_RETRY_AFTER => self.not_before = self.not_before.max(now + asked),
                // Nobody waits so long: the refusal stands, and the run finds out soon whether it is that of all.
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
