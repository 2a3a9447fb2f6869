//! What may be spent, and what was spent so far.
//!
//! The bounds are hard: the most that an attempt can cost is reserved before it is sent, and what it did cost is booked
//! once it is answered. A request that does not fit waits while others are under way, since they may need less than was
//! reserved for them; where none is, the end is reached, and nothing more is sent. Targets that are tested side by side
//! have one purse between them. This module sends nothing and reads no answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bounds on what may be spent; absent ones bound nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// Attempts: requests, and each time that one is sent again.
    pub requests: Option<u64>,
    /// Input and output tokens, as the endpoint's `usage` gives them.
    pub tokens: Option<u64>,
    /// US dollars.
    pub dollars: Option<f64>,
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PerMillion {
    /// Input tokens.
    pub input: f64,
    /// Output tokens.
    pub output: f64,
}

/// What requests cost, or may cost at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Attempts.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
}

impl Cost {
    /// The most that one attempt can cost whose body has this many bytes, and whose answer has this many tokens.
    ///
    /// Three bytes to a token is fewer than any text of the experiments has, and an endpoint may put a few hundred tokens
    /// of its own in front. An endpoint that counts more than that has its say in what is booked.
    pub fn at_most(body_bytes: usize, answer_tokens: u64) -> Self {
        Self { requests: 1, input: body_bytes as u64 / 3 + 500, output: answer_tokens }
    }
}

/// Billionths of a US dollar: sums of them are exact, so what is given back is what was taken.
type Nanodollars = u64;

/// What stands in the books, of all targets together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    tokens: u64,
    nanos: Nanodollars,
}

impl Sum {
    fn of(cost: Cost, prices: PerMillion) -> Self {
        let dollars = cost.input as f64 * prices.input + cost.output as f64 * prices.output;
        // Rounded up: a bound is not passed by fractions either. A float that is too large becomes the largest number.
        Self {
            requests: cost.requests,
            tokens: cost.input.saturating_add(cost.output),
            nanos: (dollars * 1e3).ceil() as Nanodollars,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            nanos: self.nanos.saturating_add(other.nanos),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            nanos: self.nanos.saturating_sub(other.nanos),
        }
    }
}

impl Bounds {
    fn allow(&self, sum: Sum) -> bool {
        self.requests.is_none_or(|most| sum.requests <= most)
            && self.tokens.is_none_or(|most| sum.tokens <= most)
            && self.dollars.is_none_or(|most| sum.nanos <= (most * 1e9).floor() as Nanodollars)
    }
}

/// One target's hand in a purse. Clones are the same hand; [`Budget::of`] makes another in the same purse.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    purse: Arc<Purse>,
    prices: PerMillion,
    was_denied: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Purse {
    bounds: Bounds,
    books: Mutex<Books>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Books {
    spent: Sum,
    reserved: Sum,
    /// Requests that hold a reservation.
    under_way: u64,
    /// Those of them that wait for more, to be sent again: nothing comes back from them meanwhile.
    stuck: u64,
    is_empty: bool,
}

impl Budget {
    /// A purse with these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { purse: Arc::new(Purse { bounds, ..Purse::default() }), ..Self::default() }
    }

    /// Another target's hand in the same purse, at its own prices. Without any its tokens cost nothing.
    pub fn of(&self, prices: Option<PerMillion>) -> Self {
        Self { purse: self.purse.clone(), prices: prices.unwrap_or_default(), was_denied: Arc::default() }
    }

    /// Puts the most that an attempt can cost aside. `None` where the budget does not allow it; from then on nothing is
    /// allowed, so that what a run leaves out does not depend on which of its requests happen to be small.
    pub async fn reserve(&self, most: Cost) -> Option<Reservation<'_>> {
        let sum = Sum::of(most, self.prices);
        let taken = self.purse.take(sum, false).await;
        if !taken {
            self.was_denied.store(true, Ordering::Relaxed);
        }
        taken.then(|| Reservation { budget: self, most, cost: most, held: sum, lost: Cost::default() })
    }

    /// Puts aside what was spent already on a request, in so many attempts, whether or not the budget allows it.
    pub fn spent(&self, most: Cost, attempts: u64) -> Reservation<'_> {
        let most = Cost { requests: attempts, ..most };
        let sum = Sum::of(most, self.prices);
        let mut books = self.purse.books();
        books.reserved = books.reserved.plus(sum);
        books.under_way += 1;
        drop(books);
        Reservation { budget: self, most, cost: most, held: sum, lost: Cost::default() }
    }

    /// True where something bounds it.
    pub fn is_bounded(&self) -> bool {
        self.purse.bounds != Bounds::default()
    }

    /// True once a request of this target was not sent for want of budget: a run that needs exactly what it may spend is
    /// whole.
    pub fn is_spent(&self) -> bool {
        self.was_denied.load(Ordering::Relaxed)
    }
}

impl Purse {
    /// Reserves a sum, once it fits. False where it does not, and nothing is under way that could give something back.
    async fn take(&self, sum: Sum, holds_one: bool) -> bool {
        let mut stuck = None;
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Before the books are read, or what moves between the two would not be noticed.
            moved.as_mut().enable();
            {
                let mut books = self.books();
                if books.is_empty {
                    return false;
                }
                if self.bounds.allow(books.spent.plus(books.reserved).plus(sum)) {
                    books.reserved = books.reserved.plus(sum);
                    books.under_way += u64::from(!holds_one);
                    return true;
                }
                let is_news = holds_one && stuck.is_none();
                if is_news {
                    books.stuck += 1;
                    stuck = Some(Stuck(self));
                }
                if books.under_way == books.stuck {
                    books.is_empty = true;
                    drop(books);
                    self.moved.notify_waiters();
                    return false;
                }
                if is_news {
                    // It may have been the last that others waited for. This wakes itself as well, once.
                    self.moved.notify_waiters();
                }
            }
            moved.await;
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits to be sent again; however it ends, it waits no more.
struct Stuck<'a>(&'a Purse);

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.0.books().stuck -= 1;
    }
}

/// What is put aside for one request. Whatever becomes of the request, it is booked when this is dropped: at the most
/// that it can cost, unless it was settled.
#[derive(Debug)]
pub struct Reservation<'a> {
    budget: &'a Budget,
    /// The most that one attempt can cost.
    most: Cost,
    /// What is booked in the end.
    cost: Cost,
    held: Sum,
    /// What earlier attempts cost, or may have cost.
    lost: Cost,
}

impl Reservation<'_> {
    /// How many attempts it is for.
    pub fn attempts(&self) -> u64 {
        self.most.requests + self.lost.requests
    }

    /// Puts aside what another attempt at the same request can cost. What the last one cost nobody knows where it
    /// `may_be_charged`. False where the budget does not allow it: then it must not be sent.
    pub async fn again(&mut self, may_be_charged: bool) -> bool {
        let (input, output) = if may_be_charged { (self.most.input, self.most.output) } else { (0, 0) };
        let more = Cost { requests: 1, input, output };
        let sum = Sum::of(more, self.budget.prices);
        if !self.budget.purse.take(sum, true).await {
            self.budget.was_denied.store(true, Ordering::Relaxed);
            return false;
        }
        self.held = self.held.plus(sum);
        for of in [&mut self.lost, &mut self.cost] {
            of.requests += 1;
            of.input = of.input.saturating_add(input);
            of.output = of.output.saturating_add(output);
        }
        true
    }

    /// Books these tokens for the last attempt, in the place of the most that there could have been. A count that the
    /// endpoint does not give is booked at the most.
    pub fn settle(mut self, input: Option<u64>, output: Option<u64>) {
        self.cost = Cost {
            requests: self.most.requests + self.lost.requests,
            input: input.unwrap_or(self.most.input).saturating_add(self.lost.input),
            output: output.unwrap_or(self.most.output).saturating_add(self.lost.output),
        };
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut books = self.budget.purse.books();
        books.reserved = books.reserved.minus(self.held);
        books.spent = books.spent.plus(Sum::of(self.cost, self.budget.prices));
        books.under_way -= 1;
        drop(books);
        self.budget.purse.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn tokens(most: u64) -> Budget {
        Budget::new(Bounds { tokens: Some(most), ..Bounds::default() })
    }

    fn of(input: u64, output: u64) -> Cost {
        Cost { requests: 1, input, output }
    }

    #[tokio::test]
    async fn what_fits_exactly_is_allowed_and_leaves_the_run_whole() {
        let purse = Budget::new(Bounds { requests: Some(2), tokens: Some(20), ..Bounds::default() });
        for _ in 0..2 {
            purse.reserve(of(5, 5)).await.unwrap().settle(Some(5), Some(5));
        }
        assert!(!purse.is_spent());
        assert!(purse.reserve(of(0, 0)).await.is_none(), "a third request");
        assert!(purse.is_spent());
    }

    #[tokio::test]
    async fn a_request_waits_for_what_others_give_back() {
        let purse = tokens(100);
        let first = purse.reserve(of(10, 80)).await.unwrap();
        let mut second = Box::pin(purse.reserve(of(10, 80)));
        assert!((&mut second).now_or_never().is_none(), "it may yet fit");
        first.settle(Some(2), Some(3));
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn what_never_fits_is_denied_once_nothing_is_under_way_and_then_everything_is() {
        let purse = tokens(100);
        let first = purse.reserve(of(10, 80)).await.unwrap();
        let mut second = Box::pin(purse.reserve(of(10, 80)));
        assert!((&mut second).now_or_never().is_none());
        first.settle(Some(10), Some(10));
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
        let bounds = Bounds { dollars: Some(0.001), ..Bounds::default() };
        let purse = Budget::new(bounds).of(Some(PerMillion { input: 1.0, output: 10.0 }));
        purse.reserve(of(100, 50)).await.unwrap().settle(Some(100), Some(50));
        assert!(purse.reserve(of(100, 50)).await.is_none(), "0.0006 twice is more than 0.001");
    }

    #[tokio::test]
    async fn another_attempt_is_a_request_and_costs_what_the_last_may_have_cost() {
        let purse = Budget::new(Bounds { requests: Some(3), tokens: Some(200), ..Bounds::default() });
        let mut first = purse.reserve(of(10, 40)).await.unwrap();
        assert!(first.again(false).await, "a refusal costs no tokens");
        assert!(first.again(true).await, "what was cut may be charged");
        assert!(!first.again(false).await, "a fourth request");
        first.settle(Some(10), Some(20));
        let books = purse.purse.books();
        assert_eq!((books.spent.requests, books.spent.tokens), (3, 30 + 50));
        assert_eq!(books.reserved, Sum::default());
    }

    #[tokio::test]
    async fn requests_that_all_wait_to_be_sent_again_do_not_wait_for_each_other() {
        let purse = Budget::new(Bounds { requests: Some(2), ..Bounds::default() });
        let mut one = purse.reserve(of(1, 1)).await.unwrap();
        let mut two = purse.reserve(of(1, 1)).await.unwrap();
        let wait = tokio::time::timeout(std::time::Duration::from_secs(10), async {
            tokio::join!(one.again(false), two.again(false))
        });
        assert_eq!(wait.await.unwrap(), (false, false));
    }

    #[tokio::test]
    async fn targets_share_a_purse_each_at_its_own_prices() {
        let purse = Budget::new(Bounds { dollars: Some(1.0), ..Bounds::default() });
        let price = |input| purse.of(Some(PerMillion { input, output: 0.0 }));
        let (cheap, dear) = (price(1.0), price(10.0));
        dear.reserve(of(90_000, 0)).await.unwrap().settle(Some(90_000), Some(0));
        cheap.reserve(of(100_000, 0)).await.unwrap().settle(Some(100_000), Some(0));
        assert!(!cheap.is_spent());
        assert!(cheap.reserve(of(1, 0)).await.is_none());
        assert!(cheap.is_spent() && !dear.is_spent(), "the other has not asked for more");
    }

    #[tokio::test]
    async fn a_count_that_is_not_given_is_booked_at_the_most() {
        let purse = tokens(100);
        purse.reserve(of(10, 50)).await.unwrap().settle(None, Some(5));
        assert_eq!(purse.purse.books().spent.tokens, 15);
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
                reservation.settle(Some(input), Some(output));
                spent += input + output;
            }
            prop_assert!(spent <= most);
        }
    }
}
