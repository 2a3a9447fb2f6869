//! What a run may spend, and what it has spent so far.
//!
//! The bounds are hard: the most that a request can cost is reserved before it is sent, and what it did cost is booked
//! once it is answered. A request that does not fit waits while others are under way, since they may need less than was
//! reserved for them; where none is, the run has come to its bound, and nothing more is sent. This module sends nothing
//! and reads no answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::case::Prices;

/// Bounds on what a run may spend; absent ones bound nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Requests, without retries.
    pub requests: Option<u64>,
    /// Input and output tokens, as the endpoint's `usage` gives them.
    pub tokens: Option<u64>,
    /// US dollars, at these prices for a million input and output tokens.
    pub cost: Option<(f64, Prices)>,
}

impl Budget {
    fn allows(&self, cost: Cost) -> bool {
        self.requests.is_none_or(|most| cost.requests <= most)
            && self.tokens.is_none_or(|most| cost.input.saturating_add(cost.output) <= most)
            && self.cost.is_none_or(|(most, prices)| cost.dollars(prices) <= most)
    }
}

/// What requests cost, or may cost at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub requests: u64,
    pub input: u64,
    pub output: u64,
}

impl Cost {
    /// The most that one request can cost whose body has this many bytes, and whose answer has this many tokens.
    ///
    /// Three bytes to a token is fewer than any text of the experiments has, and an endpoint may put a few hundred tokens
    /// of its own in front. An endpoint that counts more than that has its say in what is booked.
    pub fn at_most(body_bytes: usize, answer_tokens: u64) -> Self {
        Self { requests: 1, input: body_bytes as u64 / 3 + 500, output: answer_tokens }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
        }
    }

    fn dollars(self, prices: Prices) -> f64 {
        (self.input as f64 * prices.input + self.output as f64 * prices.output) / 1e6
    }
}

/// A run's purse.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Budget,
    books: Mutex<Books>,
    settled: Notify,
    is_empty: AtomicBool,
}

#[derive(Debug, Default)]
struct Books {
    spent: Cost,
    reserved: Cost,
    under_way: u64,
}

impl Purse {
    pub fn new(budget: Budget) -> Self {
        Self { budget, books: Mutex::default(), settled: Notify::new(), is_empty: AtomicBool::new(false) }
    }

    /// Puts the most that a request can cost aside. `None` where the budget does not allow it; from then on nothing is
    /// allowed, so that what a run leaves out does not depend on which of its requests happen to be small.
    pub async fn reserve(&self, most: Cost) -> Option<Reservation<'_>> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Before the books are read, or a settlement between the two would not be noticed.
            settled.as_mut().enable();
            if self.is_empty() {
                return None;
            }
            {
                let mut books = self.books();
                if self.budget.allows(books.spent.plus(books.reserved).plus(most)) {
                    books.reserved = books.reserved.plus(most);
                    books.under_way += 1;
                    return Some(Reservation { purse: self, most, cost: most });
                }
                if books.under_way == 0 {
                    self.is_empty.store(true, Ordering::Relaxed);
                    self.settled.notify_waiters();
                    return None;
                }
            }
            settled.await;
        }
    }

    /// Puts aside what is spent already, whether or not the budget allows it.
    pub fn spent(&self, most: Cost) -> Reservation<'_> {
        let mut books = self.books();
        books.reserved = books.reserved.plus(most);
        books.under_way += 1;
        Reservation { purse: self, most, cost: most }
    }

    /// True once a request was not sent for want of budget: a run that needs exactly what it may spend is whole.
    pub fn is_empty(&self) -> bool {
        self.is_empty.load(Ordering::Relaxed)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is put aside for one request. Whatever becomes of the request, it is booked when this is dropped: at the most
/// that it can cost, unless it was settled.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    purse: &'a Purse,
    most: Cost,
    cost: Cost,
}

impl Reservation<'_> {
    /// Books these tokens in the place of the most that there could have been.
    pub fn settle(mut self, input: u64, output: u64) {
        self.cost = Cost { requests: self.most.requests, input, output };
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut books = self.purse.books();
        books.reserved = books.reserved.minus(self.most);
        books.spent = books.spent.plus(self.cost);
        books.under_way -= 1;
        drop(books);
        self.purse.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    fn tokens(most: u64) -> Purse {
        Purse::new(Budget { tokens: Some(most), ..Budget::default() })
    }

    fn of(input: u64, output: u64) -> Cost {
        Cost { requests: 1, input, output }
    }

    #[tokio::test]
    async fn what_fits_exactly_is_allowed_and_leaves_the_run_whole() {
        let purse = Purse::new(Budget { requests: Some(2), tokens: Some(20), ..Budget::default() });
        for _ in 0..2 {
            purse.reserve(of(5, 5)).await.unwrap().settle(5, 5);
        }
        assert!(!purse.is_empty());
        assert!(purse.reserve(of(0, 0)).await.is_none(), "a third request");
        assert!(purse.is_empty());
    }

    #[tokio::test]
    async fn a_request_waits_for_what_others_give_back() {
        let purse = tokens(100);
        let first = purse.reserve(of(10, 80)).await.unwrap();
        let mut second = Box::pin(purse.reserve(of(10, 80)));
        assert!((&mut second).now_or_never().is_none(), "it may yet fit");
        first.settle(2, 3);
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn what_never_fits_is_denied_once_nothing_is_under_way_and_then_everything_is() {
        let purse = tokens(100);
        let first = purse.reserve(of(10, 80)).await.unwrap();
        let mut second = Box::pin(purse.reserve(of(10, 80)));
        assert!((&mut second).now_or_never().is_none());
        first.settle(10, 10);
        assert!(second.await.is_none(), "20 are spent, and 90 more would make 110");
        assert!(purse.reserve(of(1, 1)).await.is_none(), "nor is a smaller one sent after that");
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_is_booked_at_its_most() {
        let purse = tokens(100);
        drop(purse.reserve(of(10, 50)).await.unwrap());
        assert!(purse.reserve(of(10, 50)).await.is_none());
    }

    #[tokio::test]
    async fn money_bounds_as_tokens_do() {
        let prices = Prices { input: 1.0, output: 10.0 };
        let purse = Purse::new(Budget { cost: Some((0.001, prices)), ..Budget::default() });
        purse.reserve(of(100, 50)).await.unwrap().settle(100, 50);
        assert!(purse.reserve(of(100, 50)).await.is_none(), "0.0006 twice is more than 0.001");
    }

    proptest! {
        #[test]
        fn an_endpoint_that_needs_no_more_than_was_reserved_never_passes_the_bound(
            most in 0u64..5_000, costs in prop::collection::vec((0u64..500, 0u64..500, 0u64..=100), 0..60)
        ) {
            let purse = tokens(most);
            let mut spent = 0;
            for (input, output, share) in costs {
                let Some(reservation) = purse.reserve(of(input, output)).now_or_never().flatten() else { break };
                let (input, output) = (input * share / 100, output * share / 100);
                reservation.settle(input, output);
                spent += input + output;
            }
            prop_assert!(spent <= most);
        }
    }
}
