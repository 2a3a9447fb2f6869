//! [`MessagesEndpoint`]: what the engine sends requests to.

use std::time::Duration;

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

    /// True if a request that is sent again can get another response.
    fn is_live(&self) -> bool {
        true
    }

    /// Waits, by the clock of the endpoint.
    fn wait(&self, pause: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(pause)
    }

    /// Sends one request that counts toward no budget.
    fn send(&self, id: &str, request: Request) -> impl Future<Output = Exchange> + Send {
        self.send_within_budget(id, request, None)
    }
}
