//! Whose turn it is to send: so many rows at once, and among those that wait, the one with the longest way to go.
//!
//! Rows are chains of requests, and a long one that is begun last goes on alone when all others are done. While a row waits
//! for an answer that another one asked for, it needs no place and gives it up. Knows nothing of requests.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::catalog::{Chance, Combine, Experiment};

/// The places, and who waits for one.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: BTreeMap<Key, oneshot::Sender<()>>,
}

/// The smallest comes first: the longest way to go, and among equals the rank, which no two rows have in common.
type Key = (Reverse<usize>, usize);

impl Turns {
    /// So many places, one at least.
    pub fn new(places: usize) -> Self {
        Self(Mutex::new(State { free: places.max(1), waiting: BTreeMap::new() }))
    }

    /// A turn for the row of this rank, which has no place yet. Of each rank there is one row at a time.
    pub fn of(&self, rank: usize, way: Way) -> Turn<'_> {
        Turn { turns: self, rank, way, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place that is free; else what tells of the place that was left to this one.
    fn take(&self, key: Key) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(key, sender);
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

    /// True where one waits that comes before this one.
    fn is_behind(&self, key: Key) -> bool {
        self.state().waiting.first_key_value().is_some_and(|(first, _)| *first < key)
    }
}

/// How far a row has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It does not matter: rows come in the order of their ranks, and one that is begun keeps its place.
    InOrder,
    /// About so many requests, one after the other. Who has further to go comes first.
    Requests(usize),
}

/// A row's turn: with a place, or without one.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    rank: usize,
    way: Way,
    state: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    has_place: bool,
    sent: usize,
}

impl Turn<'_> {
    /// Waits until it may send once more.
    pub async fn come(&self) {
        let key = self.key();
        if self.state().has_place {
            if self.way == Way::InOrder || !self.turns.is_behind(key) {
                return;
            }
            self.leave();
        }
        if let Some(left) = self.turns.take(key) {
            // The sender lives until it has sent. Who stops waiting here is over with the whole run.
            let _ = left.await;
        }
        self.state().has_place = true;
    }

    /// A request was sent, and answered.
    pub fn sent(&self) {
        self.state().sent += 1;
    }

    /// Leaves the place to who waits for one.
    pub fn leave(&self) {
        if std::mem::take(&mut self.state().has_place) {
            self.turns.leave();
        }
    }

    fn key(&self) -> Key {
        let left = match self.way {
            Way::InOrder => 0,
            // One that goes on longer than it was thought to may go on for long.
            Way::Requests(way) => way.checked_sub(self.state().sent).filter(|left| *left > 0).unwrap_or(UNFORESEEN),
        };
        (Reverse(left), self.rank)
    }

    fn state(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// How far a row has to go that has gone as far as it was thought to.
const UNFORESEEN: usize = 3;

/// The way of each row. Where only so much may be sent, or one row goes at a time, nothing is gained by taking the longest
/// first, and rows that are begun should end.
pub(crate) fn way(experiment: &Experiment, in_order: bool) -> Way {
    if in_order { Way::InOrder } else { Way::Requests(requests(experiment)) }
}

/// About how many requests a row asks one after the other, where all goes well.
fn requests(experiment: &Experiment) -> usize {
    let trials = match (&experiment.spread, &experiment.compare, &experiment.effect) {
        (Some(_), ..) => 12,
        (_, Some(_), _) => 8,
        (_, _, Some(_)) => match experiment.by_chance {
            Chance::Never => 4,
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
    use futures_util::future::FutureExt as _;

    use super::*;

    #[test]
    fn in_order_the_lowest_rank_that_waits_comes_first_and_a_place_is_kept_until_it_is_left() {
        let turns = Turns::new(2);
        let [a, b, c, d] = [0, 1, 2, 3].map(|rank| turns.of(rank, Way::InOrder));
        for first in [&c, &d] {
            assert!(first.come().now_or_never().is_some());
        }
        let (mut second, mut first) = (Box::pin(b.come()), Box::pin(a.come()));
        assert!((&mut second).now_or_never().is_none() && (&mut first).now_or_never().is_none());
        assert!(c.come().now_or_never().is_some(), "it has a place, whoever waits");
        drop(d);
        assert!((&mut second).now_or_never().is_none(), "the other has a lower rank");
        assert!((&mut first).now_or_never().is_some());
        c.leave();
        assert!((&mut second).now_or_never().is_some());
    }

    #[test]
    fn who_has_further_to_go_comes_first_and_who_has_gone_some_way_lets_others_pass() {
        let turns = Turns::new(1);
        let [short, long, begun] = [(0, 2), (1, 9), (2, 8)].map(|(rank, way)| turns.of(rank, Way::Requests(way)));
        assert!(begun.come().now_or_never().is_some());
        let (mut one, mut other) = (Box::pin(short.come()), Box::pin(long.come()));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        begun.sent();
        let mut again = Box::pin(begun.come());
        assert!((&mut again).now_or_never().is_none(), "7 left, and another has 9");
        assert!((&mut other).now_or_never().is_some());
        long.leave();
        assert!((&mut again).now_or_never().is_some(), "7 left, and the other 2");
        assert!((&mut one).now_or_never().is_none());
        assert!(begun.come().now_or_never().is_some(), "it may go on");
    }

    #[test]
    fn a_row_that_waits_no_longer_is_passed_over() {
        let turns = Turns::new(1);
        let [a, b, c] = [0, 1, 2].map(|rank| turns.of(rank, Way::InOrder));
        assert!(a.come().now_or_never().is_some());
        assert!(b.come().now_or_never().is_none(), "and dropped");
        let mut last = Box::pin(c.come());
        assert!((&mut last).now_or_never().is_none());
        a.leave();
        assert!((&mut last).now_or_never().is_some());
    }
}
