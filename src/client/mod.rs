//! Sends requests to endpoints: [`Client`] to a live endpoint, [`ReplayEndpoint`] from a recording.
//!
//! A [`Client`] adds the credential, respects the limits of its target, retries where a retry can
//! help, and keeps every attempt. This folder must not know experiments or target files, and it
//! judges nothing. It must not let a secret out: not into an exchange, a message or `Debug` output.

mod attempt;
mod auth_header;
mod base_url;
mod budget;
mod config;
pub mod credential;
mod endpoint;
mod error;
mod http;
mod live;
mod lockstep;
mod replay;
mod retry;
mod server_errors;
mod throttle;
pub mod transport;
mod transport_error;
mod wait_limit;

pub use crate::client::auth_header::PLACEHOLDER_CREDENTIAL;
pub use crate::client::base_url::BaseUrl;
pub use crate::client::budget::{Budget, BudgetLimits, BudgetReservation, RequestCost, TokenPrices};
pub use crate::client::config::ClientConfig;
pub use crate::client::endpoint::MessagesEndpoint;
pub use crate::client::error::{ClientError, TransportError};
pub use crate::client::live::Client;
pub use crate::client::lockstep::{LockstepEndpoint, LockstepGate, LockstepSide};
pub use crate::client::replay::{ReplayEndpoint, UnrecordedRequest};
pub use crate::client::throttle::account::{AccountRegistry, RateLimitAccount};
pub use crate::client::throttle::rate_limiter::{PerMinuteLimits, estimate_tokens};
