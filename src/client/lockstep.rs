//! [`LockstepGate`]: keeps two endpoints in lockstep, so that neither gets more than a few requests
//! ahead of the other.
//!
//! A change of the upstream during two runs then affects both. The gate must not know the requests.
//! A side that is dropped, or a cancelled request, does not block the other side.

use std::time::Duration;

use tokio::sync::watch;

use crate::client::budget::BudgetReservation;
use crate::client::endpoint::MessagesEndpoint;
use crate::wire::exchange::{Exchange, Request};

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockstepSide {
    /// The first side.
    Left,
    /// The second side.
    Right,
}

/// The progress of both sides.
#[derive(Debug, Default)]
struct LockstepProgress {
    started: [u64; 2],
    finished: [u64; 2],
    has_left: [bool; 2],
}

/// Keeps two sides in lockstep.
#[derive(Debug)]
pub struct LockstepGate {
    progress: watch::Sender<LockstepProgress>,
    max_lead: u64,
}

impl LockstepGate {
    /// A gate that lets a side start at most `max_lead` requests more than the other side has
    /// finished. At least 1, because 0 would allow no request.
    pub fn new(max_lead: u64) -> Self {
        Self { progress: watch::Sender::new(LockstepProgress::default()), max_lead: max_lead.max(1) }
    }

    /// An endpoint behind the gate. Dropping it ends the side.
    pub fn wrap_endpoint<'a, E: MessagesEndpoint>(
        &'a self,
        side: LockstepSide,
        endpoint: &'a E,
    ) -> LockstepEndpoint<'a, E> {
        LockstepEndpoint { gate: self, side: side as usize, endpoint }
    }

    async fn enter(&self, side: usize) -> InFlightRequest<'_> {
        let mut changes = self.progress.subscribe();
        loop {
            let mut entered = false;
            self.progress.send_if_modified(|progress| {
                let other = 1 - side;
                entered = progress.has_left[other] || progress.started[side] < progress.finished[other] + self.max_lead;
                progress.started[side] += u64::from(entered);
                // A started request lets no other request in, so wake nobody.
                false
            });
            if entered {
                return InFlightRequest { gate: self, side };
            }
            // `self` owns the sender, so waiting cannot fail.
            let _ = changes.changed().await;
        }
    }
}

/// A request in flight. Dropping it counts the request as finished, even if it was cancelled.
struct InFlightRequest<'a> {
    gate: &'a LockstepGate,
    side: usize,
}

impl Drop for InFlightRequest<'_> {
    fn drop(&mut self) {
        self.gate.progress.send_modify(|progress| progress.finished[self.side] += 1);
    }
}

/// An endpoint behind a [`LockstepGate`].
#[derive(Debug)]
pub struct LockstepEndpoint<'a, E> {
    gate: &'a LockstepGate,
    side: usize,
    endpoint: &'a E,
}

impl<E: MessagesEndpoint> MessagesEndpoint for LockstepEndpoint<'_, E> {
    fn wait(&self, pause: Duration) -> impl Future<Output = ()> + Send {
        self.endpoint.wait(pause)
    }

    fn is_live(&self) -> bool {
        self.endpoint.is_live()
    }

    async fn send_within_budget(
        &self,
        id: &str,
        request: Request,
        reservation: Option<&mut BudgetReservation<'_>>,
    ) -> Exchange {
        let _in_flight = self.gate.enter(self.side).await;
        self.endpoint.send_within_budget(id, request, reservation).await
    }
}

impl<E> Drop for LockstepEndpoint<'_, E> {
    fn drop(&mut self) {
        self.gate.progress.send_modify(|progress| progress.has_left[self.side] = true);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::wire::exchange::{HttpMethod, RequestCredential};

    /// An endpoint with a latency, which records its calls.
    struct SlowEndpoint<'a> {
        name: char,
        latency: Duration,
        call_order: &'a Mutex<String>,
    }

    impl MessagesEndpoint for SlowEndpoint<'_> {
        async fn send_within_budget(
            &self,
            id: &str,
            request: Request,
            _: Option<&mut BudgetReservation<'_>>,
        ) -> Exchange {
            self.call_order.lock().unwrap().push(self.name);
            tokio::time::sleep(self.latency).await;
            Exchange { id: id.to_owned(), request, attempts: Vec::new() }
        }
    }

    fn request() -> Request {
        Request {
            method: HttpMethod::Get,
            path: "/".to_owned(),
            headers: BTreeMap::new(),
            credential: RequestCredential::Target,
            body: serde_json::Value::Null,
            raw: None,
        }
    }

    async fn send_requests(endpoint: &impl MessagesEndpoint, count: usize) {
        for n in 0..count {
            endpoint.send(&n.to_string(), request()).await;
        }
    }

    /// Sends requests to a fast side and a slow side, and returns the order of the calls.
    async fn record_call_order(max_lead: u64, fast_count: usize, slow_count: usize) -> String {
        let call_order = Mutex::new(String::new());
        let gate = LockstepGate::new(max_lead);
        let fast = SlowEndpoint { name: 'a', latency: Duration::from_millis(1), call_order: &call_order };
        let slow = SlowEndpoint { name: 'b', latency: Duration::from_millis(10), call_order: &call_order };
        let left = gate.wrap_endpoint(LockstepSide::Left, &fast);
        let right = gate.wrap_endpoint(LockstepSide::Right, &slow);
        tokio::join!(async move { send_requests(&left, fast_count).await }, async move {
            send_requests(&right, slow_count).await
        });
        call_order.into_inner().unwrap()
    }

    #[tokio::test]
    async fn no_side_exceeds_the_lead_while_both_send_requests() {
        for max_lead in [1, 3] {
            let call_order = record_call_order(max_lead, 20, 20).await;
            let mut lead = 0_i64;
            for name in call_order.chars() {
                lead += if name == 'a' { 1 } else { -1 };
                assert!(lead.unsigned_abs() <= max_lead + 1, "{call_order}");
            }
            assert_eq!(call_order.len(), 40);
        }
    }

    #[tokio::test]
    async fn a_dropped_side_does_not_block_the_other_side() {
        assert_eq!(record_call_order(2, 30, 2).await.len(), 32);
        assert_eq!(record_call_order(2, 0, 9).await.len(), 9);
    }

    #[tokio::test]
    async fn a_cancelled_request_counts_as_finished() {
        let call_order = Mutex::new(String::new());
        let gate = LockstepGate::new(1);
        let stuck = SlowEndpoint { name: 'b', latency: Duration::from_secs(3600), call_order: &call_order };
        let fast = SlowEndpoint { name: 'a', latency: Duration::ZERO, call_order: &call_order };
        let left = gate.wrap_endpoint(LockstepSide::Left, &fast);
        let right = gate.wrap_endpoint(LockstepSide::Right, &stuck);
        let cancelled = tokio::time::timeout(Duration::from_millis(20), right.send("x", request()));
        tokio::join!(async { drop(cancelled.await) }, send_requests(&left, 2));
        assert_eq!(*call_order.lock().unwrap(), "baa");
    }
}
