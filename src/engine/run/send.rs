//! Sending: a request goes out once for all rows that need it, in its turn, within the budget, and is told of.
//!
//! Knows nothing of what an answer shows, but for whether there was one: an endpoint that no longer answers is given up.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use tokio::sync::OnceCell;

use crate::client::{Budget, BudgetReservation, MessagesEndpoint};
use crate::engine::plan::cost::max_cost;
use crate::engine::probes;
use crate::engine::probes::MAX_NO_RESPONSE;
use crate::engine::run::RowRunner;
use crate::engine::run::scheduler::RowSlot;
use crate::recording::event::RunEvent;
use crate::recording::request_settings::TextForm;
use crate::recording::run::{LIVENESS_ID_PREFIX, Recording};
use crate::variables::TrialValues;
use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, ExchangeAttempt, FailureKind, Request};
use crate::wire::message::InterpretedExchange;
use crate::wire::parsed_exchange::{ParsedExchange, parse_exchange};

/// Names a request that rows share: its template, the form of its texts, the trial and the step.
pub(super) type SharedRequestKey = (String, TextForm, u32, u32);
pub(super) type SharedRequests = HashMap<SharedRequestKey, Arc<OnceCell<Arc<SentExchange>>>>;

/// An exchange, and what its last answer says: it is read once, whoever looks at it.
pub(super) struct SentExchange {
    pub exchange: Arc<Exchange>,
    pub parsed: ParsedExchange,
}

/// Books what a recording's exchanges cost, whether or not the budget allows it: what was spent is spent.
pub fn charge_recording(recording: &Recording, budget: &Budget) {
    for exchange in &recording.exchanges {
        let most = max_cost(&exchange.request, &recording.header.settings);
        settle_reservation(
            budget.charge(most, exchange.attempts.len() as u64),
            &parse_exchange(exchange).interpretation,
        );
    }
}

/// An attempt that was under way when the run was stopped.
fn aborted_attempt() -> ExchangeAttempt {
    let message = "given up: the run was stopped before an answer came".to_owned();
    let result = AttemptResult::Failure(AttemptFailure { kind: FailureKind::Stopped, message });
    ExchangeAttempt { started_ms: 0, duration_ms: 0, result }
}

/// Books what an exchange cost.
fn settle_reservation(reservation: BudgetReservation<'_>, reading: &InterpretedExchange) {
    match reading {
        // Of a message that is there, neither count can be nothing: such a meter does not count.
        InterpretedExchange::Message(m) => {
            let wrote = |n: &u64| *n > 0 || m.content.is_empty();
            reservation.settle(m.input_tokens().filter(|n| *n > 0), m.output_tokens().filter(wrote));
        }
        InterpretedExchange::HttpError(_) => reservation.settle(Some(0), Some(0)),
        // Nobody knows what an answer that never came is charged at.
        InterpretedExchange::Malformed(_) | InterpretedExchange::NoResponse(_) => drop(reservation),
    }
}

impl<E: MessagesEndpoint> RowRunner<'_, E> {
    /// Sends a request that other rows may need as well; it goes out once for all of them.
    pub(super) async fn send_shared(
        &self,
        turn: &RowSlot<'_>,
        key: SharedRequestKey,
        id: &str,
        request: &Request,
    ) -> Option<Arc<SentExchange>> {
        let cell = {
            let mut shared = self.shared_requests.lock().unwrap_or_else(PoisonError::into_inner);
            shared.entry(key).or_default().clone()
        };
        let asks = AtomicBool::new(false);
        let sent = cell.get_or_try_init(|| async {
            asks.store(true, Ordering::Relaxed);
            self.send(turn, id, request.clone()).await.ok_or(())
        });
        tokio::pin!(sent);
        let sent = match poll_fn(|context| Poll::Ready(sent.as_mut().poll(context))).await {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                if !asks.load(Ordering::Relaxed) {
                    // Another row asks. Meanwhile a third may send.
                    turn.release();
                }
                sent.await
            }
        };
        sent.ok().cloned()
    }

    pub(super) async fn send(&self, turn: &RowSlot<'_>, id: &str, request: Request) -> Option<Arc<SentExchange>> {
        turn.acquire().await;
        if self.stop.is_stopped() {
            return None;
        }
        if let Some(known) = self.answered_exchanges.find_exchange(id, &request) {
            return Some(Arc::new(SentExchange { exchange: known.clone(), parsed: parse_exchange(known) }));
        }
        if self.unreachable.load(Ordering::Relaxed) {
            return None;
        }
        let (exchange, parsed) = self.send_within_budget(id, request).await?;
        turn.record_request();
        // Where the plain request is answered, it was the request's fault.
        if parsed.interpretation.is_uninformative(&exchange.request) {
            if (self.no_response_streak.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(MAX_NO_RESPONSE) {
                self.probe_liveness().await;
            }
        } else {
            self.no_response_streak.store(0, Ordering::Relaxed);
        }
        Some(Arc::new(SentExchange { exchange: Arc::new(exchange), parsed }))
    }

    /// Asks the plainest thing once more: what fails may be one kind of request, and not the endpoint.
    async fn probe_liveness(&self) {
        let probe = probes::probe_experiment();
        let draw = TrialValues::new(self.options.seed, "probe.there");
        let asks = probes::plain_arm();
        let request = self.build_request(&probe, &[&asks], &draw, None).request;
        let id = format!("{LIVENESS_ID_PREFIX}{}", self.request_count.load(Ordering::Relaxed));
        let Some((_, parsed)) = self.send_within_budget(&id, request).await else { return };
        if !matches!(parsed.interpretation, InterpretedExchange::Message(_)) {
            self.unreachable.store(true, Ordering::Relaxed);
        }
    }

    /// Sends a request within the budget, and tells of it. `None` where the budget does not allow it, or the run is
    /// stopped meanwhile.
    async fn send_within_budget(&self, id: &str, request: Request) -> Option<(Exchange, ParsedExchange)> {
        let mut reservation = tokio::select! {
            reservation = self.options.budget.reserve(max_cost(&request, &self.options.settings)) => reservation?,
            () = self.stop.wait_until_stopped() => return None,
        };
        self.request_count.fetch_add(1, Ordering::Relaxed);
        let earlier = self.answered_exchanges.failed_attempts(id, &request);
        let asked = request.clone();
        let sent = tokio::select! {
            exchange = self.endpoint.send_within_budget(id, request, Some(&mut reservation)) => Some(exchange),
            () = self.stop.wait_until_stopped() => None,
        };
        let Some(mut exchange) = sent else {
            // Somebody may be charged for what was under way.
            let attempts = (0..reservation.attempts()).map(|_| aborted_attempt()).collect();
            let mut exchange = Exchange { id: id.to_owned(), request: asked, attempts };
            exchange.attempts.splice(0..0, earlier.iter().cloned());
            self.emit(RunEvent::Exchange(&exchange, &parse_exchange(&exchange)));
            return None;
        };
        if exchange.is_not_recorded() {
            // What nobody asked the endpoint shows nothing: the trial does not take place.
            reservation.settle(Some(0), Some(0));
            return None;
        }
        self.body_memory.truncate_if_over(&mut exchange);
        exchange.attempts.splice(0..0, earlier.iter().cloned());
        let parsed = parse_exchange(&exchange);
        settle_reservation(reservation, &parsed.interpretation);
        self.emit(RunEvent::Exchange(&exchange, &parsed));
        Some((exchange, parsed))
    }
}
