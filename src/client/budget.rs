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
pub struct BudgetLimits {
    /// Attempts: requests, and each time that one is sent again.
    pub requests: Option<u64>,
    /// Input and output tokens, as the endpoint's `usage` gives them.
    pub tokens: Option<u64>,
    /// US dollars.
    pub dollars: Option<f64>,
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenPrices {
    /// Input tokens.
    pub input: f64,
    /// Output tokens.
    pub output: f64,
}

/// What requests cost, or may cost at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCost {
    /// Attempts.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
}

impl RequestCost {
    /// The most that one attempt can cost whose body has this many bytes, and whose answer has this many tokens.
    ///
    /// Three bytes to a token is fewer than any text of the experiments has, and an endpoint may put a few hundred tokens
    /// of its own in front. An endpoint that counts more than that has its say in what is booked.
    pub fn upper_bound(body_bytes: usize, answer_tokens: u64) -> Self {
        Self { requests: 1, input: body_bytes as u64 / 3 + 500, output: answer_tokens }
    }
}

/// Billionths of a US dollar: sums of them are exact, so what is given back is what was taken.
type NanoDollars = u64;

/// What stands in the books, of all targets together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SpendTotals {
    requests: u64,
    tokens: u64,
    nanos: NanoDollars,
}

impl SpendTotals {
    fn from_cost(cost: RequestCost, prices: TokenPrices) -> Self {
        let dollars = cost.input as f64 * prices.input + cost.output as f64 * prices.output;
        // Rounded up: a bound is not passed by fractions either. A float that is too large becomes the largest number.
        Self {
            requests: cost.requests,
            tokens: cost.input.saturating_add(cost.output),
            nanos: (dollars * 1e3).ceil() as NanoDollars,
        }
    }

    fn saturating_add(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            nanos: self.nanos.saturating_add(other.nanos),
        }
    }

    fn saturating_sub(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            nanos: self.nanos.saturating_sub(other.nanos),
        }
    }
}

impl BudgetLimits {
    fn allows(&self, sum: SpendTotals) -> bool {
        self.requests.is_none_or(|most| sum.requests <= most)
            && self.tokens.is_none_or(|most| sum.tokens <= most)
            && self.dollars.is_none_or(|most| sum.nanos <= (most * 1e9).floor() as NanoDollars)
    }
}

/// One target's hand in a purse. Clones are the same hand; [`Budget::of`] makes another in the same purse.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    ledger: Arc<BudgetLedger>,
    prices: TokenPrices,
    was_denied: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct BudgetLedger {
    limits: BudgetLimits,
    state: Mutex<LedgerState>,
    state_changed: Notify,
}

#[derive(Debug, Default)]
struct LedgerState {
    charged: SpendTotals,
    reserved: SpendTotals,
    /// Requests that hold a reservation.
    in_flight: u64,
    /// Those of them that wait for more, to be sent again: nothing comes back from them meanwhile.
    waiting_retries: u64,
    is_exhausted: bool,
}

impl Budget {
    /// A purse with these bounds.
    pub fn new(bounds: BudgetLimits) -> Self {
        Self { ledger: Arc::new(BudgetLedger { limits: bounds, ..BudgetLedger::default() }), ..Self::default() }
    }

    /// Another target's hand in the same purse, at its own prices. Without any its tokens cost nothing.
    pub fn with_prices(&self, prices: Option<TokenPrices>) -> Self {
        Self { ledger: self.ledger.clone(), prices: prices.unwrap_or_default(), was_denied: Arc::default() }
    }

    /// Puts the most that an attempt can cost aside. `None` where the budget does not allow it; from then on nothing is
    /// allowed, so that what a run leaves out does not depend on which of its requests happen to be small.
    pub async fn reserve(&self, most: RequestCost) -> Option<BudgetReservation<'_>> {
        let sum = SpendTotals::from_cost(most, self.prices);
        let taken = self.ledger.reserve_amount(sum, false).await;
        if !taken {
            self.was_denied.store(true, Ordering::Relaxed);
        }
        taken.then(|| BudgetReservation {
            budget: self,
            max_cost: most,
            final_cost: most,
            reserved: sum,
            prior_cost: RequestCost::default(),
        })
    }

    /// Puts aside what was spent already on a request, in so many attempts, whether or not the budget allows it.
    pub fn charge(&self, most: RequestCost, attempts: u64) -> BudgetReservation<'_> {
        let most = RequestCost { requests: attempts, ..most };
        let sum = SpendTotals::from_cost(most, self.prices);
        let mut books = self.ledger.lock_state();
        books.reserved = books.reserved.saturating_add(sum);
        books.in_flight += 1;
        drop(books);
        BudgetReservation {
            budget: self,
            max_cost: most,
            final_cost: most,
            reserved: sum,
            prior_cost: RequestCost::default(),
        }
    }

    /// True where something bounds it.
    pub fn is_bounded(&self) -> bool {
        self.ledger.limits != BudgetLimits::default()
    }

    /// True once a request of this target was not sent for want of budget: a run that needs exactly what it may spend is
    /// whole.
    pub fn is_exhausted(&self) -> bool {
        self.was_denied.load(Ordering::Relaxed)
    }
}

impl BudgetLedger {
    /// Reserves a sum, once it fits. False where it does not, and nothing is under way that could give something back.
    async fn reserve_amount(&self, sum: SpendTotals, holds_one: bool) -> bool {
        let mut stuck = None;
        loop {
            let moved = self.state_changed.notified();
            tokio::pin!(moved);
            // Before the books are read, or what moves between the two would not be noticed.
            moved.as_mut().enable();
            {
                let mut books = self.lock_state();
                if books.is_exhausted {
                    return false;
                }
                if self.limits.allows(books.charged.saturating_add(books.reserved).saturating_add(sum)) {
                    books.reserved = books.reserved.saturating_add(sum);
                    books.in_flight += u64::from(!holds_one);
                    return true;
                }
                let is_news = holds_one && stuck.is_none();
                if is_news {
                    books.waiting_retries += 1;
                    stuck = Some(RetryWaiter(self));
                }
                if books.in_flight == books.waiting_retries {
                    books.is_exhausted = true;
                    drop(books);
                    self.state_changed.notify_waiters();
                    return false;
                }
                if is_news {
                    // It may have been the last that others waited for. This wakes itself as well, once.
                    self.state_changed.notify_waiters();
                }
            }
            moved.await;
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits to be sent again; however it ends, it waits no more.
struct RetryWaiter<'a>(&'a BudgetLedger);

impl Drop for RetryWaiter<'_> {
    fn drop(&mut self) {
        self.0.lock_state().waiting_retries -= 1;
    }
}

/// What is put aside for one request. Whatever becomes of the request, it is booked when this is dropped: at the most
/// that it can cost, unless it was settled.
#[derive(Debug)]
pub struct BudgetReservation<'a> {
    budget: &'a Budget,
    /// The most that one attempt can cost.
    max_cost: RequestCost,
    /// What is booked in the end.
    final_cost: RequestCost,
    reserved: SpendTotals,
    /// What earlier attempts cost, or may have cost.
    prior_cost: RequestCost,
}

impl BudgetReservation<'_> {
    /// How many attempts it is for.
    pub fn attempts(&self) -> u64 {
        self.max_cost.requests + self.prior_cost.requests
    }

    /// Puts aside what another attempt at the same request can cost. What the last one cost nobody knows where it
    /// `may_be_charged`. False where the budget does not allow it: then it must not be sent.
    pub async fn reserve_retry(&mut self, may_be_charged: bool) -> bool {
        let (input, output) = if may_be_charged { (self.max_cost.input, self.max_cost.output) } else { (0, 0) };
        let more = RequestCost { requests: 1, input, output };
        let sum = SpendTotals::from_cost(more, self.budget.prices);
        if !self.budget.ledger.reserve_amount(sum, true).await {
            self.budget.was_denied.store(true, Ordering::Relaxed);
            return false;
        }
        self.reserved = self.reserved.saturating_add(sum);
        for of in [&mut self.prior_cost, &mut self.final_cost] {
            of.requests += 1;
            of.input = of.input.saturating_add(input);
            of.output = of.output.saturating_add(output);
        }
        true
    }

    /// Books these tokens for the last attempt, in the place of the most that there could have been. A count that the
    /// endpoint does not give is booked at the most.
    pub fn settle(mut self, input: Option<u64>, output: Option<u64>) {
        self.final_cost = RequestCost {
            requests: self.max_cost.requests + self.prior_cost.requests,
            input: input.unwrap_or(self.max_cost.input).saturating_add(self.prior_cost.input),
            output: output.unwrap_or(self.max_cost.output).saturating_add(self.prior_cost.output),
        };
    }
}

impl Drop for BudgetReservation<'_> {
    fn drop(&mut self) {
        let mut books = self.budget.ledger.lock_state();
        books.reserved = books.reserved.saturating_sub(self.reserved);
        books.charged = books.charged.saturating_add(SpendTotals::from_cost(self.final_cost, self.budget.prices));
        books.in_flight -= 1;
        drop(books);
        self.budget.ledger.state_changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn token_budget(most: u64) -> Budget {
        Budget::new(BudgetLimits { tokens: Some(most), ..BudgetLimits::default() })
    }

    fn single_cost(input: u64, output: u64) -> RequestCost {
        RequestCost { requests: 1, input, output }
    }

    #[tokio::test]
    async fn what_fits_exactly_is_allowed_and_leaves_the_run_whole() {
        let purse = Budget::new(BudgetLimits { requests: Some(2), tokens: Some(20), ..BudgetLimits::default() });
        for _ in 0..2 {
            purse.reserve(single_cost(5, 5)).await.unwrap().settle(Some(5), Some(5));
        }
        assert!(!purse.is_exhausted());
        assert!(purse.reserve(single_cost(0, 0)).await.is_none(), "a third request");
        assert!(purse.is_exhausted());
    }

    #[tokio::test]
    async fn a_request_waits_for_what_others_give_back() {
        let purse = token_budget(100);
        let first = purse.reserve(single_cost(10, 80)).await.unwrap();
        let mut second = Box::pin(purse.reserve(single_cost(10, 80)));
        assert!((&mut second).now_or_never().is_none(), "it may yet fit");
        first.settle(Some(2), Some(3));
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn what_never_fits_is_denied_once_nothing_is_under_way_and_then_everything_is() {
        let purse = token_budget(100);
        let first = purse.reserve(single_cost(10, 80)).await.unwrap();
        let mut second = Box::pin(purse.reserve(single_cost(10, 80)));
        assert!((&mut second).now_or_never().is_none());
        first.settle(Some(10), Some(10));
        assert!(second.await.is_none(), "20 are spent, and 90 more would make 110");
        assert!(purse.reserve(single_cost(1, 1)).await.is_none(), "nor is a smaller one sent after that");
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_is_booked_at_its_most() {
        let purse = token_budget(100);
        drop(purse.reserve(single_cost(10, 50)).await.unwrap());
        assert!(purse.reserve(single_cost(10, 50)).await.is_none());
    }

    #[tokio::test]
    async fn money_bounds_as_tokens_do() {
        let bounds = BudgetLimits { dollars: Some(0.001), ..BudgetLimits::default() };
        let purse = Budget::new(bounds).with_prices(Some(TokenPrices { input: 1.0, output: 10.0 }));
        purse.reserve(single_cost(100, 50)).await.unwrap().settle(Some(100), Some(50));
        assert!(purse.reserve(single_cost(100, 50)).await.is_none(), "0.0006 twice is more than 0.001");
    }

    #[tokio::test]
    async fn another_attempt_is_a_request_and_costs_what_the_last_may_have_cost() {
        let purse = Budget::new(BudgetLimits { requests: Some(3), tokens: Some(200), ..BudgetLimits::default() });
        let mut first = purse.reserve(single_cost(10, 40)).await.unwrap();
        assert!(first.reserve_retry(false).await, "a refusal costs no tokens");
        assert!(first.reserve_retry(true).await, "what was cut may be charged");
        assert!(!first.reserve_retry(false).await, "a fourth request");
        first.settle(Some(10), Some(20));
        let books = purse.ledger.lock_state();
        assert_eq!((books.charged.requests, books.charged.tokens), (3, 30 + 50));
        assert_eq!(books.reserved, SpendTotals::default());
    }

    #[tokio::test]
    async fn requests_that_all_wait_to_be_sent_again_do_not_wait_for_each_other() {
        let purse = Budget::new(BudgetLimits { requests: Some(2), ..BudgetLimits::default() });
        let mut one = purse.reserve(single_cost(1, 1)).await.unwrap();
        let mut two = purse.reserve(single_cost(1, 1)).await.unwrap();
        let wait = tokio::time::timeout(std::time::Duration::from_secs(10), async {
            tokio::join!(one.reserve_retry(false), two.reserve_retry(false))
        });
        assert_eq!(wait.await.unwrap(), (false, false));
    }

    #[tokio::test]
    async fn targets_share_a_purse_each_at_its_own_prices() {
        let purse = Budget::new(BudgetLimits { dollars: Some(1.0), ..BudgetLimits::default() });
        let price = |input| purse.with_prices(Some(TokenPrices { input, output: 0.0 }));
        let (cheap, dear) = (price(1.0), price(10.0));
        dear.reserve(single_cost(90_000, 0)).await.unwrap().settle(Some(90_000), Some(0));
        cheap.reserve(single_cost(100_000, 0)).await.unwrap().settle(Some(100_000), Some(0));
        assert!(!cheap.is_exhausted());
        assert!(cheap.reserve(single_cost(1, 0)).await.is_none());
        assert!(cheap.is_exhausted() && !dear.is_exhausted(), "the other has not asked for more");
    }

    #[tokio::test]
    async fn a_count_that_is_not_given_is_booked_at_the_most() {
        let purse = token_budget(100);
        purse.reserve(single_cost(10, 50)).await.unwrap().settle(None, Some(5));
        assert_eq!(purse.ledger.lock_state().charged.tokens, 15);
    }

    proptest! {
        #[test]
        fn an_endpoint_that_needs_no_more_than_was_reserved_never_passes_the_bound(
            most in 0u64..5_000, costs in prop::collection::vec((0u64..500, 0u64..500, 0u64..=100), 0..60)
        ) {
            let purse = token_budget(most);
            let mut spent = 0;
            for (input, output, share) in costs {
                let Some(reservation) = purse.reserve(single_cost(input, output)).now_or_never().flatten() else { break };
                let (input, output) = (input * share / 100, output * share / 100);
                reservation.settle(Some(input), Some(output));
                spent += input + output;
            }
            prop_assert!(spent <= most);
        }
    }
}
