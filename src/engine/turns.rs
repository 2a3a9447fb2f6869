//! Whose turn it is to send: so many rows at once, and among those that wait, the one that comes first in the order.
//!
//! A row keeps its place from one request to the next, so that rows that are begun end before others begin. While it
//! waits for an answer that another row asked for, it needs none and gives it up. Knows nothing of requests.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::case::{Chance, Combine, Compare, Experiment};

/// The places, and who waits for one.
#[derive(Debug)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// By rank; no two rows have the same.
    waiting: BTreeMap<usize, oneshot::Sender<()>>,
}

impl Turns {
    /// So many places, one at least.
    pub fn new(places: usize) -> Self {
        Self(Mutex::new(State { free: places.max(1), waiting: BTreeMap::new() }))
    }

    /// A turn for the row of this rank, which has no place yet: the lower the rank, the sooner it gets one. Of each rank
    /// there is one row at a time.
    pub fn of(&self, rank: usize) -> Turn<'_> {
        Turn { turns: self, rank, has_place: Mutex::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place that is free; else what tells of the place that was left to this rank.
    fn take(&self, rank: usize) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(rank, sender);
        Some(receiver)
    }

    fn leave(&self) {
        let mut state = self.state();
        // One that no longer waits is passed over.
        while let Some((_, next)) = state.waiting.pop_first() {
            if next.send(()).is_ok() {
                return;
            }
        }
        state.free += 1;
    }
}

/// A row's turn: with a place, or without one.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    rank: usize,
    has_place: Mutex<bool>,
}

impl Turn<'_> {
    /// Waits for a place, where there is none yet.
    pub async fn come(&self) {
        if *self.has_place() {
            return;
        }
        if let Some(left) = self.turns.take(self.rank) {
            // The sender lives until it has sent. Who stops waiting here is over with the whole run.
            let _ = left.await;
        }
        *self.has_place() = true;
    }

    /// Leaves the place to who waits for one.
    pub fn leave(&self) {
        if std::mem::take(&mut *self.has_place()) {
            self.turns.leave();
        }
    }

    fn has_place(&self) -> MutexGuard<'_, bool> {
        self.has_place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The rank of each row. The rows with the longest way to go come first: begun last, they would go on alone when all
/// others are done. Where only so much may be sent, or one row goes at a time, that gains nothing, and they come in order.
pub(super) fn ranks<'a>(rows: impl Iterator<Item = &'a Experiment>, in_order: bool) -> Vec<usize> {
    let mut order: Vec<(Reverse<usize>, usize)> =
        rows.enumerate().map(|(row, e)| (Reverse(if in_order { 0 } else { way(e) }), row)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, (_, row)) in order.into_iter().enumerate() {
        ranks[row] = rank;
    }
    ranks
}

/// About how many requests a row asks one after the other, where all goes well. Only its order among others counts.
fn way(experiment: &Experiment) -> usize {
    let trials = match (&experiment.spread, &experiment.compare, &experiment.effect) {
        (Some(_), ..) => 12,
        (_, Some(Compare::Gradual), _) => 6,
        (_, Some(_), _) => 2,
        (_, _, Some(_)) => match experiment.by_chance {
            Chance::Never => 1,
            Chance::Rare => 2,
            // What a model may do by itself is asked without the field as well.
            Chance::Possible => 7,
            Chance::OneIn(_) => 8,
        },
        (None, None, None) => 2,
    };
    let variants = match experiment.combine {
        Combine::All => experiment.variants.len().max(1),
        Combine::Any => 1,
    };
    let then = experiment.treatment.as_ref().map_or(0, |arm| arm.then.len());
    trials * variants * (experiment.repeat as usize + then)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::FutureExt as _;

    #[test]
    fn the_lowest_rank_that_waits_comes_first_and_a_place_is_kept_until_it_is_left() {
        let turns = Turns::new(2);
        let [a, b, c, d] = [0, 1, 2, 3].map(|rank| turns.of(rank));
        for first in [&c, &d] {
            assert!(first.come().now_or_never().is_some());
        }
        assert!(c.come().now_or_never().is_some(), "it has a place");
        let (mut second, mut first) = (Box::pin(b.come()), Box::pin(a.come()));
        assert!((&mut second).now_or_never().is_none() && (&mut first).now_or_never().is_none());
        drop(d);
        assert!((&mut second).now_or_never().is_none(), "the other has a lower rank");
        assert!((&mut first).now_or_never().is_some());
        c.leave();
        assert!((&mut second).now_or_never().is_some());
    }

    #[test]
    fn a_row_that_waits_no_longer_is_passed_over() {
        let turns = Turns::new(1);
        let [a, b, c] = [0, 1, 2].map(|rank| turns.of(rank));
        assert!(a.come().now_or_never().is_some());
        assert!(b.come().now_or_never().is_none(), "and dropped");
        let mut last = Box::pin(c.come());
        assert!((&mut last).now_or_never().is_none());
        a.leave();
        assert!((&mut last).now_or_never().is_some());
    }
}
