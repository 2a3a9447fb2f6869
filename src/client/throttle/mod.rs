//! Delays requests so that an account stays within its limits: the configured ones
//! ([`rate_limiter`]) and those of the server, advertised or learned from its 429 responses
//! ([`account`]).

pub mod account;
mod adaptive_interval;
mod backpressure;
pub mod rate_limiter;
mod server_limits;
