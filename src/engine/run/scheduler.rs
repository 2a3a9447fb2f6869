//! [`RowScheduler`]: which rows may send. Of the waiting rows, the one with the most expected
//! requests comes first.
//!
//! Rows are chains of requests. A long row that starts last would run alone at the end. A row that
//! waits for a response to another row's request releases its slot. This module must not know
//! requests.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::catalog::{ChanceRate, CombineRule, Experiment};

/// A fixed number of slots, and the rows that wait for one.
#[derive(Debug)]
pub(crate) struct RowScheduler(Mutex<SchedulerState>);

#[derive(Debug)]
struct SchedulerState {
    free_slots: usize,
    waiting: BTreeMap<QueueKey, oneshot::Sender<()>>,
    /// The lowest rank of a slot that was taken without waiting.
    spare_rank: usize,
}

/// The smallest key comes first: the most remaining requests, then the lowest rank. Ranks are
/// unique.
type QueueKey = (Reverse<usize>, usize);

impl RowScheduler {
    /// Creates this many slots, at least one.
    pub fn new(slots: usize) -> Self {
        let state = SchedulerState { free_slots: slots.max(1), waiting: BTreeMap::new(), spare_rank: usize::MAX };
        Self(Mutex::new(state))
    }

    /// Creates a slot handle for the row with this rank. It does not hold a slot yet. No two
    /// handles may have the same rank at the same time.
    pub fn create_slot(&self, rank: usize, priority: RowPriority) -> RowSlot<'_> {
        RowSlot { scheduler: self, rank, priority, state: Mutex::default() }
    }

    /// True if no row waits for a slot and one is free.
    pub fn has_free_slot(&self) -> bool {
        self.lock_state().free_slots > 0
    }

    /// Takes a slot that no row waits for. Rows have lower ranks.
    pub fn take_free_slot(&self) -> Option<RowSlot<'_>> {
        let mut state = self.lock_state();
        state.free_slots = state.free_slots.checked_sub(1)?;
        state.spare_rank -= 1;
        let slot = Mutex::new(SlotState { holds_slot: true, sent_requests: 0 });
        Some(RowSlot { scheduler: self, rank: state.spare_rank, priority: RowPriority::InOrder, state: slot })
    }

    fn lock_state(&self) -> MutexGuard<'_, SchedulerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a free slot. Without one, returns a receiver that reports when a slot was passed on.
    fn take_or_wait(&self, key: QueueKey) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock_state();
        if state.free_slots > 0 {
            state.free_slots -= 1;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(key, sender);
        Some(receiver)
    }

    fn release(&self) {
        let mut state = self.lock_state();
        // Skips rows that no longer wait.
        while let Some((_, next)) = state.waiting.pop_first() {
            if next.send(()).is_ok() {
                return;
            }
        }
        state.free_slots += 1;
    }

    /// True if a row with a smaller key waits.
    fn has_earlier_waiter(&self, key: QueueKey) -> bool {
        self.lock_state().waiting.first_key_value().is_some_and(|(first, _)| *first < key)
    }
}

/// The order of a row among the waiting rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowPriority {
    /// By rank. A started row keeps its slot.
    InOrder,
    /// By the expected number of remaining requests, the largest first.
    ExpectedRequests(usize),
}

/// The handle of a row, which may hold a slot.
#[derive(Debug)]
pub(crate) struct RowSlot<'a> {
    scheduler: &'a RowScheduler,
    rank: usize,
    priority: RowPriority,
    state: Mutex<SlotState>,
}

#[derive(Debug, Default)]
struct SlotState {
    holds_slot: bool,
    sent_requests: usize,
}

impl RowSlot<'_> {
    /// Waits until the row may send its next request.
    pub async fn acquire(&self) {
        let key = self.queue_key();
        if self.lock_state().holds_slot {
            if self.priority == RowPriority::InOrder || !self.scheduler.has_earlier_waiter(key) {
                return;
            }
            self.release();
        }
        if let Some(passed_on) = self.scheduler.take_or_wait(key) {
            // The scheduler keeps the sender until it sends, so this cannot fail.
            let _ = passed_on.await;
        }
        self.lock_state().holds_slot = true;
    }

    /// Counts an answered request.
    pub fn record_request(&self) {
        self.lock_state().sent_requests += 1;
    }

    /// Passes the slot on to a waiting row.
    pub fn release(&self) {
        if std::mem::take(&mut self.lock_state().holds_slot) {
            self.scheduler.release();
        }
    }

    fn queue_key(&self) -> QueueKey {
        let remaining = match self.priority {
            RowPriority::InOrder => 0,
            // A row that needs more requests than expected may need many more.
            RowPriority::ExpectedRequests(expected) => expected
                .checked_sub(self.lock_state().sent_requests)
                .filter(|remaining| *remaining > 0)
                .unwrap_or(DEFAULT_REMAINING_REQUESTS),
        };
        (Reverse(remaining), self.rank)
    }

    fn lock_state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RowSlot<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// The expected remaining requests of a row that has sent all its expected requests.
const DEFAULT_REMAINING_REQUESTS: usize = 3;

/// The priority of a row. With a budget or with one row at a time, rows run in order, so that
/// started rows are completed.
pub(crate) fn row_priority(experiment: &Experiment, in_order: bool) -> RowPriority {
    if in_order { RowPriority::InOrder } else { RowPriority::ExpectedRequests(estimate_requests(experiment)) }
}

/// The expected number of requests of a row that must follow each other.
pub(super) fn estimate_requests(experiment: &Experiment) -> usize {
    let trials = match (&experiment.sampling, &experiment.compare, &experiment.effect) {
        (Some(_), ..) => 12,
        (_, Some(_), _) => 8,
        (_, _, Some(_)) => match experiment.by_chance {
            ChanceRate::Never => 4,
            ChanceRate::Rare => 2,
            // A model may show the effect by itself, so the negative control is repeated too.
            ChanceRate::Possible => 7,
            ChanceRate::OneIn(_) => 8,
        },
        (None, None, None) => 2,
    };
    let variants = match experiment.combine {
        CombineRule::All => experiment.variants.len().max(1),
        CombineRule::Any => 1,
    };
    let then = experiment.treatment.as_ref().map_or(0, |arm| arm.then.len());
    trials * variants * (experiment.repeat as usize + then)
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt as _;

    use super::*;

    #[test]
    fn in_order_the_lowest_rank_comes_first_and_a_row_keeps_its_slot_until_it_releases_it() {
        let scheduler = RowScheduler::new(2);
        let [a, b, c, d] = [0, 1, 2, 3].map(|rank| scheduler.create_slot(rank, RowPriority::InOrder));
        for first in [&c, &d] {
            assert!(first.acquire().now_or_never().is_some());
        }
        let (mut second, mut first) = (Box::pin(b.acquire()), Box::pin(a.acquire()));
        assert!((&mut second).now_or_never().is_none() && (&mut first).now_or_never().is_none());
        assert!(c.acquire().now_or_never().is_some(), "it has a slot");
        drop(d);
        assert!((&mut second).now_or_never().is_none(), "the other row has a lower rank");
        assert!((&mut first).now_or_never().is_some());
        c.release();
        assert!((&mut second).now_or_never().is_some());
    }

    #[test]
    fn the_row_with_the_most_remaining_requests_comes_first() {
        let scheduler = RowScheduler::new(1);
        let [short, long, begun] = [(0, 2), (1, 9), (2, 8)]
            .map(|(rank, expected)| scheduler.create_slot(rank, RowPriority::ExpectedRequests(expected)));
        assert!(begun.acquire().now_or_never().is_some());
        let (mut one, mut other) = (Box::pin(short.acquire()), Box::pin(long.acquire()));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        begun.record_request();
        let mut again = Box::pin(begun.acquire());
        assert!((&mut again).now_or_never().is_none(), "7 remaining, another row has 9");
        assert!((&mut other).now_or_never().is_some());
        long.release();
        assert!((&mut again).now_or_never().is_some(), "7 remaining, the other row has 2");
        assert!((&mut one).now_or_never().is_none());
        assert!(begun.acquire().now_or_never().is_some(), "it keeps its slot");
    }

    #[test]
    fn a_free_slot_is_taken_only_if_no_row_waits() {
        let scheduler = RowScheduler::new(1);
        let row = scheduler.create_slot(0, RowPriority::InOrder);
        let early = scheduler.take_free_slot().unwrap();
        assert!(!scheduler.has_free_slot() && scheduler.take_free_slot().is_none());
        let mut waiting = Box::pin(row.acquire());
        assert!((&mut waiting).now_or_never().is_none());
        drop(early);
        assert!(scheduler.take_free_slot().is_none(), "it was passed on to the row");
        assert!((&mut waiting).now_or_never().is_some());
    }

    #[test]
    fn a_row_that_no_longer_waits_is_skipped() {
        let scheduler = RowScheduler::new(1);
        let [a, b, c] = [0, 1, 2].map(|rank| scheduler.create_slot(rank, RowPriority::InOrder));
        assert!(a.acquire().now_or_never().is_some());
        assert!(b.acquire().now_or_never().is_none(), "and the future is dropped");
        let mut last = Box::pin(c.acquire());
        assert!((&mut last).now_or_never().is_none());
        a.release();
        assert!((&mut last).now_or_never().is_some());
    }
}
