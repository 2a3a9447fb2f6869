//! Two endpoints asked in step: neither side gets more than a few requests ahead of the other.
//!
//! What changes at an upstream while two runs go on changes for both. The turnstile knows nothing of what is asked; a
//! side that has left holds nobody up, nor does one whose request was given up.

use tokio::sync::watch;

use crate::client::{Endpoint, Reservation};
use crate::wire::exchange::{Exchange, Request};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first.
    One,
    /// The second.
    Other,
}

/// How far the sides are.
#[derive(Debug, Default)]
struct Count {
    started: [u64; 2],
    ended: [u64; 2],
    left: [bool; 2],
}

/// Keeps two sides in step.
#[derive(Debug)]
pub struct Turnstile {
    count: watch::Sender<Count>,
    lead: u64,
}

impl Turnstile {
    /// A turnstile that lets a side begin `lead` requests more than the other has ended; one at the least, or nothing
    /// would ever begin.
    pub fn new(lead: u64) -> Self {
        Self { count: watch::Sender::new(Count::default()), lead: lead.max(1) }
    }

    /// An endpoint behind the turnstile. The side has left when it is dropped.
    pub fn side<'a, E: Endpoint>(&'a self, side: Side, endpoint: &'a E) -> Paced<'a, E> {
        Paced { turnstile: self, side: side as usize, endpoint }
    }

    async fn enter(&self, side: usize) -> Pass<'_> {
        let mut moved = self.count.subscribe();
        loop {
            let mut entered = false;
            self.count.send_if_modified(|count| {
                let other = 1 - side;
                entered = count.left[other] || count.started[side] < count.ended[other] + self.lead;
                count.started[side] += u64::from(entered);
                // That one begins lets nobody else in.
                false
            });
            if entered {
                return Pass { turnstile: self, side };
            }
            // The sender lives in `self`, so waiting cannot fail.
            let _ = moved.changed().await;
        }
    }
}

/// A request under way. However it ends, the other side may go on.
struct Pass<'a> {
    turnstile: &'a Turnstile,
    side: usize,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.turnstile.count.send_modify(|count| count.ended[self.side] += 1);
    }
}

/// An endpoint behind a turnstile.
#[derive(Debug)]
pub struct Paced<'a, E> {
    turnstile: &'a Turnstile,
    side: usize,
    endpoint: &'a E,
}

impl<E: Endpoint> Endpoint for Paced<'_, E> {
    async fn send(&self, id: &str, request: Request) -> Exchange {
        let _pass = self.turnstile.enter(self.side).await;
        self.endpoint.send(id, request).await
    }

    async fn send_within(&self, id: &str, request: Request, reserved: &mut Reservation<'_>) -> Exchange {
        let _pass = self.turnstile.enter(self.side).await;
        self.endpoint.send_within(id, request, reserved).await
    }
}

impl<E> Drop for Paced<'_, E> {
    fn drop(&mut self) {
        self.turnstile.count.send_modify(|count| count.left[self.side] = true);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::wire::exchange::{Credential, Method};

    /// Takes its time, and notes that it was asked.
    struct Slow<'a> {
        name: char,
        wait: Duration,
        asked: &'a Mutex<String>,
    }

    impl Endpoint for Slow<'_> {
        async fn send(&self, id: &str, request: Request) -> Exchange {
            self.asked.lock().unwrap().push(self.name);
            tokio::time::sleep(self.wait).await;
            Exchange { id: id.to_owned(), request, attempts: Vec::new() }
        }
    }

    fn request() -> Request {
        Request {
            method: Method::Get,
            path: "/".to_owned(),
            headers: BTreeMap::new(),
            credential: Credential::Target,
            body: serde_json::Value::Null,
            raw: None,
        }
    }

    async fn ask(endpoint: &impl Endpoint, times: usize) {
        for n in 0..times {
            endpoint.send(&n.to_string(), request()).await;
        }
    }

    /// Asks a quick side and a slow one so often; in which order they were asked.
    async fn asked(lead: u64, quick: usize, slow: usize) -> String {
        let asked = Mutex::new(String::new());
        let turnstile = Turnstile::new(lead);
        let a = Slow { name: 'a', wait: Duration::from_millis(1), asked: &asked };
        let b = Slow { name: 'b', wait: Duration::from_millis(10), asked: &asked };
        let (one, other) = (turnstile.side(Side::One, &a), turnstile.side(Side::Other, &b));
        tokio::join!(async move { ask(&one, quick).await }, async move { ask(&other, slow).await },);
        asked.into_inner().unwrap()
    }

    #[tokio::test]
    async fn neither_side_gets_far_ahead_while_both_have_work() {
        for lead in [1, 3] {
            let asked = asked(lead, 20, 20).await;
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
        assert_eq!(asked(2, 30, 2).await.len(), 32);
        assert_eq!(asked(2, 0, 9).await.len(), 9);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_counts_as_ended() {
        let asked = Mutex::new(String::new());
        let turnstile = Turnstile::new(1);
        let stuck = Slow { name: 'b', wait: Duration::from_secs(3600), asked: &asked };
        let quick = Slow { name: 'a', wait: Duration::ZERO, asked: &asked };
        let (one, other) = (turnstile.side(Side::One, &quick), turnstile.side(Side::Other, &stuck));
        let given_up = tokio::time::timeout(Duration::from_millis(20), other.send("x", request()));
        tokio::join!(async { drop(given_up.await) }, ask(&one, 2));
        assert_eq!(*asked.lock().unwrap(), "baa");
    }
}
