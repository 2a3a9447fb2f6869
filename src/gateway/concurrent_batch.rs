//! [`ConcurrentBatch`]: concurrent requests that the upstream answers in reverse order.
//!
//! It must not know calls or labels.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How long the upstream waits until all requests of a batch have arrived.
const BATCH_FILL_TIMEOUT: Duration = Duration::from_millis(1500);
/// The delay between two responses to a batch.
const BATCH_RESPONSE_INTERVAL: Duration = Duration::from_millis(15);

/// Concurrent requests with responses in reverse order.
#[derive(Debug)]
pub(super) struct ConcurrentBatch {
    size: usize,
    arrived: Mutex<usize>,
    all_arrived: Notify,
}

impl ConcurrentBatch {
    /// A batch of `size` requests.
    pub(super) fn new(size: usize) -> Self {
        Self { size, arrived: Mutex::new(0), all_arrived: Notify::new() }
    }

    /// Waits until all requests have arrived, or a timeout, and then for the turn of this request.
    pub(super) async fn wait_for_turn(&self) {
        let all_arrived = self.all_arrived.notified();
        let position = {
            let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            *arrived += 1;
            *arrived
        };
        if position >= self.size {
            self.all_arrived.notify_waiters();
        } else {
            // A gateway that sends requests one by one never fills the batch. That is no failure.
            let _ = tokio::time::timeout(BATCH_FILL_TIMEOUT, all_arrived).await;
        }
        let later = u32::try_from(self.size.saturating_sub(position)).unwrap_or(0);
        tokio::time::sleep(BATCH_RESPONSE_INTERVAL * later).await;
    }
}
