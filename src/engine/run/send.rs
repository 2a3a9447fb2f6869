//! Sending: a request goes out once for all rows that need it, in its turn, within the budget, and is told of.
//!
//! Knows nothing of what an answer shows, but for whether there was one: an endpoint that no longer answers is given up.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use tokio::sync::OnceCell;

use crate::client::{Budget, Endpoint, Reservation};
use crate::engine::plan;
use crate::engine::request::build::Channel;
use crate::engine::run::scheduler::Turn;
use crate::engine::run::{Event, Runner, probes};
use crate::recording::run::Recording;
use crate::variables::Draw;
use crate::wire::exchange::{Attempt, AttemptResult, Credential, Exchange, Failure, FailureKind, Request};
use crate::wire::message::{Reading, read};

/// Begins the ids of the question whether the endpoint is still there.
pub(crate) const IS_THERE: &str = "probe.there/";

/// Requests in a row without an answer, each after its retries, or with a credential that is no longer taken, after
/// which the plainest request is asked once more. Where that brings no message either, the endpoint is gone, and
/// waiting for the time-out of every row that is left would tell nothing more.
pub(crate) const GIVE_UP: u64 = 8;

/// Names a request that rows share: its template, the form of its texts, the trial and the step.
pub(super) type Name = (String, Channel, u32, u32);
pub(super) type Shared = HashMap<Name, Arc<OnceCell<Arc<Sent>>>>;

/// An exchange, and what its last answer says: it is read once, whoever looks at it.
pub(super) struct Sent {
    pub exchange: Arc<Exchange>,
    pub reading: Reading,
}

/// Books what a recording's exchanges cost, whether or not the budget allows it: what was spent is spent.
pub fn book(recording: &Recording, budget: &Budget) {
    for exchange in &recording.exchanges {
        let most = plan::ceiling(&exchange.request, &recording.header.settings);
        settle(budget.spent(most, exchange.attempts.len() as u64), &read(exchange));
    }
}

/// True where an exchange says nothing of the request: no answer came, or one that turns everything away, or takes the
/// credential no longer.
pub(crate) fn is_no_answer(request: &Request, reading: &Reading) -> bool {
    match reading {
        Reading::Failed(_) => true,
        Reading::Refused(r) => {
            let barred = request.credential == Credential::Target && matches!(r.status, 401 | 403);
            barred || r.status == 429 || r.status >= 500
        }
        Reading::Message(_) | Reading::Broken(_) => false,
    }
}

/// An attempt that was under way when the run was stopped.
fn given_up() -> Attempt {
    let message = "given up: the run was stopped before an answer came".to_owned();
    let result = AttemptResult::Failure(Failure { kind: FailureKind::Stopped, message });
    Attempt { started_ms: 0, duration_ms: 0, result }
}

/// Books what an exchange cost.
fn settle(reservation: Reservation<'_>, reading: &Reading) {
    match reading {
        // Of a message that is there, neither count can be nothing: such a meter does not count.
        Reading::Message(m) => {
            let wrote = |n: &u64| *n > 0 || m.content.is_empty();
            reservation.settle(m.input_tokens().filter(|n| *n > 0), m.output_tokens().filter(wrote));
        }
        Reading::Refused(_) => reservation.settle(Some(0), Some(0)),
        // Nobody knows what an answer that never came is charged at.
        Reading::Broken(_) | Reading::Failed(_) => drop(reservation),
    }
}

impl<E: Endpoint> Runner<'_, E> {
    /// Sends a request that other rows may need as well; it goes out once for all of them.
    pub(super) async fn send_shared(
        &self,
        turn: &Turn<'_>,
        key: Name,
        id: &str,
        request: &Request,
    ) -> Option<Arc<Sent>> {
        let cell = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
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
                    turn.leave();
                }
                sent.await
            }
        };
        sent.ok().cloned()
    }

    pub(super) async fn send(&self, turn: &Turn<'_>, id: &str, request: Request) -> Option<Arc<Sent>> {
        turn.come().await;
        if self.stop.is_stopped() {
            return None;
        }
        if let Some(known) = self.known.answered(id, &request) {
            let reading = read(known);
            return Some(Arc::new(Sent { exchange: known.clone(), reading }));
        }
        if self.gone.load(Ordering::Relaxed) {
            return None;
        }
        let (exchange, reading) = self.spend(id, request).await?;
        turn.sent();
        // Where the plain request is answered, it was the request's fault.
        if is_no_answer(&exchange.request, &reading) {
            if (self.lost.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(GIVE_UP) {
                self.is_there().await;
            }
        } else {
            self.lost.store(0, Ordering::Relaxed);
        }
        Some(Arc::new(Sent { exchange: Arc::new(exchange), reading }))
    }

    /// Asks the plainest thing once more: what fails may be one kind of request, and not the endpoint.
    async fn is_there(&self) {
        let probe = probes::experiment();
        let draw = Draw::new(self.options.seed, "probe.there");
        let asks = probes::plain_arm();
        let request = self.build(&probe, &[&asks], &draw, None).request;
        let id = format!("{IS_THERE}{}", self.asked.load(Ordering::Relaxed));
        let Some((_, reading)) = self.spend(&id, request).await else { return };
        if !matches!(reading, Reading::Message(_)) {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// Sends a request within the budget, and tells of it. `None` where the budget does not allow it, or the run is
    /// stopped meanwhile.
    async fn spend(&self, id: &str, request: Request) -> Option<(Exchange, Reading)> {
        let mut reservation = tokio::select! {
            reservation = self.options.budget.reserve(plan::ceiling(&request, &self.options.settings)) => reservation?,
            () = self.stop.stopped() => return None,
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        let earlier = self.known.attempts(id, &request);
        let asked = request.clone();
        let sent = tokio::select! {
            exchange = self.endpoint.send_within(id, request, &mut reservation) => Some(exchange),
            () = self.stop.stopped() => None,
        };
        let Some(mut exchange) = sent else {
            // Somebody may be charged for what was under way.
            let attempts = (0..reservation.attempts()).map(|_| given_up()).collect();
            let mut exchange = Exchange { id: id.to_owned(), request: asked, attempts };
            exchange.attempts.splice(0..0, earlier.iter().cloned());
            self.tell(Event::Exchange(&exchange));
            return None;
        };
        if exchange.is_not_recorded() {
            // What nobody asked the endpoint shows nothing: the trial does not take place.
            reservation.settle(Some(0), Some(0));
            return None;
        }
        self.kept.bound(&mut exchange);
        exchange.attempts.splice(0..0, earlier.iter().cloned());
        let reading = read(&exchange);
        settle(reservation, &reading);
        self.tell(Event::Exchange(&exchange));
        Some((exchange, reading))
    }
}
