//! Whose turn it is to send: so many rows at once, and among those that wait, the one with the longest way to go.
//!
//! Rows are chains of requests, and a long one that is begun last goes on alone when all others are done. While a row waits
//! for an answer that another one asked for, it needs no place and gives it up. Knows nothing of requests.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::catalog::{ChanceRate, CombineRule, Experiment};

/// The places, and who waits for one.
#[derive(Debug)]
pub(crate) struct RowScheduler(Mutex<SchedulerState>);

#[derive(Debug)]
struct SchedulerState {
    free_slots: usize,
    waiting: BTreeMap<QueueKey, oneshot::Sender<()>>,
}

/// The smallest comes first: the longest way to go, and among equals the rank, which no two rows have in common.
type QueueKey = (Reverse<usize>, usize);

impl RowScheduler {
    /// So many places, one at least.
    pub fn new(places: usize) -> Self {
        Self(Mutex::new(SchedulerState { free_slots: places.max(1), waiting: BTreeMap::new() }))
    }

    /// A turn for the row of this rank, which has no place yet. Of each rank there is one row at a time.
    pub fn create_slot(&self, rank: usize, way: RowPriority) -> RowSlot<'_> {
        RowSlot { scheduler: self, rank, priority: way, state: Mutex::default() }
    }

    fn lock_state(&self) -> MutexGuard<'_, SchedulerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place that is free; else what tells of the place that was left to this one.
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
        // One that no longer waits is passed over.
        while let Some((_, next)) = state.waiting.pop_first() {
            if next.send(()).is_ok() {
                return;
            }
        }
        state.free_slots += 1;
    }

    /// True where one waits that comes before this one.
    fn has_earlier_waiter(&self, key: QueueKey) -> bool {
        self.lock_state().waiting.first_key_value().is_some_and(|(first, _)| *first < key)
    }
}

/// How far a row has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowPriority {
    /// It does not matter: rows come in the order of their ranks, and one that is begun keeps its place.
    InOrder,
    /// About so many requests, one after the other. Who has further to go comes first.
    ExpectedRequests(usize),
}

/// A row's turn: with a place, or without one.
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
    /// Waits until it may send once more.
    pub async fn acquire(&self) {
        let key = self.queue_key();
        if self.lock_state().holds_slot {
            if self.priority == RowPriority::InOrder || !self.scheduler.has_earlier_waiter(key) {
                return;
            }
            self.release();
        }
        if let Some(left) = self.scheduler.take_or_wait(key) {
            // The sender lives until it has sent. Who stops waiting here is over with the whole run.
            let _ = left.await;
        }
        self.lock_state().holds_slot = true;
    }

    /// A request was sent, and answered.
    pub fn record_request(&self) {
        self.lock_state().sent_requests += 1;
    }

    /// Leaves the place to who waits for one.
    pub fn release(&self) {
        if std::mem::take(&mut self.lock_state().holds_slot) {
            self.scheduler.release();
        }
    }

    fn queue_key(&self) -> QueueKey {
        let left = match self.priority {
            RowPriority::InOrder => 0,
            // One that goes on longer than it was thought to may go on for long.
            RowPriority::ExpectedRequests(way) => way
                .checked_sub(self.lock_state().sent_requests)
                .filter(|left| *left > 0)
                .unwrap_or(DEFAULT_REMAINING_REQUESTS),
        };
        (Reverse(left), self.rank)
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

/// How far a row has to go that has gone as far as it was thought to.
const DEFAULT_REMAINING_REQUESTS: usize = 3;

/// The way of each row. Where only so much may be sent, or one row goes at a time, nothing is gained by taking the longest
/// first, and rows that are begun should end.
pub(crate) fn row_priority(experiment: &Experiment, in_order: bool) -> RowPriority {
    if in_order { RowPriority::InOrder } else { RowPriority::ExpectedRequests(estimate_requests(experiment)) }
}

/// About how many requests a row asks one after the other, where all goes well.
fn estimate_requests(experiment: &Experiment) -> usize {
    let trials = match (&experiment.sampling, &experiment.compare, &experiment.effect) {
        (Some(_), ..) => 12,
        (_, Some(_), _) => 8,
        (_, _, Some(_)) => match experiment.by_chance {
            ChanceRate::Never => 4,
            ChanceRate::Rare => 2,
            // What a model may do by itself is asked without the field as well.
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
    fn in_order_the_lowest_rank_that_waits_comes_first_and_a_place_is_kept_until_it_is_left() {
        let turns = RowScheduler::new(2);
        let [a, b, c, d] = [0, 1, 2, 3].map(|rank| turns.create_slot(rank, RowPriority::InOrder));
        for first in [&c, &d] {
            assert!(first.acquire().now_or_never().is_some());
        }
        let (mut second, mut first) = (Box::pin(b.acquire()), Box::pin(a.acquire()));
        assert!((&mut second).now_or_never().is_none() && (&mut first).now_or_never().is_none());
        assert!(c.acquire().now_or_never().is_some(), "it has a place, whoever waits");
        drop(d);
        assert!((&mut second).now_or_never().is_none(), "the other has a lower rank");
        assert!((&mut first).now_or_never().is_some());
        c.release();
        assert!((&mut second).now_or_never().is_some());
    }

    #[test]
    fn who_has_further_to_go_comes_first_and_who_has_gone_some_way_lets_others_pass() {
        let turns = RowScheduler::new(1);
        let [short, long, begun] =
            [(0, 2), (1, 9), (2, 8)].map(|(rank, way)| turns.create_slot(rank, RowPriority::ExpectedRequests(way)));
        assert!(begun.acquire().now_or_never().is_some());
        let (mut one, mut other) = (Box::pin(short.acquire()), Box::pin(long.acquire()));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        begun.record_request();
        let mut again = Box::pin(begun.acquire());
        assert!((&mut again).now_or_never().is_none(), "7 left, and another has 9");
        assert!((&mut other).now_or_never().is_some());
        long.release();
        assert!((&mut again).now_or_never().is_some(), "7 left, and the other 2");
        assert!((&mut one).now_or_never().is_none());
        assert!(begun.acquire().now_or_never().is_some(), "it may go on");
    }

    #[test]
    fn a_row_that_waits_no_longer_is_passed_over() {
        let turns = RowScheduler::new(1);
        let [a, b, c] = [0, 1, 2].map(|rank| turns.create_slot(rank, RowPriority::InOrder));
        assert!(a.acquire().now_or_never().is_some());
        assert!(b.acquire().now_or_never().is_none(), "and dropped");
        let mut last = Box::pin(c.acquire());
        assert!((&mut last).now_or_never().is_none());
        a.release();
        assert!((&mut last).now_or_never().is_some());
    }
}
