//! Sends requests. A request that several rows share is sent one time. Each request needs a slot,
//! must fit the budget and emits an event.
//!
//! This module must not know what a response shows. It knows only whether there is a response,
//! because the run ends if the endpoint stops responding.

use std::collections::HashMap;
use std::future::poll_fn;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::client::{Budget, BudgetReservation, MessagesEndpoint};
use crate::engine::plan::cost::max_cost;
use crate::engine::probes;
use crate::engine::probes::MAX_NO_RESPONSE;
use crate::engine::run::RowRunner;
use crate::engine::run::health::{HealthSign, PAUSES};
use crate::engine::run::scheduler::RowSlot;
use crate::engine::trial::error_in_text;
use crate::engine::trouble::TroubleKind;
use crate::recording::event::RunEvent;
use crate::recording::request_settings::TextForm;
use crate::recording::run::{LIVENESS_ID_PREFIX, Recording};
use crate::variables::TrialValues;
use crate::wire::exchange::{Exchange, ExchangeAttempt, Request};
use crate::wire::message::InterpretedExchange;
use crate::wire::parsed_exchange::{ParsedExchange, has_passed_server_error, parse_exchange};

/// A request that a content filter rejected is sent again up to this number of times.
const MAX_FILTER_RESENDS: u32 = 3;

/// A request whose responses look like trouble is sent again up to this number of times.
const MAX_TROUBLE_RESENDS: u32 = 4;

/// The key of a shared request: its template, the form of its texts, the trial and the step.
pub(super) type SharedRequestKey = (String, TextForm, u32, u32);
pub(super) type SharedRequests = HashMap<SharedRequestKey, Arc<OnceCell<Arc<SentExchange>>>>;

/// An exchange with its parsed last attempt. It is parsed one time for all rows that share it.
pub(super) struct SentExchange {
    pub exchange: Arc<Exchange>,
    pub parsed: ParsedExchange,
}

/// Charges the exchanges of a recording to a budget, even if they exceed it.
pub fn charge_recording(recording: &Recording, budget: &Budget) {
    for exchange in &recording.exchanges {
        let upper_bound = max_cost(&exchange.request, &recording.header.settings);
        settle_reservation(budget.charge(upper_bound, exchange.sent_count()), &parse_exchange(exchange).interpretation);
    }
}

/// Charges the cost of an exchange.
fn settle_reservation(reservation: BudgetReservation<'_>, interpretation: &InterpretedExchange) {
    match interpretation {
        // A message cannot have 0 tokens, so such a count is wrong and the reservation stays.
        InterpretedExchange::Message(m) => {
            let is_valid = |n: &u64| *n > 0 || m.content.is_empty();
            reservation.settle(m.input_tokens().filter(|n| *n > 0), m.output_tokens().filter(is_valid));
        }
        InterpretedExchange::HttpError(_) => reservation.settle(Some(0), Some(0)),
        // The cost of a missing response is unknown, so the reservation stays.
        InterpretedExchange::Malformed(_)
        | InterpretedExchange::UnreadableStream(_)
        | InterpretedExchange::NoResponse(_) => drop(reservation),
    }
}

impl<E: MessagesEndpoint> RowRunner<'_, E> {
    /// Sends a request that other rows may share. It is sent one time for all of them.
    pub(super) async fn send_shared(
        &self,
        slot: &RowSlot<'_>,
        key: SharedRequestKey,
        id: &str,
        request: &Request,
    ) -> Option<Arc<SentExchange>> {
        let cell = {
            let mut shared = self.shared_requests.lock().unwrap_or_else(PoisonError::into_inner);
            shared.entry(key).or_default().clone()
        };
        let is_sender = AtomicBool::new(false);
        let sent = cell.get_or_try_init(|| async {
            is_sender.store(true, Ordering::Relaxed);
            self.send(slot, id, request.clone()).await.ok_or(())
        });
        tokio::pin!(sent);
        let sent = match poll_fn(|context| Poll::Ready(sent.as_mut().poll(context))).await {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                if !is_sender.load(Ordering::Relaxed) {
                    // Another row sends the request. Meanwhile a third row may send.
                    slot.release();
                }
                sent.await
            }
        };
        sent.ok().cloned()
    }

    pub(super) async fn send(&self, slot: &RowSlot<'_>, id: &str, request: Request) -> Option<Arc<SentExchange>> {
        slot.acquire().await;
        if self.stop.is_stopped() {
            return None;
        }
        if let Some(known) = self.answered_exchanges.find_exchange(id, &request) {
            return Some(Arc::new(SentExchange { exchange: known.clone(), parsed: parse_exchange(known) }));
        }
        let mut attempts = match self.health.void_attempts(id) {
            Some(attempts) => attempts,
            None => self.answered_exchanges.failed_attempts(id, &request).to_vec(),
        };
        // The error that made the endpoint suspicious when the request was sent before.
        let mut earlier_error: Option<String> = None;
        for resends in 0.. {
            // While the endpoint is tested, nothing else is sent.
            drop(self.health.gate.lock().await);
            if self.unreachable.load(Ordering::Relaxed) || self.health.has_failed() || self.stop.is_stopped() {
                return None;
            }
            let start = self.health.start_request();
            let (exchange, parsed) = self.send_within_budget(id, request.clone(), attempts).await?;
            if has_passed_server_error(&exchange) {
                self.server_errors_pass.store(true, Ordering::Relaxed);
            }
            slot.record_request();
            self.observe_response_streak(&exchange, &parsed).await;
            let sent = Arc::new(SentExchange { exchange: Arc::new(exchange), parsed });
            if !self.endpoint.is_live() {
                return Some(sent);
            }
            let sign = self.health.record_response(start, &sent.exchange, &sent.parsed, &self.options.settings.model);
            match sign {
                HealthSign::Good => return Some(sent),
                HealthSign::Filtered if resends < MAX_FILTER_RESENDS => {}
                HealthSign::Filtered => return Some(sent),
                HealthSign::Suspicious { error, .. } if earlier_error.as_ref() == Some(&error) => {
                    self.health.record_genuine(&error);
                    return Some(sent);
                }
                HealthSign::Suspicious { .. } if resends >= MAX_TROUBLE_RESENDS => return Some(sent),
                HealthSign::Suspicious { kind, error, end } => {
                    if !self.confirm_health(kind, end).await {
                        self.emit_exchange(&self.health.void_exchange(&sent.exchange));
                        return None;
                    }
                    // Rows that used an equal response get it again if it is genuine.
                    for void in self.health.void_unconfirmed(Some(&error)) {
                        self.emit_exchange(&void);
                    }
                    earlier_error = Some(error);
                }
            }
            attempts = sent.exchange.attempts.clone();
        }
        None
    }

    /// Ends the run if the endpoint stops responding.
    async fn observe_response_streak(&self, exchange: &Exchange, parsed: &ParsedExchange) {
        // If the liveness test gets a message, only this kind of request fails, and the run
        // continues.
        if !parsed.interpretation.is_uninformative(&exchange.request) {
            self.no_response_streak.store(0, Ordering::Relaxed);
        } else if (self.no_response_streak.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(MAX_NO_RESPONSE)
            && self.send_plain_request().await == Some(false)
        {
            self.unreachable.store(true, Ordering::Relaxed);
        }
    }

    /// Sends plain requests until one is answered, with pauses. False if the trouble does not end:
    /// the run then ends. If a request after `time` was answered, sends nothing.
    async fn confirm_health(&self, kind: TroubleKind, time: u64) -> bool {
        let _gate = self.health.gate.lock().await;
        if self.has_ended() {
            return false;
        }
        if self.health.is_answering_since(time) {
            return true;
        }
        let pauses: &[Duration] = if kind.can_pass() { &PAUSES } else { &[] };
        for pause in iter::once(&Duration::ZERO).chain(pauses) {
            tokio::select! {
                () = self.endpoint.wait(*pause) => {}
                () = self.stop.wait_until_stopped() => return false,
            }
            match self.send_plain_request().await {
                Some(true) if pause.is_zero() => return true,
                Some(true) => {
                    self.void_unconfirmed();
                    return true;
                }
                Some(false) => {}
                None => return false,
            }
        }
        self.health.fail();
        self.void_unconfirmed();
        false
    }

    /// Tests the endpoint after the last request, because the last responses are alike.
    pub(super) async fn confirm_end(&self) {
        if self.endpoint.is_live() && !self.has_ended() {
            let now = self.health.start_request();
            self.confirm_health(TroubleKind::Unknown, now).await;
        }
    }

    pub(super) fn void_unconfirmed(&self) {
        for void in self.health.void_unconfirmed(None) {
            self.emit_exchange(&void);
        }
    }

    /// Sends a request that is known to work, and returns true if it is answered. So an endpoint
    /// that fails is distinguished from one that fails only for one kind of request.
    async fn send_plain_request(&self) -> Option<bool> {
        let probe = probes::probe_experiment();
        let values = TrialValues::new(self.options.seed, "probe.there");
        let plain_arm = probes::plain_arm();
        let request = self.build_request(&probe, &[&plain_arm], &values, None).request;
        let id = format!("{LIVENESS_ID_PREFIX}{}", self.request_count.load(Ordering::Relaxed));
        let start = self.health.start_request();
        let (_, parsed) = self.send_within_budget(&id, request, Vec::new()).await?;
        let is_answered =
            matches!(&parsed.interpretation, InterpretedExchange::Message(m) if error_in_text(m).is_none());
        if is_answered {
            self.health.record_answer(start);
        }
        Some(is_answered)
    }

    fn emit_exchange(&self, exchange: &Exchange) {
        self.emit(RunEvent::Exchange(exchange, &parse_exchange(exchange)));
    }

    /// Sends a request within the budget and emits an event. The exchange contains the earlier
    /// attempts too. `None` if the budget does not allow
    /// it, or if the run is stopped meanwhile.
    async fn send_within_budget(
        &self,
        id: &str,
        request: Request,
        earlier_attempts: Vec<ExchangeAttempt>,
    ) -> Option<(Exchange, ParsedExchange)> {
        let mut reservation = tokio::select! {
            reservation = self.options.budget.reserve(max_cost(&request, &self.options.settings)) => reservation?,
            () = self.stop.wait_until_stopped() => return None,
        };
        self.request_count.fetch_add(1, Ordering::Relaxed);
        let sent_request = request.clone();
        let sent = tokio::select! {
            exchange = self.endpoint.send_within_budget(id, request, Some(&mut reservation)) => Some(exchange),
            () = self.stop.wait_until_stopped() => None,
        };
        let Some(mut exchange) = sent else {
            // The provider may charge for requests in flight.
            let attempts = (0..reservation.attempts()).map(|_| ExchangeAttempt::stopped()).collect();
            let mut exchange = Exchange { id: id.to_owned(), request: sent_request, attempts };
            exchange.attempts.splice(0..0, earlier_attempts);
            self.emit_exchange(&exchange);
            return None;
        };
        if exchange.is_not_recorded() {
            // The request was not sent, so there is no trial.
            reservation.settle(Some(0), Some(0));
            return None;
        }
        exchange.attempts.splice(0..0, earlier_attempts);
        let parsed = self.response_memory.parse_within_limit(&mut exchange);
        settle_reservation(reservation, &parsed.interpretation);
        self.emit(RunEvent::Exchange(&exchange, &parsed));
        Some((exchange, parsed))
    }
}
