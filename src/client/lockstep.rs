//! Two endpoints asked in step: neither side gets more than a few requests ahead of the other.
//!
//! What changes at an upstream while two runs go on changes for both. The turnstile knows nothing of what is asked; a
//! side that has left holds nobody up, nor does one whose request was given up.

use tokio::sync::watch;

use crate::client::{BudgetReservation, MessagesEndpoint};
use crate::wire::exchange::{Exchange, Request};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockstepSide {
    /// The first.
    Left,
    /// The second.
    Right,
}

/// How far the sides are.
#[derive(Debug, Default)]
struct LockstepProgress {
    started: [u64; 2],
    finished: [u64; 2],
    has_left: [bool; 2],
}

/// Keeps two sides in step.
#[derive(Debug)]
pub struct LockstepGate {
    progress: watch::Sender<LockstepProgress>,
    max_lead: u64,
}

impl LockstepGate {
    /// A turnstile that lets a side begin `lead` requests more than the other has ended; one at the least, or nothing
    /// would ever begin.
    pub fn new(lead: u64) -> Self {
        Self { progress: watch::Sender::new(LockstepProgress::default()), max_lead: lead.max(1) }
    }

    /// An endpoint behind the turnstile. The side has left when it is dropped.
    pub fn wrap_endpoint<'a, E: MessagesEndpoint>(
        &'a self,
        side: LockstepSide,
        endpoint: &'a E,
    ) -> LockstepEndpoint<'a, E> {
        LockstepEndpoint { gate: self, side: side as usize, endpoint }
    }

    async fn enter(&self, side: usize) -> InFlightRequest<'_> {
        let mut moved = self.progress.subscribe();
        loop {
            let mut entered = false;
            self.progress.send_if_modified(|count| {
                let other = 1 - side;
                entered = count.has_left[other] || count.started[side] < count.finished[other] + self.max_lead;
                count.started[side] += u64::from(entered);
                // That one begins lets nobody else in.
                false
            });
            if entered {
                return InFlightRequest { gate: self, side };
            }
            // The sender lives in `self`, so waiting cannot fail.
            let _ = moved.changed().await;
        }
    }
}

/// A request under way. However it ends, the other side may go on.
struct InFlightRequest<'a> {
    gate: &'a LockstepGate,
    side: usize,
}

impl Drop for InFlightRequest<'_> {
    fn drop(&mut self) {
        self.gate.progress.send_modify(|count| count.finished[self.side] += 1);
    }
}

/// An endpoint behind a turnstile.
#[derive(Debug)]
pub struct LockstepEndpoint<'a, E> {
    gate: &'a LockstepGate,
    side: usize,
    endpoint: &'a E,
}

impl<E: MessagesEndpoint> MessagesEndpoint for LockstepEndpoint<'_, E> {
    async fn send(&self, id: &str, request: Request) -> Exchange {
        let _pass = self.gate.enter(self.side).await;
        self.endpoint.send(id, request).await
    }

    async fn send_with_reservation(
        &self,
        id: &str,
        request: Request,
        reserved: &mut BudgetReservation<'_>,
    ) -> Exchange {
        let _pass = self.gate.enter(self.side).await;
        self.endpoint.send_with_reservation(id, request, reserved).await
    }
}

impl<E> Drop for LockstepEndpoint<'_, E> {
    fn drop(&mut self) {
        self.gate.progress.send_modify(|count| count.has_left[self.side] = true);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::wire::exchange::{HttpMethod, RequestCredential};

    /// Takes its time, and notes that it was asked.
    struct SlowEndpoint<'a> {
        name: char,
        wait: Duration,
        call_order: &'a Mutex<String>,
    }

    impl MessagesEndpoint for SlowEndpoint<'_> {
        async fn send(&self, id: &str, request: Request) -> Exchange {
            self.call_order.lock().unwrap().push(self.name);
            tokio::time::sleep(self.wait).await;
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

    async fn send_requests(endpoint: &impl MessagesEndpoint, times: usize) {
        for n in 0..times {
            endpoint.send(&n.to_string(), request()).await;
        }
    }

    /// Asks a quick side and a slow one so often; in which order they were asked.
    async fn record_call_order(lead: u64, quick: usize, slow: usize) -> String {
        let asked = Mutex::new(String::new());
        let turnstile = LockstepGate::new(lead);
        let a = SlowEndpoint { name: 'a', wait: Duration::from_millis(1), call_order: &asked };
        let b = SlowEndpoint { name: 'b', wait: Duration::from_millis(10), call_order: &asked };
        let (one, other) =
            (turnstile.wrap_endpoint(LockstepSide::Left, &a), turnstile.wrap_endpoint(LockstepSide::Right, &b));
        tokio::join!(async move { send_requests(&one, quick).await }, async move { send_requests(&other, slow).await },);
        asked.into_inner().unwrap()
    }

    #[tokio::test]
    async fn neither_side_gets_far_ahead_while_both_have_work() {
        for lead in [1, 3] {
            let asked = record_call_order(lead, 20, 20).await;
            let mut ahead = 0_i64;
            for name in asked.chars() {
                ahead += if name == 'a' { 1 } else { -1 };
                assert!(ahead.unsigned_abs() <= lead + 1, "{asked}");
            }
            assert_eq!(asked.len(), 40);
        }
    }

    #[tokio::test]
    async fn a_side_that_is_through_holds_nobody_up() {
        assert_eq!(record_call_order(2, 30, 2).await.len(), 32);
        assert_eq!(record_call_order(2, 0, 9).await.len(), 9);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_counts_as_ended() {
        let asked = Mutex::new(String::new());
        let turnstile = LockstepGate::new(1);
        let stuck = SlowEndpoint { name: 'b', wait: Duration::from_secs(3600), call_order: &asked };
        let quick = SlowEndpoint { name: 'a', wait: Duration::ZERO, call_order: &asked };
        let (one, other) =
            (turnstile.wrap_endpoint(LockstepSide::Left, &quick), turnstile.wrap_endpoint(LockstepSide::Right, &stuck));
        let given_up = tokio::time::timeout(Duration::from_millis(20), other.send("x", request()));
        tokio::join!(async { drop(given_up.await) }, send_requests(&one, 2));
        assert_eq!(*asked.lock().unwrap(), "baa");
    }
}
