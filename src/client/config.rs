//! What a client is told before it sends anything, and what can be wrong with that.
//!
//! Nothing here is read from the environment, and nothing here prints a secret.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::client::base_url::redact_url;
use crate::client::throttle::account::RateLimitAccount;
use crate::client::throttle::rate_limiter::PerMinuteLimits;
use crate::client::transport::{TransportConfig, TransportError};

/// The header that carries the credential: one at a time, as real clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialHeader {
    /// `x-api-key: KEY`
    XApiKey,
    /// `authorization: Bearer KEY`
    Bearer,
}

/// Everything that decides how a [`Client`](super::Client) sends.
#[derive(Clone)]
pub struct ClientConfig {
    /// The base URL, with or without a path; `/v1/messages` is added to it.
    pub base_url: String,
    /// The header for the target's credential.
    pub credential_header: CredentialHeader,
    /// The credential. Without one a harmless placeholder is sent, for servers that do not look.
    pub credential: Option<SecretString>,
    /// Other secrets that a server may know and tell: they are taken out of what it sends, like the credential.
    pub secrets: Vec<SecretString>,
    /// The time for one attempt, from sending to the last byte of the body.
    pub timeout: Duration,
    /// How often a request is sent again at most, after the first attempt.
    pub retries: u32,
    /// The wait before the first retry; later ones are longer.
    pub initial_backoff: Duration,
    /// How many requests may be on their way at once.
    pub concurrency: usize,
    /// How much may be sent in a minute.
    pub rate_limits: PerMinuteLimits,
    /// Whether a 429 to one request, and what the server tells of its limits, slows down all.
    pub respect_server_limits: bool,
    /// The account that other clients use, too: its rates and its heed take the place of those above.
    pub account: Option<Arc<RateLimitAccount>>,
    /// How many bytes of a body are read and kept.
    pub max_body_bytes: usize,
    /// Whether any proxy is used. False for a server in this process.
    pub use_proxies: bool,
    /// TLS, proxies, and whether a credential may travel without TLS.
    pub transport: TransportConfig,
    /// The moment that attempts' times count from.
    pub run_started: Instant,
}

impl ClientConfig {
    /// A configuration for this base URL with nothing else set: no credential, a time-out of 600 s, four retries, four
    /// requests at once, no rate limit, 4 MiB of each body (an answer of 1,024 tokens is a twentieth of that), the system's proxies, a run that starts now.
    pub fn new(base_url: impl Into<String>, scheme: CredentialHeader) -> Self {
        Self {
            base_url: base_url.into(),
            credential_header: scheme,
            credential: None,
            secrets: Vec::new(),
            timeout: Duration::from_secs(600),
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

impl fmt::Debug for ClientConfig {
    /// By hand, since a base URL that has not been checked yet may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("base_url", &redact_url(&self.base_url))
            .field("scheme", &self.credential_header)
            .field("credential", &self.credential)
            .field("secrets", &self.secrets.len())
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("first_wait", &self.initial_backoff)
            .field("concurrency", &self.concurrency)
            .field("rates", &self.rate_limits)
            .field("heeds_limits", &self.respect_server_limits)
            .field("account", &self.account)
            .field("kept_bytes", &self.max_body_bytes)
            .field("proxies", &self.use_proxies)
            .field("transport", &self.transport)
            .field("run_started", &self.run_started)
            .finish()
    }
}

/// Why no client can be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL cannot be used.
    #[error(
        "the base URL `{redacted_url}` cannot be used: {problem} (expected http:// or https://, a host, and perhaps a path: \
         https://api.example.com/anthropic)"
    )]
    BaseUrl {
        /// The URL, with what may be secret left out.
        redacted_url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The credential cannot stand in a header.
    #[error("the credential cannot be sent in a header: {0}")]
    Credential(&'static str),
    /// The credential would travel in plain sight.
    #[error(
        "the credential would go to {0} over plain HTTP, where everyone on the way can read it: use https://, or say \
         --allow-http where nobody else is on the way"
    )]
    PlainHttp(String),
    /// A proxy, or a certificate.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// A limit that would let nothing through.
    #[error("{0} must be more than zero, or nothing would ever be sent")]
    ZeroLimit(&'static str),
    /// The HTTP library refused to start.
    #[error("the HTTP client could not be set up: {0} (for https, are the system's CA certificates installed?)")]
    Setup(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_credential_nor_password() {
        let mut config = ClientConfig::new("https://user:hunter22@h", CredentialHeader::Bearer);
        config.credential = Some("sk-very-secret".to_owned().into());
        let debug = format!("{config:?}");
        assert!(!debug.contains("hunter22") && !debug.contains("sk-very-secret"), "{debug}");
        assert!(debug.contains("@h"), "the host is still told: {debug}");
    }
}
