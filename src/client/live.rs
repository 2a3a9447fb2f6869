//! [`Client`]: sends requests to one live endpoint over HTTP.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::client::attempt::{AttemptLimits, PreparedRequest, invalid_request, send_once};
use crate::client::auth_header::{AuthHeader, is_credential_header};
use crate::client::base_url::BaseUrl;
use crate::client::budget::BudgetReservation;
use crate::client::config::ClientConfig;
use crate::client::endpoint::MessagesEndpoint;
use crate::client::error::ClientError;
use crate::client::http::{ConnectionReuse, build_http_client};
use crate::client::retry::{RetryPolicy, may_be_charged};
use crate::client::server_errors::{ServerErrorLog, ServerErrorResend};
use crate::client::throttle::account::RateLimitAccount;
use crate::client::throttle::rate_limiter::estimate_tokens;
use crate::client::transport::{ProxyChoice, TransportConfig, check_plain_http};
use crate::client::transport_error::ErrorContext;
use crate::client::wait_limit::WaitLimit;
use crate::redact::SecretRedactor;
use crate::wire::exchange::{AttemptResult, Exchange, ExchangeAttempt, FailureKind, HttpMethod, Request};

/// Longer than any useful timeout, and short enough that no sum of times overflows.
const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A kept connection that the server has closed breaks within this time. A request that the server
/// worked on for longer may be charged, so it is not sent again as if it were new.
const MAX_STALE_MS: u64 = 1000;

/// An endpoint that is reached over HTTP.
pub struct Client {
    http: reqwest::Client,
    /// Opens a new connection for each request.
    fresh_http: reqwest::Client,
    /// True once a response was read to its end, so that connections may have been kept.
    may_reuse_connections: AtomicBool,
    server_errors: ServerErrorLog,
    base_url: BaseUrl,
    auth_header: AuthHeader,
    attempt_limits: AttemptLimits,
    account: Arc<RateLimitAccount>,
    in_flight: Semaphore,
    retries: u32,
    initial_backoff: Duration,
    wait_limit: WaitLimit,
    run_started: Instant,
}

impl Client {
    /// Builds a client for one target. Sends nothing.
    ///
    /// # Errors
    ///
    /// The base URL or the credential is not usable, a limit is zero, or the HTTP library does not
    /// start.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let base_url = BaseUrl::parse(&config.base_url)?;
        let transport = if config.use_proxies {
            config.transport
        } else {
            TransportConfig { proxy: ProxyChoice::Never, ..config.transport }
        };
        if config.credential.is_some() {
            check_plain_http(&base_url, &transport)?;
        }
        let mut secrets = config.secrets;
        if let ProxyChoice::Explicit(proxy) = &transport.proxy {
            secrets.extend(proxy.secrets());
        }
        let redactor = SecretRedactor::new(config.credential.as_ref(), &secrets);
        let auth_header = AuthHeader::new(config.credential_header, config.credential)?;
        let account = match config.account {
            Some(account) => account,
            None => Arc::new(RateLimitAccount::new(
                config.rate_limits,
                config.respect_server_limits.then_some(config.initial_backoff / 5),
            )?),
        };
        if config.concurrency == 0 {
            return Err(ClientError::ZeroLimit("the number of concurrent requests"));
        }
        if config.timeout.is_zero() {
            return Err(ClientError::ZeroLimit("the timeout"));
        }
        Ok(Self {
            http: build_http_client(&transport, &base_url, ConnectionReuse::Keep)?,
            fresh_http: build_http_client(&transport, &base_url, ConnectionReuse::Never)?,
            may_reuse_connections: AtomicBool::new(false),
            server_errors: ServerErrorLog::default(),
            attempt_limits: AttemptLimits {
                timeout: config.timeout.min(MAX_TIMEOUT),
                max_body_bytes: config.max_body_bytes,
                error_context: ErrorContext {
                    host_and_port: base_url.host_and_port(),
                    is_https: base_url.is_https(),
                    proxy_source: transport.proxy.source(&base_url),
                },
                redactor: Arc::new(redactor),
            },
            base_url,
            auth_header,
            account,
            in_flight: Semaphore::new(config.concurrency.min(Semaphore::MAX_PERMITS)),
            retries: config.retries,
            initial_backoff: config.initial_backoff,
            wait_limit: WaitLimit::new(config.max_wait),
            run_started: config.run_started,
        })
    }

    /// The base URL of the endpoint.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    fn prepare_request(&self, request: &Request) -> Result<PreparedRequest, String> {
        let body = match &request.raw {
            Some(raw) => raw.as_bytes().to_vec(),
            None if request.method != HttpMethod::Post => Vec::new(),
            None => serde_json::to_vec(&request.body).map_err(|e| format!("its body is not JSON: {e}"))?,
        };
        let streams = request.body.get("stream").and_then(Value::as_bool) == Some(true);
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers
            .insert(ACCEPT, HeaderValue::from_static(if streams { "text/event-stream" } else { "application/json" }));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("fieldtest/", env!("CARGO_PKG_VERSION"))));
        // The headers of the request replace ours: a row may need another content type.
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("invalid header name `{name}`"))?;
            // A request carries one credential, and a recording must never show it.
            if is_credential_header(&name) {
                return Err(format!("it sets the header `{name}`, which only `credential` may set"));
            }
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` is invalid"))?;
            headers.insert(name, value);
        }
        headers.extend(self.auth_header.headers(request.credential));
        let estimated_tokens = estimate_tokens(&request.body, body.len());
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
            estimated_tokens,
        })
    }

    /// Sends the request, and retries it while the retry policy and the budget allow it.
    async fn send_with_retries(
        &self,
        id: &str,
        request: &PreparedRequest,
        mut reservation: Option<&mut BudgetReservation<'_>>,
    ) -> Vec<ExchangeAttempt> {
        let mut attempts = Vec::new();
        let mut retries = RetryPolicy::new(self.retries, self.initial_backoff);
        let mut http = &self.http;
        loop {
            let Some(mut attempt) = self.send_attempt(http, request).await else {
                attempts.push(self.stop_waiting());
                return attempts;
            };
            let is_stale = std::ptr::eq(http, &self.http) && attempts.is_empty() && self.is_stale(&attempt);
            let wait = match &mut attempt.result {
                AttemptResult::Failure(failure) if is_stale => {
                    failure.kind = FailureKind::Stale;
                    http = &self.fresh_http;
                    Some(Duration::ZERO)
                }
                result => retries.next_wait(result, Timestamp::now()),
            };
            let may_be_charged = may_be_charged(&attempt.result);
            attempts.push(attempt);
            let wait = match self.server_errors.record_attempts(&attempts) {
                ServerErrorResend::Never => None,
                ServerErrorResend::AtOnce => wait.map(|_| Duration::ZERO),
                ServerErrorResend::ByPolicy => wait,
            };
            let Some(wait) = wait else { return attempts };
            tracing::info!(id, attempt = attempts.len(), wait_ms = to_milliseconds(wait), "retrying");
            // Reserve after the wait, so that a waiting request does not block the budget.
            if self.wait_limit.limit(tokio::time::sleep(wait)).await.is_none() {
                attempts.push(self.stop_waiting());
                return attempts;
            }
            if let Some(reservation) = reservation.as_mut()
                && !reservation.reserve_retry(may_be_charged).await
            {
                return attempts;
            }
        }
    }

    /// True if the server may have closed a kept connection at the moment of sending. The HTTP
    /// library does not say whether it used a kept connection.
    fn is_stale(&self, attempt: &ExchangeAttempt) -> bool {
        let is_reset = matches!(&attempt.result, AttemptResult::Failure(f) if f.kind == FailureKind::Reset);
        is_reset && attempt.duration_ms < MAX_STALE_MS && self.may_reuse_connections.load(Ordering::Relaxed)
    }

    /// The attempt that is not made, because the server lets nothing through.
    fn stop_waiting(&self) -> ExchangeAttempt {
        let failure = self.wait_limit.failure(&self.base_url.host_and_port());
        ExchangeAttempt {
            started_ms: to_milliseconds(self.run_started.elapsed()),
            duration_ms: 0,
            result: AttemptResult::Failure(failure),
        }
    }

    /// Makes one attempt as soon as a slot is free and the limits allow it. `None` if that takes too
    /// long.
    async fn send_attempt(&self, http: &reqwest::Client, request: &PreparedRequest) -> Option<ExchangeAttempt> {
        // Take the slot before waiting for the limits: then a request leaves when the limits allow
        // it, and not in a burst when a slot becomes free. The slot is free again before any wait
        // for a retry, so a throttled request does not delay the others.
        // The semaphore is never closed, so `acquire` does not fail.
        let _slot = self.in_flight.acquire().await;
        self.account.wait_for_limits(request.estimated_tokens).await;
        let permit = self.wait_limit.limit(self.account.acquire_permit(request.estimated_tokens)).await?;
        self.wait_limit.record_start();
        let started = Instant::now();
        let started_ms = to_milliseconds(started.saturating_duration_since(self.run_started));
        let result = send_once(http, request, &self.attempt_limits).await;
        self.wait_limit.record_end(&result, started.elapsed());
        if matches!(&result, AttemptResult::Response(response) if response.cut.is_none()) {
            self.may_reuse_connections.store(true, Ordering::Relaxed);
        }
        if let Some(permit) = permit {
            permit.record_outcome(&result, Timestamp::now());
        }
        Some(ExchangeAttempt { started_ms, duration_ms: to_milliseconds(started.elapsed()), result })
    }
}

impl MessagesEndpoint for Client {
    async fn send_within_budget(
        &self,
        id: &str,
        request: Request,
        reservation: Option<&mut BudgetReservation<'_>>,
    ) -> Exchange {
        let attempts = match self.prepare_request(&request) {
            Ok(prepared) => self.send_with_retries(id, &prepared, reservation).await,
            Err(problem) => vec![ExchangeAttempt {
                started_ms: to_milliseconds(self.run_started.elapsed()),
                duration_ms: 0,
                result: invalid_request(&problem),
            }],
        };
        Exchange { id: id.to_owned(), request, attempts }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

fn to_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
