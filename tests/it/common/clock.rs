//! A [`VirtualClock`] for one future. When the future can only wait, the clock jumps to the end of
//! the next wait.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// A clock whose time passes only by waits.
#[derive(Default)]
pub struct VirtualClock(Mutex<ClockState>);

#[derive(Default)]
struct ClockState {
    now: u64,
    /// The sleeping tasks, by wake time and order of registration.
    sleepers: BTreeMap<(u64, u64), Waker>,
    registered: u64,
}

impl VirtualClock {
    /// Returns the current time.
    pub fn now(&self) -> u64 {
        self.0.lock().unwrap().now
    }

    /// Waits for this time span.
    pub async fn sleep(&self, span: u64) {
        let until = self.now() + span;
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.now >= until {
                return Poll::Ready(());
            }
            state.registered += 1;
            let key = (until, state.registered);
            state.sleepers.insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let woken = Arc::new(WakeFlag(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        let mut future = pin!(future);
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            }
            self.advance();
        }
    }

    fn advance(&self) {
        let due = {
            let mut state = self.0.lock().unwrap();
            let next = state
                .sleepers
                .keys()
                .next()
                .expect("at least one task sleeps; otherwise the future can never finish")
                .0;
            state.now = next;
            let later = state.sleepers.split_off(&(next + 1, 0));
            std::mem::replace(&mut state.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }
}

/// Set when the future must be polled again.
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
