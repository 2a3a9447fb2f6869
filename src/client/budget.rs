//! [`Budget`]: hard limits on requests, tokens and cost.
//!
//! The maximum cost of an attempt is reserved before it is sent, and its real cost is charged when
//! its response arrives. A request that does not fit waits while other requests are in flight,
//! because they may cost less than reserved. If none is in flight, the budget is exhausted, and no
//! further request is sent. Parallel targets share one budget. This module must not send requests
//! or read responses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The limits of a budget. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BudgetLimits {
    /// Attempts: requests and their retries.
    pub requests: Option<u64>,
    /// Input and output tokens, according to the `usage` of the endpoint.
    pub tokens: Option<u64>,
    /// US dollars.
    pub dollars: Option<f64>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenPrices {
    /// Input tokens.
    pub input: f64,
    /// Output tokens.
    pub output: f64,
}

/// The cost of requests, real or at most.
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
    /// The maximum cost of one attempt with a body of this size and a response of this many tokens.
    ///
    /// All texts of the experiments have more than three bytes per token. The 500 tokens are for a
    /// system prompt of the endpoint. If an endpoint counts more, the charged cost is higher.
    pub fn upper_bound(body_bytes: usize, response_tokens: u64) -> Self {
        Self { requests: 1, input: body_bytes as u64 / 3 + 500, output: response_tokens }
    }
}

/// Billionths of a US dollar. Integers, so that subtracting a reservation is exact.
type NanoDollars = u64;

/// Amounts of all targets together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SpendTotals {
    requests: u64,
    tokens: u64,
    nanos: NanoDollars,
}

impl SpendTotals {
    fn from_cost(cost: RequestCost, prices: TokenPrices) -> Self {
        let dollars = cost.input as f64 * prices.input + cost.output as f64 * prices.output;
        // Round up, so that fractions cannot exceed a limit. The cast saturates.
        Self {
            requests: cost.requests,
            tokens: cost.input.saturating_add(cost.output),
            nanos: (dollars * 1e3).ceil() as NanoDollars,
        }
    }

    fn combine(self, other: Self, amount: fn(u64, u64) -> u64) -> Self {
        Self {
            requests: amount(self.requests, other.requests),
            tokens: amount(self.tokens, other.tokens),
            nanos: amount(self.nanos, other.nanos),
        }
    }

    fn saturating_add(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }
}

impl BudgetLimits {
    fn allows(&self, total: SpendTotals) -> bool {
        self.requests.is_none_or(|limit| total.requests <= limit)
            && self.tokens.is_none_or(|limit| total.tokens <= limit)
            && self.dollars.is_none_or(|limit| total.nanos <= (limit * 1e9).floor() as NanoDollars)
    }
}

/// The part of one target in a shared budget. [`Budget::with_prices`] adds the part of another
/// target.
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
    /// Requests with a reservation.
    in_flight: u64,
    /// The part of `in_flight` that waits to be retried, and so returns nothing to the budget.
    waiting_retries: u64,
    is_exhausted: bool,
}

impl Budget {
    /// A budget with these limits.
    pub fn new(limits: BudgetLimits) -> Self {
        Self { ledger: Arc::new(BudgetLedger { limits, ..BudgetLedger::default() }), ..Self::default() }
    }

    /// The part of another target, at its own prices. Without prices its tokens cost nothing.
    pub fn with_prices(&self, prices: Option<TokenPrices>) -> Self {
        Self { ledger: self.ledger.clone(), prices: prices.unwrap_or_default(), was_denied: Arc::default() }
    }

    /// Reserves the maximum cost of an attempt. `None` if the budget does not allow it. Then it
    /// allows no later request either, so that the skipped rows do not depend on the sizes of
    /// requests.
    pub async fn reserve(&self, max_cost: RequestCost) -> Option<BudgetReservation<'_>> {
        let amount = SpendTotals::from_cost(max_cost, self.prices);
        let is_reserved = self.reserve_amount(amount, false).await;
        is_reserved.then(|| BudgetReservation::new(self, max_cost, amount))
    }

    /// Reserves the cost of a request that was already sent, even if the budget does not allow it.
    pub fn charge(&self, max_cost: RequestCost, attempts: u64) -> BudgetReservation<'_> {
        let max_cost = RequestCost { requests: attempts, ..max_cost };
        let amount = SpendTotals::from_cost(max_cost, self.prices);
        self.ledger.lock_state().add_reservation(amount, true);
        BudgetReservation::new(self, max_cost, amount)
    }

    async fn reserve_amount(&self, amount: SpendTotals, is_retry: bool) -> bool {
        let is_reserved = self.ledger.reserve_amount(amount, is_retry).await;
        if !is_reserved {
            self.was_denied.store(true, Ordering::Relaxed);
        }
        is_reserved
    }

    /// True if there is any limit.
    pub fn is_bounded(&self) -> bool {
        self.ledger.limits != BudgetLimits::default()
    }

    /// True after a request of this target did not fit. A run that uses exactly its budget is
    /// complete.
    pub fn is_exhausted(&self) -> bool {
        self.was_denied.load(Ordering::Relaxed)
    }
}

impl LedgerState {
    fn add_reservation(&mut self, amount: SpendTotals, is_new_request: bool) {
        self.reserved = self.reserved.saturating_add(amount);
        self.in_flight += u64::from(is_new_request);
    }
}

impl BudgetLedger {
    /// Reserves an amount as soon as it fits. False if it does not fit and no request in flight can
    /// return anything.
    async fn reserve_amount(&self, amount: SpendTotals, is_retry: bool) -> bool {
        let mut waiter = None;
        loop {
            let change = self.state_changed.notified();
            tokio::pin!(change);
            // Subscribe before reading the state, so that no change in between is missed.
            change.as_mut().enable();
            {
                let mut state = self.lock_state();
                if state.is_exhausted {
                    return false;
                }
                if self.limits.allows(state.charged.saturating_add(state.reserved).saturating_add(amount)) {
                    state.add_reservation(amount, !is_retry);
                    return true;
                }
                let starts_waiting = is_retry && waiter.is_none();
                if starts_waiting {
                    state.waiting_retries += 1;
                    waiter = Some(RetryWaiter(self));
                }
                if state.in_flight == state.waiting_retries {
                    state.is_exhausted = true;
                    drop(state);
                    self.state_changed.notify_waiters();
                    return false;
                }
                if starts_waiting {
                    // Others may have waited for this request alone. This also wakes itself, once.
                    self.state_changed.notify_waiters();
                }
            }
            change.await;
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits to be retried. Dropping it ends the wait, even if it was cancelled.
struct RetryWaiter<'a>(&'a BudgetLedger);

impl Drop for RetryWaiter<'_> {
    fn drop(&mut self) {
        self.0.lock_state().waiting_retries -= 1;
    }
}

/// The reservation of one request. Dropping it charges the maximum cost, or the real cost if
/// [`settle`](Self::settle) was called.
#[derive(Debug)]
pub struct BudgetReservation<'a> {
    budget: &'a Budget,
    /// The maximum cost of one attempt.
    max_cost: RequestCost,
    /// The cost that is charged in the end.
    final_cost: RequestCost,
    reserved: SpendTotals,
    /// The cost, or the maximum cost, of earlier attempts.
    prior_cost: RequestCost,
}

impl<'a> BudgetReservation<'a> {
    fn new(budget: &'a Budget, max_cost: RequestCost, reserved: SpendTotals) -> Self {
        Self { budget, max_cost, final_cost: max_cost, reserved, prior_cost: RequestCost::default() }
    }

    /// The number of attempts.
    pub fn attempts(&self) -> u64 {
        self.max_cost.requests + self.prior_cost.requests
    }

    /// Reserves the cost of a retry. If the last attempt `may_be_charged`, its real cost is
    /// unknown, and its maximum cost stays reserved. False if the budget does not allow the retry.
    pub async fn reserve_retry(&mut self, may_be_charged: bool) -> bool {
        let (input, output) = if may_be_charged { (self.max_cost.input, self.max_cost.output) } else { (0, 0) };
        let amount = SpendTotals::from_cost(RequestCost { requests: 1, input, output }, self.budget.prices);
        if !self.budget.reserve_amount(amount, true).await {
            return false;
        }
        self.reserved = self.reserved.saturating_add(amount);
        for cost in [&mut self.prior_cost, &mut self.final_cost] {
            cost.requests += 1;
            cost.input = cost.input.saturating_add(input);
            cost.output = cost.output.saturating_add(output);
        }
        true
    }

    /// Charges these tokens for the last attempt instead of the maximum. A count that the endpoint
    /// does not report is charged at its maximum.
    pub fn settle(mut self, input: Option<u64>, output: Option<u64>) {
        self.final_cost = RequestCost {
            requests: self.attempts(),
            input: input.unwrap_or(self.max_cost.input).saturating_add(self.prior_cost.input),
            output: output.unwrap_or(self.max_cost.output).saturating_add(self.prior_cost.output),
        };
    }
}

impl Drop for BudgetReservation<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.ledger.lock_state();
        state.reserved = state.reserved.combine(self.reserved, u64::saturating_sub);
        state.charged = state.charged.saturating_add(SpendTotals::from_cost(self.final_cost, self.budget.prices));
        state.in_flight -= 1;
        drop(state);
        self.budget.ledger.state_changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn token_budget(limit: u64) -> Budget {
        Budget::new(BudgetLimits { tokens: Some(limit), ..BudgetLimits::default() })
    }

    fn single_cost(input: u64, output: u64) -> RequestCost {
        RequestCost { requests: 1, input, output }
    }

    #[tokio::test]
    async fn a_budget_that_fits_exactly_is_not_exhausted() {
        let budget = Budget::new(BudgetLimits { requests: Some(2), tokens: Some(20), ..BudgetLimits::default() });
        for _ in 0..2 {
            budget.reserve(single_cost(5, 5)).await.unwrap().settle(Some(5), Some(5));
        }
        assert!(!budget.is_exhausted());
        assert!(budget.reserve(single_cost(0, 0)).await.is_none(), "a third request");
        assert!(budget.is_exhausted());
    }

    #[tokio::test]
    async fn a_request_waits_until_another_returns_its_reservation() {
        let budget = token_budget(100);
        let first = budget.reserve(single_cost(10, 80)).await.unwrap();
        let mut second = Box::pin(budget.reserve(single_cost(10, 80)));
        assert!((&mut second).now_or_never().is_none(), "it may fit later");
        first.settle(Some(2), Some(3));
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn a_request_that_cannot_fit_ends_the_budget() {
        let budget = token_budget(100);
        let first = budget.reserve(single_cost(10, 80)).await.unwrap();
        let mut second = Box::pin(budget.reserve(single_cost(10, 80)));
        assert!((&mut second).now_or_never().is_none());
        first.settle(Some(10), Some(10));
        assert!(second.await.is_none(), "20 are charged, and 90 more make 110");
        assert!(budget.reserve(single_cost(1, 1)).await.is_none(), "a smaller request is denied after that");
    }

    #[tokio::test]
    async fn a_cancelled_request_is_charged_at_its_maximum() {
        let budget = token_budget(100);
        drop(budget.reserve(single_cost(10, 50)).await.unwrap());
        assert!(budget.reserve(single_cost(10, 50)).await.is_none());
    }

    #[tokio::test]
    async fn a_cost_limit_denies_requests() {
        let limits = BudgetLimits { dollars: Some(0.001), ..BudgetLimits::default() };
        let budget = Budget::new(limits).with_prices(Some(TokenPrices { input: 1.0, output: 10.0 }));
        budget.reserve(single_cost(100, 50)).await.unwrap().settle(Some(100), Some(50));
        assert!(budget.reserve(single_cost(100, 50)).await.is_none(), "0.0006 twice is more than 0.001");
    }

    #[tokio::test]
    async fn a_retry_counts_as_a_request_and_keeps_the_cost_of_the_last_attempt() {
        let budget = Budget::new(BudgetLimits { requests: Some(3), tokens: Some(200), ..BudgetLimits::default() });
        let mut first = budget.reserve(single_cost(10, 40)).await.unwrap();
        assert!(first.reserve_retry(false).await, "a rejected request costs no tokens");
        assert!(first.reserve_retry(true).await, "an interrupted response may be charged");
        assert!(!first.reserve_retry(false).await, "a fourth request");
        first.settle(Some(10), Some(20));
        let state = budget.ledger.lock_state();
        assert_eq!((state.charged.requests, state.charged.tokens), (3, 30 + 50));
        assert_eq!(state.reserved, SpendTotals::default());
    }

    #[tokio::test]
    async fn waiting_retries_do_not_wait_for_each_other() {
        let budget = Budget::new(BudgetLimits { requests: Some(2), ..BudgetLimits::default() });
        let mut first = budget.reserve(single_cost(1, 1)).await.unwrap();
        let mut second = budget.reserve(single_cost(1, 1)).await.unwrap();
        let wait = tokio::time::timeout(std::time::Duration::from_secs(10), async {
            tokio::join!(first.reserve_retry(false), second.reserve_retry(false))
        });
        assert_eq!(wait.await.unwrap(), (false, false));
    }

    #[tokio::test]
    async fn targets_share_a_budget_at_their_own_prices() {
        let budget = Budget::new(BudgetLimits { dollars: Some(1.0), ..BudgetLimits::default() });
        let with_price = |input| budget.with_prices(Some(TokenPrices { input, output: 0.0 }));
        let (cheap, expensive) = (with_price(1.0), with_price(10.0));
        expensive.reserve(single_cost(90_000, 0)).await.unwrap().settle(Some(90_000), Some(0));
        cheap.reserve(single_cost(100_000, 0)).await.unwrap().settle(Some(100_000), Some(0));
        assert!(!cheap.is_exhausted());
        assert!(cheap.reserve(single_cost(1, 0)).await.is_none());
        assert!(cheap.is_exhausted() && !expensive.is_exhausted(), "only the target that was denied");
    }

    #[tokio::test]
    async fn a_missing_token_count_is_charged_at_its_maximum() {
        let budget = token_budget(100);
        budget.reserve(single_cost(10, 50)).await.unwrap().settle(None, Some(5));
        assert_eq!(budget.ledger.lock_state().charged.tokens, 15);
    }

    proptest! {
        #[test]
        fn charges_within_reservations_never_exceed_the_limit(
            limit in 0u64..5_000, costs in prop::collection::vec((0u64..500, 0u64..500, 0u64..=100), 0..60)
        ) {
            let budget = token_budget(limit);
            let mut charged = 0;
            for (input, output, share) in costs {
                let Some(reservation) = budget.reserve(single_cost(input, output)).now_or_never().flatten() else { break };
                let (input, output) = (input * share / 100, output * share / 100);
                reservation.settle(Some(input), Some(output));
                charged += input + output;
            }
            prop_assert!(charged <= limit);
        }
    }
}
