//! [`ClientConfig`]: the settings of a client.
//!
//! Nothing here reads the environment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::client::throttle::account::RateLimitAccount;
use crate::client::throttle::rate_limiter::PerMinuteLimits;
use crate::client::transport::TransportConfig;
use crate::wire::exchange::AuthScheme;

/// The settings of a [`Client`](super::Client). Not `Debug`, because the base URL may contain a
/// password until the client validates it.
#[derive(Clone)]
pub struct ClientConfig {
    /// The base URL, with or without a path. The client appends `/v1/messages`.
    pub base_url: String,
    /// The header for the credential of the target.
    pub credential_header: AuthScheme,
    /// The credential. Without one, the client sends a placeholder, for servers that do not check.
    pub credential: Option<SecretString>,
    /// Other secrets that the server may know. They are removed from responses, as the credential
    /// is.
    pub secrets: Vec<SecretString>,
    /// The time limit of one attempt, from the start to the last byte of the body.
    pub timeout: Duration,
    /// The longest wait without an answer other than 429 or 5xx. After it, nothing more is sent.
    pub max_wait: Duration,
    /// The maximum number of retries after the first attempt.
    pub retries: u32,
    /// The wait before the first retry. Later waits are longer.
    pub initial_backoff: Duration,
    /// The maximum number of concurrent requests.
    pub concurrency: usize,
    /// The limits per minute.
    pub rate_limits: PerMinuteLimits,
    /// If true, a 429 response and the rate-limit headers of the server slow down all requests.
    pub respect_server_limits: bool,
    /// An account that other clients use too. Its limits replace the two settings above.
    pub account: Option<Arc<RateLimitAccount>>,
    /// The number of bytes of a body that are read and kept.
    pub max_body_bytes: usize,
    /// If false, no proxy is used. For a server in this process.
    pub use_proxies: bool,
    /// TLS, proxies, and whether a credential may travel without TLS.
    pub transport: TransportConfig,
    /// The start of the run. The times of attempts are relative to it.
    pub run_started: Instant,
}

impl ClientConfig {
    /// The default of `max_wait`.
    pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(300);

    /// The default settings for this base URL: no credential, no rate limit, and a body limit of 4
    /// MiB, which is 20 times the size of a response with 1,024 tokens.
    pub fn new(base_url: impl Into<String>, credential_header: AuthScheme) -> Self {
        Self {
            base_url: base_url.into(),
            credential_header,
            credential: None,
            secrets: Vec::new(),
            timeout: Duration::from_secs(600),
            max_wait: Self::DEFAULT_MAX_WAIT,
            retries: 4,
            initial_backoff: Duration::from_millis(500),
            concurrency: 4,
            rate_limits: PerMinuteLimits::default(),
            respect_server_limits: true,
            account: None,
            max_body_bytes: 4 * 1024 * 1024,
            use_proxies: true,
            transport: TransportConfig::default(),
            run_started: Instant::now(),
        }
    }
}
