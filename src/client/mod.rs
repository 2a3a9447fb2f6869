//! Sending: the one place that touches the network as a client.
//!
//! [`Client`] sends a request to a live endpoint with its credential, within the limits of its target, again where that
//! is worth it, and keeps every attempt. It judges nothing, knows no case and no target file, and lets no secret out:
//! not into an exchange, not into a message, not into `Debug`.

mod attempt;
mod auth_header;
mod base_url;
mod budget;
mod config;
pub mod credential;
mod lockstep;
mod replay;
mod retry;
mod throttle;
pub mod transport;
mod transport_error;

use std::fmt;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::client::attempt::{PreparedRequest, invalid_request, send_once};
use crate::client::auth_header::AuthHeader;
pub use crate::client::auth_header::PLACEHOLDER_CREDENTIAL;
pub use crate::client::base_url::BaseUrl;
pub use crate::client::budget::{Budget, BudgetLimits, BudgetReservation, RequestCost, TokenPrices};
pub use crate::client::config::{ClientConfig, ClientError, CredentialHeader};
pub use crate::client::lockstep::{LockstepEndpoint, LockstepGate, LockstepSide};
pub use crate::client::replay::{ReplayEndpoint, UnrecordedRequest};
use crate::client::retry::RetryPolicy;
pub use crate::client::throttle::account::{AccountRegistry, RateLimitAccount};
pub use crate::client::throttle::rate_limiter::{PerMinuteLimits, estimate_tokens};
use crate::client::transport::{ProxyChoice, TransportConfig};
pub use crate::redact::{SECRET_VARIABLES, SecretRedactor};
use crate::wire::exchange::{Exchange, ExchangeAttempt, HttpMethod, Request};

/// What the engine sends to: a live endpoint, the simulator or a replayed recording; it cannot tell which.
pub trait MessagesEndpoint: Send + Sync {
    /// Sends one request, with whatever retries belong to it, and returns everything that came of it. Failures are
    /// data in the exchange. `id` names the exchange in the recording.
    fn send(&self, id: &str, request: Request) -> impl Future<Output = Exchange> + Send;

    /// Sends a request whose first attempt was reserved. Whoever sends one again asks the reservation before.
    fn send_with_reservation(
        &self,
        id: &str,
        request: Request,
        _reserved: &mut BudgetReservation<'_>,
    ) -> impl Future<Output = Exchange> + Send {
        self.send(id, request)
    }
}

/// An endpoint that is reached over HTTP.
pub struct Client {
    http: reqwest::Client,
    base_url: BaseUrl,
    auth_header: AuthHeader,
    attempt_limits: attempt::AttemptLimits,
    account: Arc<RateLimitAccount>,
    in_flight: Semaphore,
    retries: u32,
    initial_backoff: Duration,
    run_started: Instant,
}

/// A longer time-out than anyone waits for, so that no sum of times can overflow.
const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Client {
    /// A client for one target. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// When the base URL or the credential cannot be used, a limit is zero, or the HTTP library cannot start.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let base = BaseUrl::parse(&config.base_url)?;
        let transport = if config.use_proxies {
            config.transport
        } else {
            TransportConfig { proxy: ProxyChoice::Never, ..config.transport }
        };
        if config.credential.is_some() {
            check_plain_http(&base, &transport)?;
        }
        let mut secrets = config.secrets;
        if let ProxyChoice::Explicit(proxy) = &transport.proxy {
            secrets.extend(proxy.secrets());
        }
        let mask = SecretRedactor::new(config.credential.as_ref(), &secrets);
        let auth = AuthHeader::new(config.credential_header, config.credential)?;
        let account = match config.account {
            Some(account) => account,
            None => Arc::new(RateLimitAccount::new(
                config.rate_limits,
                config.respect_server_limits.then_some(config.initial_backoff / 5),
            )?),
        };
        if config.concurrency == 0 {
            return Err(ClientError::ZeroLimit("the number of requests at once"));
        }
        if config.timeout.is_zero() {
            return Err(ClientError::ZeroLimit("the time-out"));
        }
        let peer = transport_error::ErrorContext {
            host_and_port: base.host_and_port(),
            is_https: base.is_https(),
            proxy_source: match &transport.proxy {
                ProxyChoice::Explicit(_) => Some("--proxy"),
                ProxyChoice::System if !base.is_loopback() => find_proxy_variable(),
                ProxyChoice::System | ProxyChoice::Never => None,
            },
        };
        Ok(Self {
            http: build_http_client(&transport, &base)?,
            base_url: base,
            auth_header: auth,
            attempt_limits: attempt::AttemptLimits {
                timeout: config.timeout.min(MAX_TIMEOUT),
                max_body_bytes: config.max_body_bytes,
                error_context: peer,
                redactor: mask,
            },
            account,
            in_flight: Semaphore::new(config.concurrency.min(Semaphore::MAX_PERMITS)),
            retries: config.retries,
            initial_backoff: config.initial_backoff,
            run_started: config.run_started,
        })
    }

    /// The address below which requests are sent.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    fn prepare_request(&self, request: &Request) -> Result<PreparedRequest, String> {
        let body = match &request.raw {
            Some(raw) => raw.as_bytes().to_vec(),
            None if request.method != HttpMethod::Post => Vec::new(),
            None => serde_json::to_vec(&request.body).map_err(|e| format!("its body is no JSON: {e}"))?,
        };
        let streams = request.body.get("stream").and_then(Value::as_bool) == Some(true);
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers
            .insert(ACCEPT, HeaderValue::from_static(if streams { "text/event-stream" } else { "application/json" }));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("fieldtest/", env!("CARGO_PKG_VERSION"))));
        // The request's own headers come after ours: a case may ask for another content type.
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))?;
            // One credential at a time, and none in plain sight of a recording.
            if auth_header::is_credential_header(&name) {
                return Err(format!("`{name}` stands among its headers, and only its credential decides that one"));
            }
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("no header can carry the value of `{name}`"))?;
            headers.insert(name, value);
        }
        headers.extend(self.auth_header.headers(request.credential));
        let tokens = estimate_tokens(&request.body, body.len());
        let method = match request.method {
            HttpMethod::Post => reqwest::Method::POST,
            HttpMethod::Get => reqwest::Method::GET,
            HttpMethod::Head => reqwest::Method::HEAD,
        };
        Ok(PreparedRequest {
            method,
            url: self.base_url.join(&request.path),
            headers,
            body: body.into(),
            estimated_tokens: tokens,
        })
    }

    async fn run_exchange(
        &self,
        id: &str,
        request: Request,
        mut reserved: Option<&mut BudgetReservation<'_>>,
    ) -> Exchange {
        let mut attempts = Vec::new();
        match self.prepare_request(&request) {
            Ok(prepared) => {
                let mut retries = RetryPolicy::new(self.retries, self.initial_backoff);
                loop {
                    let attempt = self.send_attempt(&prepared).await;
                    let wait = retries.next_wait(&attempt.result, Timestamp::now());
                    let may_be_charged = retry::may_be_charged(&attempt.result);
                    attempts.push(attempt);
                    let Some(wait) = wait else { break };
                    tracing::info!(id, attempt = attempts.len(), wait_ms = to_milliseconds(wait), "asking again");
                    // Nobody is kept from the budget by a request that only waits.
                    tokio::time::sleep(wait).await;
                    if let Some(reserved) = reserved.as_mut()
                        && !reserved.reserve_retry(may_be_charged).await
                    {
                        break;
                    }
                }
            }
            Err(problem) => attempts.push(ExchangeAttempt {
                started_ms: to_milliseconds(self.run_started.elapsed()),
                duration_ms: 0,
                result: invalid_request(&problem),
            }),
        }
        Exchange { id: id.to_owned(), request, attempts }
    }

    /// One attempt, when there is a slot and the limits allow it.
    async fn send_attempt(&self, request: &PreparedRequest) -> ExchangeAttempt {
        // The slot is held from before the limits' wait, so that what they let through is sent at that moment and not
        // in a burst when a slot falls free; nobody behind could be sent sooner anyway. It is given back before any wait
        // for a retry, so that a request which the server put off does not keep the others from being sent.
        // The semaphore is never closed; were it, requests would go out unbounded rather than not at all.
        let _slot = self.in_flight.acquire().await;
        let leave = self.account.acquire(request.estimated_tokens).await;
        let started = Instant::now();
        let started_ms = to_milliseconds(started.saturating_duration_since(self.run_started));
        let result = send_once(&self.http, request, &self.attempt_limits).await;
        if let Some(leave) = leave {
            leave.record_outcome(&result, Timestamp::now());
        }
        ExchangeAttempt { started_ms, duration_ms: to_milliseconds(started.elapsed()), result }
    }
}

impl MessagesEndpoint for Client {
    async fn send(&self, id: &str, request: Request) -> Exchange {
        self.run_exchange(id, request, None).await
    }

    async fn send_with_reservation(
        &self,
        id: &str,
        request: Request,
        reserved: &mut BudgetReservation<'_>,
    ) -> Exchange {
        self.run_exchange(id, request, Some(reserved)).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base_url)
            .field("auth", &self.auth_header)
            .field("bounds", &self.attempt_limits)
            .finish_non_exhaustive()
    }
}

fn to_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a credential may go to this endpoint: over TLS anywhere, without it only to this machine, unless somebody said
/// that it may.
///
/// # Errors
///
/// [`ClientError::PlainHttp`] where it may not.
pub fn check_plain_http(base: &BaseUrl, transport: &TransportConfig) -> Result<(), ClientError> {
    // Through a proxy elsewhere it leaves this machine, whatever the host is called.
    let stays = base.is_loopback()
        && match &transport.proxy {
            ProxyChoice::Explicit(proxy) => proxy.is_loopback(),
            ProxyChoice::System | ProxyChoice::Never => true,
        };
    if base.is_https() || stays || transport.allow_http {
        return Ok(());
    }
    Err(ClientError::PlainHttp(match &transport.proxy {
        ProxyChoice::Explicit(proxy) => format!("{} through the proxy {}", base.host_and_port(), proxy.host_and_port()),
        ProxyChoice::System | ProxyChoice::Never => base.host_and_port(),
    }))
}

/// The HTTP library, told to do nothing on its own: no redirects, no retries, no decoding.
fn build_http_client(transport: &TransportConfig, base: &BaseUrl) -> Result<reqwest::Client, ClientError> {
    static PROVIDER: Once = Once::new();
    // An error means that this process has a provider already, which serves as well.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));

    let proxy = match &transport.proxy {
        ProxyChoice::Explicit(proxy) => Some(proxy.to_proxy()?),
        ProxyChoice::System | ProxyChoice::Never => None,
    };
    let builder = || {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(transport_error::CONNECT_TIMEOUT)
            .referer(false)
            .tls_certs_merge(transport.authorities.iter().cloned());
        if let Some(identity) = &transport.identity {
            builder = builder.identity(identity.clone());
        }
        match &transport.proxy {
            ProxyChoice::Explicit(_) => proxy.iter().cloned().fold(builder, reqwest::ClientBuilder::proxy),
            // A proxy elsewhere cannot reach what only this machine can, and would see what never has to leave it.
            ProxyChoice::System if !base.is_loopback() => builder,
            ProxyChoice::System | ProxyChoice::Never => builder.no_proxy(),
        }
    };
    // Nothing on the way speaks TLS then, and to read the system's CA certificates takes longer than all the rest.
    let is_in_the_clear = !base.is_https()
        && match &transport.proxy {
            ProxyChoice::Never => true,
            ProxyChoice::System => base.is_loopback(),
            ProxyChoice::Explicit(_) => false,
        };
    let first = if is_in_the_clear { builder().tls_certs_only([]) } else { builder() };
    let client = match first.build() {
        // A system without CA certificates, such as a bare container, can still test a plain server.
        Err(_) if !base.is_https() => builder().tls_certs_only([]).build(),
        made => made,
    };
    client.map_err(|e| ClientError::Setup(last_cause(&e)))
}

fn last_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).last().map_or_else(String::new, ToString::to_string)
}

/// The variables that name proxies. The HTTP library reads them itself.
pub const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The variable that names a proxy, if one is set; for messages only.
fn find_proxy_variable() -> Option<&'static str> {
    PROXY_VARIABLES.into_iter().find(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
}
