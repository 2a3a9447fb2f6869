//! The client with correct and broken servers: real loopback sockets, and only the public API.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fieldtest::client::{Client, ClientConfig, ClientError, MessagesEndpoint as _, PerMinuteLimits};
use fieldtest::wire::exchange::AuthScheme;
use fieldtest::wire::exchange::{
    AttemptFailure, AttemptResult, Exchange, ExchangeAttempt, FailureKind, HttpMethod, Request, RequestCredential,
    Response,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const KEY: &str = "sk-test-0123456789";

/// Short waits, so that the tests are fast. All other options are the defaults.
fn config(base_url: &str) -> ClientConfig {
    let mut config = ClientConfig::new(base_url, AuthScheme::XApiKey);
    config.credential = Some(KEY.into());
    config.timeout = Duration::from_secs(20);
    config.initial_backoff = Duration::from_millis(1);
    config.use_proxies = false;
    config
}

fn request() -> Request {
    Request {
        method: HttpMethod::Post,
        raw: None,
        path: "/v1/messages".to_owned(),
        headers: BTreeMap::from([("anthropic-version".to_owned(), "2023-06-01".to_owned())]),
        credential: RequestCredential::Target,
        body: json!({ "model": "m", "max_tokens": 8, "messages": [{ "role": "user", "content": "hello" }] }),
    }
}

async fn send(config: ClientConfig) -> Exchange {
    Client::new(config).unwrap().send("x-1", request()).await
}

fn response(attempt: &ExchangeAttempt) -> &Response {
    match &attempt.result {
        AttemptResult::Response(response) => response,
        AttemptResult::Failure(failure) => panic!("no response: {failure:?}"),
    }
}

fn failure(attempt: &ExchangeAttempt) -> &AttemptFailure {
    match &attempt.result {
        AttemptResult::Failure(failure) => failure,
        AttemptResult::Response(response) => panic!("unexpected response: {response:?}"),
    }
}

fn statuses(exchange: &Exchange) -> Vec<u16> {
    exchange.attempts.iter().map(|a| response(a).status).collect()
}

async fn server_with(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response).mount(&server).await;
    server
}

/// Starts a server that returns `first` one time and `then` for all later requests.
async fn server_with_two(first: ResponseTemplate, then: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(first).up_to_n_times(1).with_priority(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(then).with_priority(2).mount(&server).await;
    server
}

/// Starts a server that reads each request and then runs a function. Returns its base URL.
async fn raw_server<F, Fut>(respond: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The requests of these tests are smaller than this and arrive in one piece on
            // loopback.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            tokio::spawn(respond(stream));
        }
    });
    base
}

/// Starts a server that writes these bytes and closes the connection.
async fn server_that_writes(bytes: &'static [u8]) -> String {
    raw_server(move |mut stream| async move {
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
    })
    .await
}

mod requests {
    use super::*;

    #[tokio::test]
    async fn each_kind_of_credential_uses_exactly_one_header() {
        let bearer = format!("Bearer {KEY}");
        for (scheme, credential, x_api_key, authorization) in [
            (AuthScheme::XApiKey, RequestCredential::Target, Some(KEY), None),
            (AuthScheme::Bearer, RequestCredential::Target, None, Some(bearer.as_str())),
            (AuthScheme::ApiKey, RequestCredential::Target, None, None),
            (AuthScheme::Bearer, RequestCredential::XApiKey, Some(KEY), None),
            (AuthScheme::XApiKey, RequestCredential::Bearer, None, Some(bearer.as_str())),
            (AuthScheme::Bearer, RequestCredential::WrongXApiKey, Some("wrong"), None),
            (AuthScheme::XApiKey, RequestCredential::WrongBearer, None, Some("Bearer wrong")),
            (AuthScheme::XApiKey, RequestCredential::Missing, None, None),
        ] {
            let server = server_with(ResponseTemplate::new(200)).await;
            let client = Client::new(ClientConfig { credential_header: scheme, ..config(&server.uri()) }).unwrap();
            client.send("x-1", Request { credential, ..request() }).await;
            let received = &server.received_requests().await.unwrap()[0];
            // A wrong credential has the prefix and the length of the right one.
            let hide_wrong = |text: &str| match text.rsplit_once("sk-test-") {
                Some((scheme, rest)) if text != bearer && text != KEY && rest.len() == 10 => format!("{scheme}wrong"),
                _ => text.to_owned(),
            };
            let sent = |name: &str| received.headers.get(name).map(|v| hide_wrong(v.to_str().unwrap()));
            let (x_api_key, authorization) = (x_api_key.map(str::to_owned), authorization.map(str::to_owned));
            assert_eq!(sent("x-api-key"), x_api_key, "{scheme:?} {credential:?}");
            assert_eq!(sent("authorization"), authorization, "{scheme:?} {credential:?}");
            let is_api_key = scheme == AuthScheme::ApiKey;
            assert_eq!(sent("api-key"), is_api_key.then(|| KEY.to_owned()), "{scheme:?} {credential:?}");
        }
    }

    #[tokio::test]
    async fn without_a_credential_a_placeholder_is_sent() {
        let server = server_with(ResponseTemplate::new(200)).await;
        send(ClientConfig { credential: None, ..config(&server.uri()) }).await;
        let received = &server.received_requests().await.unwrap()[0];
        assert_eq!(received.headers["x-api-key"], "fieldtest-no-credential");
    }

    #[tokio::test]
    async fn a_base_url_with_a_path_keeps_it() {
        let server = MockServer::start().await;
        Mock::given(path("/anthropic/v1/messages")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        for base in ["/anthropic", "/anthropic/", "/anthropic/v1", "/anthropic/v1/messages"] {
            assert_eq!(statuses(&send(config(&format!("{}{base}", server.uri()))).await), [200], "{base}");
        }
    }

    #[tokio::test]
    async fn a_query_in_the_path_is_sent_as_a_query() {
        let server = MockServer::start().await;
        Mock::given(path("/v1/messages"))
            .and(query_param("beta", "true"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let client = Client::new(config(&server.uri())).unwrap();
        let exchange = client.send("x-1", Request { path: "/v1/messages?beta=true".to_owned(), ..request() }).await;
        assert_eq!(statuses(&exchange), [200]);
    }

    #[tokio::test]
    async fn headers_and_body_are_sent_unchanged_with_the_headers_of_the_transport() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let mut request = request();
        request.headers.insert("anthropic-beta".to_owned(), "a,b".to_owned());
        let exchange = Client::new(config(&server.uri())).unwrap().send("x-7", request.clone()).await;
        assert_eq!((exchange.id.as_str(), &exchange.request), ("x-7", &request));

        let received = &server.received_requests().await.unwrap()[0];
        for (name, value) in [
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "a,b"),
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("user-agent", concat!("fieldtest/", env!("CARGO_PKG_VERSION"))),
        ] {
            let values: Vec<_> = received.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
        assert_eq!(received.body_json::<Value>().unwrap(), request.body);
    }

    #[tokio::test]
    async fn a_streaming_request_accepts_event_streams_unless_the_header_is_set() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let client = Client::new(config(&server.uri())).unwrap();
        let mut request = request();
        request.body["stream"] = Value::Bool(true);
        client.send("x-1", request.clone()).await;
        request.headers.insert("accept".to_owned(), "*/*".to_owned());
        client.send("x-2", request).await;
        let received = server.received_requests().await.unwrap();
        let accepts: Vec<_> = received.iter().map(|r| r.headers["accept"].to_str().unwrap()).collect();
        assert_eq!(accepts, ["text/event-stream", "*/*"]);
    }

    #[tokio::test]
    async fn a_request_with_invalid_headers_fails_without_being_sent() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let client = Client::new(config(&server.uri())).unwrap();
        for (name, value, message) in [
            ("bad name", "x", "invalid header name `bad name`"),
            ("x-bad", "line\nbreak", "value of the header `x-bad`"),
            ("x-api-key", "second", "only `credential` may set"),
            ("Authorization", "second", "only `credential` may set"),
        ] {
            let headers = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let exchange = client.send("x-1", Request { headers, ..request() }).await;
            assert_eq!(exchange.attempts.len(), 1);
            let failure = failure(&exchange.attempts[0]);
            assert_eq!(failure.kind, FailureKind::Protocol);
            assert!(failure.message.contains(message), "{failure:?}");
        }
        assert!(server.received_requests().await.unwrap().is_empty());
    }

    #[test]
    fn an_invalid_configuration_is_rejected_before_the_first_request() {
        let error_text = |change: fn(&mut ClientConfig)| {
            let mut config = config("https://h");
            change(&mut config);
            Client::new(config).err().map(|e: ClientError| e.to_string()).unwrap_or_default()
        };
        assert!(error_text(|c| c.base_url = "h:80".to_owned()).contains("base URL `h:80`"));
        assert!(error_text(|c| c.credential = Some("a b".into())).contains("credential cannot be sent"));
        assert!(error_text(|c| c.concurrency = 0).contains("concurrent requests"));
        assert!(error_text(|c| c.timeout = Duration::ZERO).contains("timeout"));
        assert!(error_text(|c| c.rate_limits.requests = Some(0)).contains("requests per minute"));
        assert!(error_text(|c| c.rate_limits.tokens = Some(0)).contains("tokens per minute"));
        assert_eq!(error_text(|c| c.timeout = Duration::MAX), "", "the longest timeout is valid");
    }
}

mod retries {
    use super::*;

    #[tokio::test]
    async fn a_429_is_retried_after_its_retry_after_time_and_both_attempts_are_kept() {
        let limited = ResponseTemplate::new(429).insert_header("retry-after", "1").set_body_string("slow down");
        let server = server_with_two(limited, ResponseTemplate::new(200).set_body_string("fine")).await;
        let exchange = send(config(&server.uri())).await;
        assert_eq!(statuses(&exchange), [429, 200]);
        let bodies: Vec<_> = exchange.attempts.iter().map(|a| response(a).body.0.as_slice()).collect();
        assert_eq!(bodies, [b"slow down".as_slice(), b"fine"]);
        let waited = exchange.attempts[1].started_ms - exchange.attempts[0].started_ms;
        assert!(waited >= 999, "the second attempt started {waited} ms after the first");
    }

    #[tokio::test]
    async fn a_529_is_retried() {
        let server = server_with_two(ResponseTemplate::new(529), ResponseTemplate::new(200)).await;
        assert_eq!(statuses(&send(config(&server.uri())).await), [529, 200]);
    }

    #[tokio::test]
    async fn all_attempts_are_kept_after_the_last_retry() {
        let server = server_with(ResponseTemplate::new(503)).await;
        let exchange = send(ClientConfig { retries: 3, ..config(&server.uri()) }).await;
        assert_eq!(statuses(&exchange), [503; 4]);
        assert_eq!(exchange.last_attempt(), exchange.attempts.get(3));
        assert!(exchange.attempts.is_sorted_by_key(|a| a.started_ms), "{exchange:?}");
    }

    #[tokio::test]
    async fn a_retry_after_time_that_is_too_long_ends_the_retries() {
        let server = server_with(ResponseTemplate::new(429).insert_header("retry-after", "3600")).await;
        assert_eq!(statuses(&send(config(&server.uri())).await), [429]);
    }

    #[tokio::test]
    async fn a_rejection_is_not_retried() {
        for status in [400, 401, 403, 404, 408, 413] {
            let server = server_with(ResponseTemplate::new(status)).await;
            assert_eq!(statuses(&send(config(&server.uri())).await), [status]);
        }
    }

    #[tokio::test]
    async fn the_retry_after_time_of_a_429_delays_all_requests() {
        let server = MockServer::start().await;
        let limited = ResponseTemplate::new(429).insert_header("retry-after", "0.3");
        Mock::given(header("x-first", "1")).respond_with(limited).up_to_n_times(1).mount(&server).await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).with_priority(6).mount(&server).await;
        let client = Client::new(config(&server.uri())).unwrap();
        let mut first = request();
        first.headers.insert("x-first".to_owned(), "1".to_owned());
        let second = async {
            while server.received_requests().await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // The 429 response is in transit.
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.send("x-2", request()).await
        };
        let (first, second) = tokio::join!(client.send("x-1", first), second);
        assert_eq!((statuses(&first), statuses(&second)), (vec![429, 200], vec![200]));
        let (limited, sent) = (&first.attempts[0], &second.attempts[0]);
        assert!(sent.started_ms >= limited.started_ms + 290, "{limited:?} {sent:?}");
    }

    #[tokio::test]
    async fn a_request_that_waits_for_its_retry_does_not_block_others() {
        let server = MockServer::start().await;
        let down = ResponseTemplate::new(503).insert_header("retry-after", "60");
        Mock::given(header("x-first", "1")).respond_with(down).mount(&server).await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).with_priority(6).mount(&server).await;
        let client = Client::new(ClientConfig { concurrency: 1, ..config(&server.uri()) }).unwrap();
        let mut first = request();
        first.headers.insert("x-first".to_owned(), "1".to_owned());
        let second = async {
            while server.received_requests().await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            client.send("x-2", request()).await
        };
        let second = tokio::select! {
            first = client.send("x-1", first) => panic!("the first request did not wait: {first:?}"),
            second = second => second,
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("the second request waits for the first"),
        };
        assert_eq!(statuses(&second), [200]);
    }
}

mod limits {
    use super::*;

    #[tokio::test]
    async fn attempts_are_spread_over_the_minute() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let client = Client::new(ClientConfig {
            rate_limits: PerMinuteLimits { requests: Some(600), tokens: None },
            ..config(&server.uri())
        })
        .unwrap();
        let started = Instant::now();
        futures_util::future::join_all((0..5).map(|_| client.send("x-1", request()))).await;
        assert!(started.elapsed() >= Duration::from_millis(380), "5 requests within {:?}", started.elapsed());
        assert_eq!(server.received_requests().await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn large_requests_wait_for_the_token_limit() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let client = Client::new(ClientConfig {
            rate_limits: PerMinuteLimits { requests: None, tokens: Some(60_000) },
            ..config(&server.uri())
        })
        .unwrap();
        let started = Instant::now();
        // Each request is estimated at an eighth of `max_tokens`, 1,024 tokens. The first 5,000
        // tokens are sent immediately; the rest needs a second, at 1,000 tokens per second.
        for _ in 0..6 {
            let mut request = request();
            request.body["max_tokens"] = json!(8_192);
            client.send("x-1", request).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(900), "6 requests within {:?}", started.elapsed());
    }

    #[tokio::test]
    async fn the_concurrency_limits_the_open_requests() {
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_millis(100));
        let server = server_with(slow).await;
        let client = Client::new(ClientConfig { concurrency: 2, ..config(&server.uri()) }).unwrap();
        let exchanges = futures_util::future::join_all((0..6).map(|_| client.send("x-1", request()))).await;
        let spans: Vec<(u64, u64)> = exchanges
            .iter()
            .map(|e| (e.attempts[0].started_ms, e.attempts[0].started_ms + e.attempts[0].duration_ms))
            .collect();
        for (start, _) in &spans {
            // Times are rounded down to milliseconds, so an end may be 1 ms before the next start.
            let open = spans.iter().filter(|(s, e)| s <= start && *e > start + 2).count();
            assert!(open <= 2, "{open} open requests at {start} ms: {spans:?}");
        }
    }
}

mod responses {
    use super::*;

    #[tokio::test]
    async fn a_redirect_is_a_response_and_is_not_followed() {
        let other = server_with(ResponseTemplate::new(200)).await;
        let location = format!("{}/v1/messages", other.uri());
        for status in [301, 302, 307, 308] {
            let server = server_with(ResponseTemplate::new(status).insert_header("location", location.as_str())).await;
            let exchange = send(config(&server.uri())).await;
            assert_eq!(statuses(&exchange), [status]);
            assert_eq!(response(&exchange.attempts[0]).header("location"), Some(location.as_str()));
        }
        assert!(other.received_requests().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn html_is_kept_unchanged() {
        let page = "<!doctype html><title>Welcome</title>";
        let server = server_with(ResponseTemplate::new(200).set_body_raw(page, "text/html")).await;
        let exchange = send(config(&server.uri())).await;
        let response = response(&exchange.attempts[0]);
        assert_eq!(response.header("content-type"), Some("text/html"));
        assert_eq!((response.body.0.as_slice(), &response.cut), (page.as_bytes(), &None));
        assert_eq!(response.arrivals.iter().map(|a| a.1).sum::<u64>(), page.len() as u64);
    }

    #[tokio::test]
    async fn invalid_utf_8_is_kept_byte_for_byte() {
        let bytes = b"{\"text\": \"\xff\xfe\"}";
        let server = server_with(ResponseTemplate::new(200).set_body_bytes(bytes)).await;
        assert_eq!(response(&send(config(&server.uri())).await.attempts[0]).body.0, bytes);
    }

    #[tokio::test]
    async fn repeated_and_invalid_headers_are_kept() {
        let base = server_that_writes(
            b"HTTP/1.1 200 OK\r\nX-Twice: a\r\nX-Twice: b\r\nX-Odd: \xff\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        let exchange = send(config(&base)).await;
        let headers = &response(&exchange.attempts[0]).headers;
        let twice: Vec<_> = headers.iter().filter(|(n, _)| n == "x-twice").map(|(_, v)| v.as_str()).collect();
        assert_eq!(twice, ["a", "b"]);
        assert!(headers.contains(&("x-odd".to_owned(), "\u{fffd}".to_owned())), "{headers:?}");
    }

    #[tokio::test]
    async fn an_echoed_credential_is_masked_in_headers_and_body() {
        let echo = ResponseTemplate::new(401)
            .insert_header("x-echo", format!("Bearer {KEY}").as_str())
            .set_body_string(format!("no such key: {KEY}!"));
        let server = server_with(echo).await;
        let client = Client::new(config(&server.uri())).unwrap();
        let exchange = client.send("x-1", request()).await;
        let response = response(&exchange.attempts[0]);
        assert_eq!(response.header("x-echo"), Some("Bearer <credential>"));
        assert_eq!(response.body.0, b"no such key: <credential>!");
        assert_eq!(response.arrivals.iter().map(|a| a.1).sum::<u64>(), response.body.0.len() as u64);
        let recorded = serde_json::to_string(&exchange).unwrap();
        assert!(!format!("{recorded} {exchange:?} {client:?}").contains(KEY));
    }

    #[tokio::test]
    async fn the_arrival_times_of_a_stream_are_kept() {
        let base = raw_server(|mut stream| async move {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let _ = stream.write_all(head).await;
            for piece in ["5\r\none\n\n\r\n", "5\r\ntwo\n\n\r\n", "0\r\n\r\n"] {
                let _ = stream.write_all(piece.as_bytes()).await;
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        })
        .await;
        let exchange = send(config(&base)).await;
        let response = response(&exchange.attempts[0]);
        assert_eq!(response.body.0, b"one\n\ntwo\n\n");
        let [(first, 5), (second, 5)] = response.arrivals[..] else { panic!("{:?}", response.arrivals) };
        assert!(second >= first + 40, "{first} ms, {second} ms");
        assert!(exchange.attempts[0].duration_ms >= second);
    }
}

mod broken_servers {
    use super::*;

    #[tokio::test]
    async fn a_timeout_is_not_retried() {
        let server = server_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
        let exchange = send(ClientConfig { timeout: Duration::from_millis(200), ..config(&server.uri()) }).await;
        assert_eq!(exchange.attempts.len(), 1);
        let failure = failure(&exchange.attempts[0]);
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert!(failure.message.contains("no response from 127.0.0.1"), "{failure:?}");
        assert!(failure.message.contains("within 0.2 s"), "{failure:?}");
        assert!(exchange.attempts[0].duration_ms >= 200);
    }

    #[tokio::test]
    async fn a_closed_connection_is_a_reset_and_is_retried() {
        let base = server_that_writes(b"").await;
        let exchange = send(ClientConfig { retries: 2, ..config(&base) }).await;
        assert_eq!(exchange.attempts.len(), 3);
        for attempt in &exchange.attempts {
            let failure = failure(attempt);
            assert_eq!(failure.kind, FailureKind::Reset, "{failure:?}");
            assert!(failure.message.contains("closed the connection without a response"), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn an_incomplete_body_is_kept_and_the_request_is_retried() {
        for bytes in [
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbeginning".as_slice(),
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nbeginning\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\nbeginning",
        ] {
            let base = server_that_writes(bytes).await;
            let exchange = send(ClientConfig { retries: 1, ..config(&base) }).await;
            assert_eq!(exchange.attempts.len(), 2, "{exchange:?}");
            for attempt in &exchange.attempts {
                let response = response(attempt);
                assert_eq!((response.status, response.body.0.as_slice()), (200, b"beginning".as_slice()));
                let cut = response.cut.as_ref().unwrap();
                assert_eq!(cut.kind, FailureKind::Reset, "{cut:?}");
                assert!(cut.message.contains("broke after 9 bytes"), "{cut:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_partial_credential_at_the_end_of_an_incomplete_body_is_masked() {
        let base = raw_server(|mut stream| async move {
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n";
            let _ = stream.write_all(format!("{head}key {}", &KEY[..12]).as_bytes()).await;
        })
        .await;
        assert_eq!(response(&send(config(&base)).await.attempts[0]).body.0, b"key <credential>");
    }

    #[tokio::test]
    async fn broken_framing_is_a_protocol_failure() {
        let base =
            server_that_writes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nbeginning\r\nnonsense\r\n")
                .await;
        let exchange = send(config(&base)).await;
        assert_eq!(exchange.attempts.len(), 1);
        let response = response(&exchange.attempts[0]);
        assert_eq!(response.body.0, b"beginning");
        assert_eq!(response.cut.as_ref().map(|c| c.kind), Some(FailureKind::Protocol), "{:?}", response.cut);
    }

    #[tokio::test]
    async fn an_endless_body_is_read_only_up_to_the_size_limit() {
        let base = raw_server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        })
        .await;
        let exchange = send(ClientConfig { max_body_bytes: 100_000, ..config(&base) }).await;
        assert_eq!(exchange.attempts.len(), 1);
        let response = response(&exchange.attempts[0]);
        assert_eq!(response.body.0.len(), 100_000);
        assert_eq!(response.arrivals.iter().map(|a| a.1).sum::<u64>(), 100_000);
        let cut = response.cut.as_ref().unwrap();
        assert_eq!(cut.kind, FailureKind::TooLarge);
        assert!(cut.message.contains("100000 bytes"), "the message names the limit: {}", cut.message);
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_size_limit_is_complete() {
        let server = server_with(ResponseTemplate::new(200).set_body_string("x".repeat(5000))).await;
        let exchange = send(ClientConfig { max_body_bytes: 5000, ..config(&server.uri()) }).await;
        let response = response(&exchange.attempts[0]);
        assert_eq!((response.body.0.len(), &response.cut), (5000, &None));
    }

    #[tokio::test]
    async fn a_slow_endless_body_ends_at_the_timeout_and_is_kept() {
        let base = raw_server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let exchange = send(ClientConfig { timeout: Duration::from_millis(300), ..config(&base) }).await;
        assert_eq!(exchange.attempts.len(), 1);
        let response = response(&exchange.attempts[0]);
        assert!(response.body.0.starts_with(b"x"), "{response:?}");
        let cut = response.cut.as_ref().unwrap();
        assert_eq!(cut.kind, FailureKind::Timeout);
        assert!(cut.message.contains("not complete within 0.3 s"), "{cut:?}");
    }

    #[tokio::test]
    async fn a_response_that_is_not_http_is_a_protocol_failure() {
        for bytes in [b"SSH-2.0-OpenSSH_9.6\r\n".as_slice(), b"\x15\x03\x01\x00\x02\x02\x46", b"\0\0\0\0\r\n\r\n"] {
            let base = server_that_writes(bytes).await;
            let exchange = send(config(&base)).await;
            assert_eq!(exchange.attempts.len(), 1, "{exchange:?}");
            let failure = failure(&exchange.attempts[0]);
            assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
            assert!(failure.message.contains("did not return HTTP"), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn an_endless_head_is_a_protocol_failure() {
        let base = raw_server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-endless: ").await;
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        })
        .await;
        let exchange = send(config(&base)).await;
        assert_eq!(failure(&exchange.attempts[0]).kind, FailureKind::Protocol);
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_quickly() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let exchange = send(config(&format!("http://{address}/anthropic"))).await;
        assert_eq!(exchange.attempts.len(), 3, "2 of the 4 allowed retries");
        let failure = failure(&exchange.attempts[0]);
        assert_eq!(failure.kind, FailureKind::Connect);
        let message = format!("connection refused by {address}. Check that the server runs, and the port");
        assert_eq!(failure.message, message);
    }

    #[tokio::test]
    async fn tls_to_a_plain_http_port_is_a_tls_failure() {
        for (bytes, message) in [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "may use http:// instead of https://"),
            (b"", "closed the connection during the TLS handshake"),
        ] {
            let base = server_that_writes(bytes).await.replace("http://", "https://");
            let exchange = send(config(&base)).await;
            assert_eq!(exchange.attempts.len(), 1, "{exchange:?}");
            let failure = failure(&exchange.attempts[0]);
            assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
            assert!(failure.message.contains(message), "{failure:?}");
        }
    }
}
