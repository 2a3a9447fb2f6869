pub mod account;
mod adaptive_interval;
mod backpressure;
pub mod rate_limiter;
mod server_limits;
