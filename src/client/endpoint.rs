//! [`MessagesEndpoint`]: what the engine sends requests to.

use crate::client::budget::BudgetReservation;
use crate::wire::exchange::{Exchange, Request};

/// A live endpoint, the simulator or a replayed recording. The caller cannot tell which.
pub trait MessagesEndpoint: Send + Sync {
    /// Sends one request with its retries, and returns all attempts. Failures are data in the
    /// exchange. `id` names the exchange in the recording.
    ///
    /// `reservation` pays for the first attempt. The endpoint extends it before each retry.
    fn send_within_budget(
        &self,
        id: &str,
        request: Request,
        reservation: Option<&mut BudgetReservation<'_>>,
    ) -> impl Future<Output = Exchange> + Send;

    /// Sends one request that counts toward no budget.
    fn send(&self, id: &str, request: Request) -> impl Future<Output = Exchange> + Send {
        self.send_within_budget(id, request, None)
    }
}
