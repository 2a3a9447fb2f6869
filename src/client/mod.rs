//! Sending: the one place that touches the network as a client.

use crate::wire::exchange::{Exchange, Request};

/// What the engine sends to: a live endpoint, the simulator or a replayed recording; it cannot tell which.
pub trait Endpoint: Send + Sync {
    /// Sends one request, with whatever retries belong to it, and returns everything that came of it. Failures are
    /// data in the exchange. `id` names the exchange in the recording.
    fn send(&self, id: &str, request: Request) -> impl Future<Output = Exchange> + Send;
}
