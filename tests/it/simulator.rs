//! The simulator on its socket, with a real HTTP client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fieldtest::catalog::ClaimStatus;
use fieldtest::simulator::{
    DEFAULT_CREDENTIAL, DisobedienceDrift, ROW_IDS, RunningSimulator, SimulatorConfig, SimulatorImpairments, start,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

fn client() -> Client {
    // The client needs a TLS provider, even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

async fn server(impairments: SimulatorImpairments) -> RunningSimulator {
    start(SimulatorConfig { model: "m".into(), impairments, ..SimulatorConfig::default() }).await.unwrap()
}

fn post(client: &Client, server: &RunningSimulator, path: &str, body: &Value) -> RequestBuilder {
    let request = client.post(format!("{}{path}", server.base_url())).body(body.to_string());
    request.header("x-api-key", DEFAULT_CREDENTIAL).header("anthropic-version", "2023-06-01")
}

fn ask(text: &str) -> Value {
    json!({"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": text}]})
}

fn request_id(response: &Response) -> String {
    response.headers()["request-id"].to_str().unwrap().to_owned()
}

/// The text of a response.
async fn said(response: Response) -> String {
    let message: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    message["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn messages_are_served_below_any_base_path_with_and_without_the_beta_query() {
    let (client, server) = (client(), server(SimulatorImpairments::default()).await);
    let mut ids = Vec::new();
    for path in ["/v1/messages", "/v1/messages?beta=true", "/anthropic/v1/messages", "/a/b/v1/messages?beta=true"] {
        let response = post(&client, &server, path, &ask("Count from 1 to 3.")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        ids.push(request_id(&response));
        assert_eq!(said(response).await, "1 2 3");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn every_error_has_the_envelope() {
    let (client, server) = (client(), server(SimulatorImpairments::default()).await);
    let good = || post(&client, &server, "/v1/messages", &ask("Hello."));
    let cases = [
        (good().body("{"), 400, "invalid_request_error"),
        (good().body("[]"), 400, "invalid_request_error"),
        (good().body(""), 400, "invalid_request_error"),
        (good().header("content-encoding", "gzip"), 400, "invalid_request_error"),
        (client.post(format!("{}/v1/messages", server.base_url())).body("{}"), 401, "authentication_error"),
        (post(&client, &server, "/v1/none", &json!({})), 404, "not_found_error"),
        (post(&client, &server, "/", &json!({})), 404, "not_found_error"),
        (client.get(format!("{}/v1/messages", server.base_url())), 405, "invalid_request_error"),
        (good().body("x".repeat((32 << 20) + 1)), 413, "request_too_large"),
    ];
    for (request, status, kind) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        let id = request_id(&response);
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(
            (&body["type"], &body["error"]["type"], &body["request_id"]),
            (&json!("error"), &json!(kind), &json!(id))
        );
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stream_arrives_event_by_event() {
    let impairments = SimulatorImpairments { latency: Duration::from_millis(50), ..SimulatorImpairments::default() };
    let (client, server) = (client(), server(impairments).await);
    let mut body = ask("Count from 1 to 40.");
    body["stream"] = json!(true);
    let response = post(&client, &server, "/v1/messages", &body).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let started = Instant::now();
    let mut arrivals = Vec::new();
    let mut text = String::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        arrivals.push(started.elapsed());
    }
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names[..4], ["message_start", "content_block_start", "ping", "content_block_delta"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(arrivals.len() > 10, "{} pieces", arrivals.len());
    assert!(arrivals[arrivals.len() - 1] - arrivals[0] > Duration::from_millis(80));
}

/// The arrival times of the chunks of a long stream, and its text.
async fn arrivals(faults: &[&str]) -> (Vec<Duration>, String) {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let server = start(SimulatorConfig { model: "m".into(), faults, ..SimulatorConfig::default() }).await.unwrap();
    let mut body = ask("Count from 1 to 200.");
    body["stream"] = json!(true);
    let started = Instant::now();
    let response = post(&client(), &server, "/v1/messages", &body).send().await.unwrap();
    let (mut arrivals, mut text) = (Vec::new(), String::new());
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        arrivals.push(started.elapsed());
    }
    (arrivals, text)
}

#[tokio::test]
async fn a_long_stream_takes_time_and_a_buffering_server_is_visible() {
    let names = |text: &str| text.lines().filter(|line| line.starts_with("event: ")).count();
    let (plain, told) = arrivals(&[]).await;
    let spread = plain[plain.len() - 1] - plain[0];
    assert!(plain.len() > 30 && spread > Duration::from_millis(30), "{} pieces in {spread:?}", plain.len());
    // A busy machine delays the chunks of some responses.
    let mut spreads = Vec::new();
    for _ in 0..20 {
        let (buffered, whole) = arrivals(&["stream.buffered"]).await;
        assert!(buffered[0] > Duration::from_millis(30), "{buffered:?}");
        assert_eq!(names(&told), names(&whole));
        spreads.push(buffered[buffered.len() - 1] - buffered[0]);
        if spreads.iter().any(|spread| *spread < Duration::from_millis(20)) {
            return;
        }
    }
    panic!("{spreads:?}");
}

#[tokio::test]
async fn a_head_request_to_an_unknown_path_has_no_body() {
    let server = server(SimulatorImpairments::default()).await;
    let response = client().head(server.base_url()).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn small_requests_on_one_connection_do_not_wait_for_each_other() {
    let (client, server) = (client(), server(SimulatorImpairments::default()).await);
    let mut body = ask("Say hello.");
    body["stream"] = json!(true);
    let mut times = Vec::new();
    for _ in 0..40 {
        let started = Instant::now();
        post(&client, &server, "/v1/messages", &body).send().await.unwrap().bytes().await.unwrap();
        times.push(started.elapsed());
    }
    // A delayed acknowledgement costs 40 ms each time. A busy machine delays some requests.
    assert!(times.iter().any(|time| *time < Duration::from_millis(40)), "{times:?}");
}

#[tokio::test]
async fn rate_limits_and_overload_follow_the_impairments() {
    let client = client();
    let limited =
        server(SimulatorImpairments { rate_429: 1.0, retry_after: Some(7), ..SimulatorImpairments::default() }).await;
    let response = post(&client, &limited, "/v1/messages", &ask("Hello.")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert!(response.text().await.unwrap().contains("rate_limit_error"));
    let overloaded = server(SimulatorImpairments { rate_529: 1.0, ..SimulatorImpairments::default() }).await;
    let response = post(&client, &overloaded, "/v1/messages", &ask("Hello.")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (529, None));
    assert!(response.text().await.unwrap().contains("overloaded_error"));
}

#[tokio::test]
async fn connections_are_reset_before_the_response_or_in_a_stream() {
    let (client, server) =
        (client(), server(SimulatorImpairments { rate_reset: 1.0, ..SimulatorImpairments::default() }).await);
    assert!(post(&client, &server, "/v1/messages", &ask("Hello.")).send().await.is_err());
    let mut body = ask("Count from 1 to 60.");
    body["stream"] = json!(true);
    let mut started = 0;
    for _ in 0..8 {
        if let Ok(response) = post(&client, &server, "/v1/messages", &body).send().await {
            started += 1;
            assert!(response.bytes().await.is_err());
        }
    }
    assert!(started > 0);
}

#[tokio::test]
async fn a_run_is_reproducible_in_any_order() {
    let words = |server: RunningSimulator, order: Vec<usize>| async move {
        let client = client();
        let answers = join_all(order.into_iter().map(|i| {
            let body = ask(&format!("Name one random word, try {}.", i / 2));
            let request = post(&client, &server, "/v1/messages", &body);
            async move { (i / 2, said(request.send().await.unwrap()).await) }
        }));
        let mut by_ask: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (i, word) in answers.await {
            by_ask.entry(i).or_default().push(word);
        }
        by_ask.values_mut().for_each(|words| words.sort());
        by_ask
    };
    let first = words(server(SimulatorImpairments::default()).await, (0..40).collect()).await;
    let second = words(server(SimulatorImpairments::default()).await, (0..40).rev().collect()).await;
    assert_eq!(first, second);
    let distinct: std::collections::BTreeSet<&String> = first.values().flatten().collect();
    assert!(distinct.len() > 10, "{distinct:?}");
}

#[tokio::test]
async fn a_model_disobeys_about_as_often_as_configured() {
    let (client, server) =
        (client(), server(SimulatorImpairments { disobedience: 0.3, ..SimulatorImpairments::default() }).await);
    let mut obeyed = 0;
    for _ in 0..200 {
        let response = post(&client, &server, "/v1/messages", &ask("Count from 1 to 3.")).send().await.unwrap();
        obeyed += usize::from(said(response).await == "1 2 3");
    }
    assert!((115..=165).contains(&obeyed), "{obeyed} of 200");
}

#[tokio::test]
async fn a_model_drifts_while_it_answers() {
    let drift = Some(DisobedienceDrift { final_probability: 1.0, delay_responses: 5, duration_responses: 0 });
    let (client, server) = (client(), server(SimulatorImpairments { drift, ..SimulatorImpairments::default() }).await);
    let mut obeyed = Vec::new();
    for _ in 0..10 {
        let response = post(&client, &server, "/v1/messages", &ask("Count from 1 to 3.")).send().await.unwrap();
        obeyed.push(said(response).await == "1 2 3");
    }
    assert_eq!(obeyed, [[true; 5], [false; 5]].concat());
}

#[tokio::test]
async fn prompts_are_cached_across_requests() {
    let (client, server) = (client(), server(SimulatorImpairments::default()).await);
    let mut body = ask("Hello.");
    let text = "The quick fox walks on. ".repeat(600);
    body["system"] = json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
    let mut usages = Vec::new();
    for _ in 0..2 {
        let response = post(&client, &server, "/v1/messages", &body).send().await.unwrap();
        let message: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        usages.push(message["usage"].clone());
    }
    let created = usages[0]["cache_creation_input_tokens"].as_u64().unwrap();
    assert!(created > 2000);
    assert_eq!(usages[1]["cache_read_input_tokens"], created);
    assert_eq!(usages[1]["input_tokens"], usages[0]["input_tokens"]);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let (client, server) = (client(), server(SimulatorImpairments::default()).await);
    let request = || post(&client, &server, "/v1/messages", &ask("Hello."));
    let later = request();
    assert_eq!(request().send().await.unwrap().bytes().await.unwrap()[0], b'{');
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(later.send().await.is_err());
}

#[tokio::test]
async fn a_server_that_ignores_every_row_still_responds() {
    let mut behaviour = SimulatorConfig::default();
    for row in ROW_IDS {
        behaviour.set_status(row, ClaimStatus::Ignored).unwrap();
    }
    let server = start(behaviour).await.unwrap();
    let response = client().post(format!("{}/v1/messages", server.base_url())).body(ask("Hello.").to_string()).send();
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_reports_the_requests_in_which_it_acted_on_each_row() {
    const TOP_K: &str = "field.top_k";
    for status in [ClaimStatus::Supported, ClaimStatus::Ignored, ClaimStatus::Unsupported] {
        let mut behaviour = SimulatorConfig { model: "m".into(), ..SimulatorConfig::default() };
        behaviour.set_status(TOP_K, status).unwrap();
        let (client, server) = (client(), start(behaviour).await.unwrap());
        let with = |key: &str, value: Value| {
            let mut body = ask("Hello.");
            body[key] = value;
            post(&client, &server, "/v1/messages", &body)
        };
        assert!(!server.field_activity().contains_key(TOP_K));
        with("top_p", json!(0.5)).send().await.unwrap();
        assert!(!server.field_activity().contains_key(TOP_K), "{status}: another field was sent");
        let response = with("top_k", json!(5)).send().await.unwrap();
        assert_eq!(response.status(), if status == ClaimStatus::Unsupported { 400 } else { 200 });
        let acted: Vec<String> = server.field_activity()[TOP_K].iter().cloned().collect();
        assert_eq!(acted, [request_id(&response)], "{status}");
        // Ignored fields are removed after validation, so a rejected request records none.
        if status == ClaimStatus::Ignored {
            let mut body = ask("Hello.");
            body["top_k"] = json!(5);
            body["max_tokens"] = json!("many");
            let refused = post(&client, &server, "/v1/messages", &body).send().await.unwrap();
            assert_eq!(refused.status(), 400);
            assert_eq!(server.field_activity()[TOP_K].len(), 1);
        }
    }
}
