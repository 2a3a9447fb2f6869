//! Going slower where a server says that it is too much, and faster again once it no longer does.
//!
//! A 429 to one request is news for all: while it asks for a wait, none is sent, and after it they are sent further
//! apart for a while. What the server tells of its own limits is obeyed before it has to refuse. This module never
//! decides whether a request is sent again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::client::retry::{LONGEST_RETRY_AFTER, wait_asked_for};
use crate::client::throttle::adaptive_interval::Gap;
use crate::client::throttle::server_limits::{Load, Told};
use crate::wire::exchange::{AttemptResult, Response};

/// A wait that somebody who looks on would wonder about.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// What all requests to one account wait for.
#[derive(Debug)]
pub(crate) struct Pause {
    state: Mutex<State>,
    /// Rings when an attempt has come to its end.
    news: Notify,
}

/// One attempt that may be sent. It is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Leave<'a> {
    pause: &'a Pause,
    load: Load,
    sent: Instant,
}

impl Pause {
    pub(crate) fn new(first_gap: Duration) -> Self {
        // So that no sum of times overflows.
        let first_gap = first_gap.min(LONGEST_RETRY_AFTER);
        Self { state: Mutex::new(State::new(first_gap, Instant::now())), news: Notify::new() }
    }

    /// Waits until one more attempt of about so many tokens may be sent.
    pub(crate) async fn until_allowed(&self, tokens: u32) -> Leave<'_> {
        let load = Load::one(tokens);
        let mut is_told = false;
        loop {
            // What ends from here on is heard.
            let news = self.news.notified();
            let now = Instant::now();
            let due = {
                let mut state = self.state();
                let due = state.due(load, now);
                if due <= now {
                    state.sent(load, now);
                    return Leave { pause: self, load, sent: now };
                }
                due
            };
            let wait = due - now;
            if wait >= WORTH_TELLING && !is_told {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// Learns from what the attempt brought; `date` is the time of day, for headers with a date.
    pub(crate) fn heard(&self, result: &AttemptResult, date: Timestamp) {
        if let AttemptResult::Response(response) = result {
            self.pause.state().heard(response, self.sent, Instant::now(), date);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.pause.state().under_way.take(self.load);
        self.pause.news.notify_waiters();
    }
}

/// All that decides when the next attempt may be sent. Time comes in as an argument.
#[derive(Debug)]
struct State {
    /// Nothing is sent before.
    not_before: Instant,
    /// When the last was sent.
    last: Option<Instant>,
    /// What refusals taught.
    gap: Gap,
    /// What the server tells of itself.
    told: Told,
    under_way: Load,
}

impl State {
    fn new(first_gap: Duration, now: Instant) -> Self {
        let (gap, told) = (Gap::new(first_gap), Told::default());
        Self { not_before: now, last: None, gap, told, under_way: Load::default() }
    }

    /// When an attempt may be sent, as things stand.
    fn due(&self, load: Load, now: Instant) -> Instant {
        let apart = self.gap.now().max(self.told.apart(load, self.under_way, now));
        let next = self.last.map_or(now, |last| last + apart);
        let until = self.told.until(load, self.under_way, now).unwrap_or(now);
        self.not_before.max(next).max(until)
    }

    fn sent(&mut self, load: Load, now: Instant) {
        self.last = Some(now);
        self.gap.sent();
        self.under_way.add(load);
    }

    fn heard(&mut self, response: &Response, sent: Instant, now: Instant, date: Timestamp) {
        if matches!(response.status, 429 | 529) {
            match wait_asked_for(response, date).unwrap_or_default() {
                // A limit that is filled bit by bit need not be full again: where a wait is asked for, that one counts.
                Duration::ZERO => self.told.hear(response, sent, now, date),
                asked if asked <= LONGEST_RETRY_AFTER => self.not_before = self.not_before.max(now + asked),
                // Nobody waits so long: the refusal stands, and the run finds out soon whether it is that of all.
                _ => {}
            }
            self.gap.refused(sent, now);
        } else {
            self.told.hear(response, sent, now, date);
            self.gap.answered(sent);
        }
    }
}

#[cfg(test)]
mod tests;
