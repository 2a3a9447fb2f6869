//! The client against servers that behave, and servers that do not: real sockets on loopback, public API only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fieldtest::client::{Client, ClientConfig, ClientError, CredentialHeader, MessagesEndpoint as _, PerMinuteLimits};
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

/// Short waits and times, so that the suite is quick; everything else as users have it.
fn config(base_url: &str) -> ClientConfig {
    let mut config = ClientConfig::new(base_url, CredentialHeader::XApiKey);
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
        AttemptResult::Failure(failure) => panic!("no response came: {failure:?}"),
    }
}

fn failure(attempt: &ExchangeAttempt) -> &AttemptFailure {
    match &attempt.result {
        AttemptResult::Failure(failure) => failure,
        AttemptResult::Response(response) => panic!("a response came: {response:?}"),
    }
}

fn statuses(exchange: &Exchange) -> Vec<u16> {
    exchange.attempts.iter().map(|a| response(a).status).collect()
}

async fn server_with(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

/// A server that answers `first` once and then `then`.
async fn server_with_two(first: ResponseTemplate, then: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(first).up_to_n_times(1).with_priority(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(then).with_priority(2).mount(&server).await;
    server
}

/// A server that reads each request's head and body and then does as told. Returns its base URL.
async fn raw_server<F, Fut>(answer: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The requests of these tests are far smaller than this, and arrive whole on loopback.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            tokio::spawn(answer(stream));
        }
    });
    base
}

/// A server that writes these bytes and closes the connection.
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
    async fn each_kind_of_credential_travels_in_its_one_header() {
        let bearer = format!("Bearer {KEY}");
        for (scheme, credential, x_api_key, authorization) in [
            (CredentialHeader::XApiKey, RequestCredential::Target, Some(KEY), None),
            (CredentialHeader::Bearer, RequestCredential::Target, None, Some(bearer.as_str())),
            (CredentialHeader::Bearer, RequestCredential::XApiKey, Some(KEY), None),
            (CredentialHeader::XApiKey, RequestCredential::Bearer, None, Some(bearer.as_str())),
            (CredentialHeader::Bearer, RequestCredential::WrongXApiKey, Some("fieldtest-made-up-credential"), None),
            (
                CredentialHeader::XApiKey,
                RequestCredential::WrongBearer,
                None,
                Some("Bearer fieldtest-made-up-credential"),
            ),
            (CredentialHeader::XApiKey, RequestCredential::Missing, None, None),
        ] {
            let server = server_with(ResponseTemplate::new(200)).await;
            let client = Client::new(ClientConfig { credential_header: scheme, ..config(&server.uri()) }).unwrap();
            client.send("x-1", Request { credential, ..request() }).await;
            let received = &server.received_requests().await.unwrap()[0];
            let sent = |name: &str| received.headers.get(name).map(|v| v.to_str().unwrap());
            assert_eq!(sent("x-api-key"), x_api_key, "{scheme:?} {credential:?}");
            assert_eq!(sent("authorization"), authorization, "{scheme:?} {credential:?}");
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
    async fn a_query_in_the_path_is_sent_as_one() {
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
    async fn headers_and_body_are_sent_as_given_with_the_transports_own() {
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
    async fn a_stream_is_asked_for_as_a_stream_and_a_given_header_wins() {
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
    async fn a_request_that_is_no_http_fails_without_being_sent() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let client = Client::new(config(&server.uri())).unwrap();
        for (name, value, said) in [
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
            assert!(failure.message.contains(said), "{failure:?}");
        }
        assert!(server.received_requests().await.unwrap().is_empty());
    }

    #[test]
    fn an_unusable_configuration_is_refused_before_anything_is_sent() {
        let refused = |change: fn(&mut ClientConfig)| {
            let mut config = config("https://h");
            change(&mut config);
            Client::new(config).err().map(|e: ClientError| e.to_string()).unwrap_or_default()
        };
        assert!(refused(|c| c.base_url = "h:80".to_owned()).contains("base URL `h:80`"));
        assert!(refused(|c| c.credential = Some("a b".into())).contains("credential cannot be sent"));
        assert!(refused(|c| c.concurrency = 0).contains("concurrent requests"));
        assert!(refused(|c| c.timeout = Duration::ZERO).contains("timeout"));
        assert!(refused(|c| c.rate_limits.requests = Some(0)).contains("requests per minute"));
        assert!(refused(|c| c.rate_limits.tokens = Some(0)).contains("tokens per minute"));
        assert_eq!(refused(|c| c.timeout = Duration::MAX), "", "the longest time-out is one");
    }
}

mod retries {
    use super::*;

    #[tokio::test]
    async fn a_429_is_tried_again_after_the_wait_it_asks_for_and_both_attempts_are_kept() {
        let limited = ResponseTemplate::new(429).insert_header("retry-after", "1").set_body_string("slow down");
        let server = server_with_two(limited, ResponseTemplate::new(200).set_body_string("fine")).await;
        let exchange = send(config(&server.uri())).await;
        assert_eq!(statuses(&exchange), [429, 200]);
        let bodies: Vec<_> = exchange.attempts.iter().map(|a| response(a).body.0.as_slice()).collect();
        assert_eq!(bodies, [b"slow down".as_slice(), b"fine"]);
        let waited = exchange.attempts[1].started_ms - exchange.attempts[0].started_ms;
        assert!(waited >= 999, "the second came {waited} ms after the first");
    }

    #[tokio::test]
    async fn a_529_is_tried_again() {
        let server = server_with_two(ResponseTemplate::new(529), ResponseTemplate::new(200)).await;
        assert_eq!(statuses(&send(config(&server.uri())).await), [529, 200]);
    }

    #[tokio::test]
    async fn when_the_retries_are_used_up_every_attempt_is_kept() {
        let server = server_with(ResponseTemplate::new(503)).await;
        let exchange = send(ClientConfig { retries: 3, ..config(&server.uri()) }).await;
        assert_eq!(statuses(&exchange), [503; 4]);
        assert_eq!(exchange.last_attempt(), exchange.attempts.get(3));
        assert!(exchange.attempts.is_sorted_by_key(|a| a.started_ms), "{exchange:?}");
    }

    #[tokio::test]
    async fn too_long_a_wait_ends_the_retrying() {
        let server = server_with(ResponseTemplate::new(429).insert_header("retry-after", "3600")).await;
        assert_eq!(statuses(&send(config(&server.uri())).await), [429]);
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again() {
        for status in [400, 401, 403, 404, 408, 413] {
            let server = server_with(ResponseTemplate::new(status)).await;
            assert_eq!(statuses(&send(config(&server.uri())).await), [status]);
        }
    }

    #[tokio::test]
    async fn a_wait_that_a_rate_limit_asks_of_one_request_is_kept_by_all() {
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
            // The refusal is on its way back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.send("x-2", request()).await
        };
        let (first, second) = tokio::join!(client.send("x-1", first), second);
        assert_eq!((statuses(&first), statuses(&second)), (vec![429, 200], vec![200]));
        let (refused, sent) = (&first.attempts[0], &second.attempts[0]);
        assert!(sent.started_ms >= refused.started_ms + 290, "{refused:?} {sent:?}");
    }

    #[tokio::test]
    async fn a_request_that_waits_for_its_retry_keeps_no_other_from_being_sent() {
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
            first = client.send("x-1", first) => panic!("the first still waits: {first:?}"),
            second = second => second,
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("the second waits for the first"),
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
        assert!(started.elapsed() >= Duration::from_millis(380), "five within {:?}", started.elapsed());
        assert_eq!(server.received_requests().await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn large_requests_wait_for_the_tokens_they_cost() {
        let server = server_with(ResponseTemplate::new(200)).await;
        let client = Client::new(ClientConfig {
            rate_limits: PerMinuteLimits { requests: None, tokens: Some(60_000) },
            ..config(&server.uri())
        })
        .unwrap();
        let started = Instant::now();
        // Each is taken for an eighth of its answer, 1 024 tokens. 5 000 pass at once; what is more than that takes a
        // second, at a thousand a second.
        for _ in 0..6 {
            let mut request = request();
            request.body["max_tokens"] = json!(8_192);
            client.send("x-1", request).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(900), "six within {:?}", started.elapsed());
    }

    #[tokio::test]
    async fn no_more_than_so_many_are_on_their_way_at_once() {
        let answer = ResponseTemplate::new(200).set_delay(Duration::from_millis(100));
        let server = server_with(answer).await;
        let client = Client::new(ClientConfig { concurrency: 2, ..config(&server.uri()) }).unwrap();
        let exchanges = futures_util::future::join_all((0..6).map(|_| client.send("x-1", request()))).await;
        let spans: Vec<(u64, u64)> = exchanges
            .iter()
            .map(|e| (e.attempts[0].started_ms, e.attempts[0].started_ms + e.attempts[0].duration_ms))
            .collect();
        for (start, _) in &spans {
            // Times are cut to milliseconds, so an end may seem to lie one before the start that follows it.
            let under_way = spans.iter().filter(|(s, e)| s <= start && *e > start + 2).count();
            assert!(under_way <= 2, "{under_way} at {start} ms: {spans:?}");
        }
    }
}

mod answers {
    use super::*;

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
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
    async fn html_is_kept_as_it_came() {
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
    async fn repeated_and_odd_headers_are_kept() {
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
    async fn the_times_at_which_a_stream_came_are_kept() {
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
    async fn no_answer_in_time_is_a_time_out_and_not_tried_again() {
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
    async fn a_closed_connection_is_a_reset_and_tried_again() {
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
    async fn a_body_cut_in_the_middle_keeps_what_came_and_is_tried_again() {
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
    async fn a_credential_at_the_cut_is_masked_as_far_as_it_came() {
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
    async fn an_endless_body_is_read_only_as_far_as_it_is_kept() {
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
        assert!(cut.message.contains("100000 bytes"), "the bound is told: {}", cut.message);
    }

    #[tokio::test]
    async fn a_body_of_just_the_kept_size_is_whole() {
        let server = server_with(ResponseTemplate::new(200).set_body_string("x".repeat(5000))).await;
        let exchange = send(ClientConfig { max_body_bytes: 5000, ..config(&server.uri()) }).await;
        let response = response(&exchange.attempts[0]);
        assert_eq!((response.body.0.len(), &response.cut), (5000, &None));
    }

    #[tokio::test]
    async fn an_endless_trickle_ends_at_the_time_out_and_keeps_what_came() {
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
    async fn what_is_not_http_is_a_protocol_failure() {
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
    async fn a_port_that_nobody_listens_on_is_told_soon() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let exchange = send(config(&format!("http://{at}/anthropic"))).await;
        assert_eq!(exchange.attempts.len(), 3, "two retries of the four allowed");
        let failure = failure(&exchange.attempts[0]);
        assert_eq!(failure.kind, FailureKind::Connect);
        let said = format!("connection refused by {at}. Check that the server runs, and the port");
        assert_eq!(failure.message, said);
    }

    #[tokio::test]
    async fn tls_to_a_plain_port_is_a_tls_failure() {
        for (bytes, said) in [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "may use http:// instead of https://"),
            (b"", "closed the connection during the TLS handshake"),
        ] {
            let base = server_that_writes(bytes).await.replace("http://", "https://");
            let exchange = send(config(&base)).await;
            assert_eq!(exchange.attempts.len(), 1, "{exchange:?}");
            let failure = failure(&exchange.attempts[0]);
            assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
            assert!(failure.message.contains(said), "{failure:?}");
        }
    }
}
