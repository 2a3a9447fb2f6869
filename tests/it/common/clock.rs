//! A clock of its own for one future: when nothing can go on without waiting, it is the next moment that somebody waits for.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// The clock.
#[derive(Default)]
pub struct Clock(Mutex<State>);

#[derive(Default)]
struct State {
    now: u64,
    /// Who waits, by moment and order.
    waiting: BTreeMap<(u64, u64), Waker>,
    asked: u64,
}

impl Clock {
    /// The moment.
    pub fn now(&self) -> u64 {
        self.0.lock().unwrap().now
    }

    /// Waits so long.
    pub async fn sleep(&self, span: u64) {
        let until = self.now() + span;
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.now >= until {
                return Poll::Ready(());
            }
            state.asked += 1;
            let place = (until, state.asked);
            state.waiting.insert(place, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        let mut future = pin!(future);
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(made) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return made;
                }
            }
            self.advance();
        }
    }

    fn advance(&self) {
        let due = {
            let mut state = self.0.lock().unwrap();
            let next = state.waiting.keys().next().expect("somebody waits for a moment, or nothing will ever happen").0;
            state.now = next;
            let later = state.waiting.split_off(&(next + 1, 0));
            std::mem::replace(&mut state.waiting, later)
        };
        due.into_values().for_each(Waker::wake);
    }
}

/// Whether the future asked to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
