//! The same work on many things at once, in order: on as many threads as there are cores.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More threads than this would wait for each other.
const MOST_THREADS: usize = 8;

/// What the work makes of each thing, in order. Where no thread can be started, this one does it all.
pub(super) fn side_by_side<'a, T: Sync, R: Send>(things: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(things.len());
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { return done };
            done.push((at, work(thing)));
        }
    };
    let mut all = thread::scope(|scope| {
        let others = (1..threads).filter_map(|_| thread::Builder::new().spawn_scoped(scope, share).ok());
        let others: Vec<_> = others.collect();
        let mut all = share();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_in_order_and_of_each_thing_once() {
        for many in [0, 1, 2, 1000] {
            let things: Vec<usize> = (0..many).collect();
            assert_eq!(side_by_side(&things, |n| n * 2), things.iter().map(|n| n * 2).collect::<Vec<_>>());
        }
    }
}
