//! Proves that every row about gateways can fail: for each one, a gateway that takes away just what the row is about, and
//! passes on everything else. A row that stays `forwarded` behind it is a defect of the row.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use fieldtest::catalog::{
    ApiDialect, Catalog, ClientSignal, GatewayExpectation, GatewayFieldLocation, GatewayRow, GatewayRowSubject,
    JsonPath, PathSegment,
};
use fieldtest::client::{Client, ClientConfig, CredentialHeader};
use fieldtest::gateway;
use fieldtest::gateway::{GatewayEvent, GatewayEventListener, GatewayRunOptions, judge};
use fieldtest::recording::gateway::{GatewayFooter, GatewayHeader, GatewayRecording, SCHEMA};
use fieldtest::results::gateway::GatewayVerdictKind;
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use serde_json::Value;
use tokio::net::TcpListener;

/// What a gateway takes away.
#[derive(Debug, Clone)]
enum Takes {
    /// Nothing.
    Nothing,
    /// A field of the request.
    Field(GatewayFieldLocation),
    /// A part of the answer.
    Part(Box<GatewayExpectation>),
}

struct Shared {
    takes: Takes,
    upstream: String,
    client: reqwest::Client,
}

/// Takes a path out of a body; true where there was something.
fn take(value: &mut Value, steps: &[PathSegment]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    let is_last = rest.is_empty();
    let meant = |item: &Value, nth: usize| match step {
        PathSegment::Index(index) => nth == *index,
        PathSegment::Each => true,
        PathSegment::Filter(key, wanted) => item[key.as_str()] == wanted.as_str(),
        PathSegment::Key(_) => false,
    };
    match (step, value) {
        (PathSegment::Key(key), Value::Object(map)) if is_last => map.remove(key).is_some(),
        (PathSegment::Key(key), Value::Object(map)) => map.get_mut(key).is_some_and(|below| take(below, rest)),
        (_, Value::Array(items)) if is_last => {
            let before = items.len();
            let mut nth = 0;
            items.retain(|item| {
                nth += 1;
                !meant(item, nth - 1)
            });
            items.len() < before
        }
        (_, Value::Array(items)) => {
            let below = items.iter_mut().enumerate().filter(|(nth, item)| meant(item, *nth));
            below.fold(false, |any, (_, item)| take(item, rest) || any)
        }
        _ => false,
    }
}

/// Takes a field out of a request: of messages, all that says the same but the question.
fn take_field(path: &JsonPath, body: &mut Value) {
    let text = path.to_string();
    let is_turn = text.starts_with("messages[") && text.ends_with(".content") && text.matches(".content").count() == 1;
    match is_turn {
        // The question must pass, so the turns before and after it lose their texts instead.
        true => {
            for message in body["messages"].as_array_mut().into_iter().flatten() {
                if !message["content"].to_string().contains("Ticket lb") {
                    message["content"] = Value::from("…");
                }
            }
        }
        false => {
            let question = text.contains("[type=text].text");
            for message in body["messages"].as_array_mut().into_iter().flatten().filter(|_| question) {
                for block in message["content"].as_array_mut().into_iter().flatten() {
                    if !block["text"].to_string().contains("Ticket lb") && block.get("text").is_some() {
                        block["text"] = Value::from("…");
                    }
                }
            }
            if !question {
                take(body, path.segments());
            }
        }
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut headers = parts.headers;
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION] {
        headers.remove(name);
    }
    let mut path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    match &shared.takes {
        Takes::Field(GatewayFieldLocation::Body(place)) => take_field(place, &mut body),
        Takes::Field(GatewayFieldLocation::Header(name)) => {
            drop(headers.remove(HeaderName::from_bytes(name.as_bytes()).unwrap()))
        }
        Takes::Field(GatewayFieldLocation::Query(_)) => path = path.split('?').next().unwrap().to_owned(),
        Takes::Part(_) | Takes::Nothing => {}
    }
    let request = shared.client.request(parts.method, format!("{}{path}", shared.upstream)).headers(headers);
    let request = if body.is_null() { request } else { request.body(body.to_string()) };
    let Ok(response) = request.send().await else { return of_break(&shared.takes) };
    returned(&shared.takes, response).await
}

/// What becomes of an upstream that breaks off: told, unless that is what is taken away.
fn of_break(takes: &Takes) -> Response {
    let hides = matches!(takes, Takes::Part(part) if part.sign == Some(ClientSignal::Failure));
    let text = if hides { MESSAGE } else { r#"{"type":"error","error":{"type":"api_error","message":"broken"}}"# };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = if hides { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;

async fn returned(takes: &Takes, response: reqwest::Response) -> Response {
    let mut status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let mut headers = response.headers().clone();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    let is_stream = headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/event-stream");
    let Ok(bytes) = response.bytes().await else { return of_break(takes) };
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    if let Takes::Part(part) = takes {
        if let Some(name) = &part.header {
            headers.remove(HeaderName::from_bytes(name.as_bytes()).unwrap());
        }
        if part.status.is_some() {
            status = StatusCode::IM_A_TEAPOT;
        }
        if part.sign == Some(ClientSignal::Failure) {
            return of_break(takes);
        }
        text = if is_stream { of_stream(part, &text) } else { of_body(part, &text) };
    }
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn of_body(part: &GatewayExpectation, text: &str) -> String {
    let mut body: Value = serde_json::from_str(text).unwrap();
    if let Some(path) = &part.at {
        take(&mut body, path.segments());
    }
    body.to_string()
}

/// The events without what the part is about.
fn of_stream(part: &GatewayExpectation, text: &str) -> String {
    let keys: Vec<&str> = match part.at.as_ref().and_then(JsonPath::last_key) {
        Some("input" | "key" | "content") => vec!["partial_json"],
        Some(key) => vec![key],
        None => Vec::new(),
    };
    let records = text.split_inclusive("\n\n").filter_map(|record| {
        let data = record.lines().find_map(|line| line.strip_prefix("data: "));
        let mut event: Value = data.and_then(|data| serde_json::from_str(data).ok()).unwrap_or(Value::Null);
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        if part.event.as_ref() == Some(&name) {
            return None;
        }
        let is_piece = event["delta"]["type"] == "text_delta";
        if part.sign == Some(ClientSignal::Pieces) && is_piece {
            event["delta"]["text"] = Value::from("other");
        }
        if event.is_null() {
            return Some(record.to_owned());
        }
        keys.iter().for_each(|key| without(&mut event, key));
        Some(format!("event: {name}\ndata: {event}\n\n"))
    });
    records.collect()
}

/// Takes a key out, wherever it stands.
fn without(value: &mut Value, key: &str) {
    match value {
        Value::Object(map) => {
            map.remove(key);
            map.values_mut().for_each(|below| without(below, key));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, key)),
        _ => {}
    }
}

struct Deaf;

impl GatewayEventListener for Deaf {
    fn on_event(&mut self, _: GatewayEvent<'_>) {}
}

/// The fate of one row behind a gateway that takes something away.
async fn fate(catalog: &Catalog, row: &GatewayRow, takes: Takes) -> GatewayVerdictKind {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let shared = Shared {
        takes,
        upstream: format!("http://{}", socket.local_addr().unwrap()),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let via = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(handle).with_state(Arc::new(shared));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let started = Instant::now();
    let mut config = ClientConfig::new(&via, CredentialHeader::XApiKey);
    config.retries = 0;
    config.concurrency = gateway::MAX_CONCURRENT_REQUESTS;
    config.use_proxies = false;
    config.timeout = Duration::from_secs(20);
    config.run_started = started;
    let client = Client::new(config).unwrap();
    let options = GatewayRunOptions {
        dialect: ApiDialect::Anthropic,
        model: "m".to_owned(),
        seed: 1,
        concurrency: 1,
        ready_timeout: Duration::from_secs(5),
        client_secret: None,
        other_secrets: Vec::new(),
        started_at: started,
    };
    let finished = gateway::run(&client, socket, &[row], &options, &mut Deaf, std::future::pending()).await;
    server.abort();
    let recording = GatewayRecording {
        header: GatewayHeader {
            schema: SCHEMA.to_owned(),
            name: "g".to_owned(),
            via,
            upstream: "http://127.0.0.1:1".to_owned(),
            shape: ApiDialect::Anthropic,
            model: "m".to_owned(),
            bearer: false,
            claims: None,
            rows: vec![row.id().to_owned()],
            seed: 1,
            started_at: "2026-01-01T00:00:00Z".to_owned(),
        },
        footer: Some(GatewayFooter {
            finished_at: "2026-01-01T00:00:01Z".to_owned(),
            wall_ms: 0,
            ended: finished.end,
            trials: finished.trials.len(),
            calls: finished.calls.len(),
        }),
        trials: finished.trials,
        calls: finished.calls,
    };
    judge(catalog, &recording).unwrap().rows[0].fate.as_ref().unwrap().kind
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_can_fail() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let catalog = &Catalog::load_bundled().unwrap();
    let rows =
        catalog.gateway_rows.iter().map(|row| &row.row).filter(|row| row.applies_to_dialect(ApiDialect::Anthropic));
    let about = rows.filter_map(|row| match row.subject(ApiDialect::Anthropic) {
        GatewayRowSubject::Request { .. } => Some((row, Takes::Field(row.field_location().unwrap()))),
        GatewayRowSubject::Response { expectation: comes, .. } => Some((row, Takes::Part(Box::new(comes.clone())))),
        // The tests with small gateways have one for each side of conduct.
        GatewayRowSubject::Behaviour(_) => None,
    });
    let failures: Vec<String> = iter(about)
        .map(|(row, takes)| async move {
            let with = fate(catalog, row, Takes::Nothing);
            let without = fate(catalog, row, takes);
            let (with, without) = (with.await, without.await);
            let is_proven = match row.subject(ApiDialect::Anthropic) {
                // A gateway that reads whole answers, as this one does, has no pace.
                GatewayRowSubject::Response { expectation: comes, .. } if comes.sign == Some(ClientSignal::Pace) => {
                    without == GatewayVerdictKind::Changed
                }
                _ => {
                    with == GatewayVerdictKind::Forwarded
                        && matches!(without, GatewayVerdictKind::Dropped | GatewayVerdictKind::Changed)
                }
            };
            (!is_proven).then(|| {
                format!("{}: {} behind a faithful gateway, {} without it", row.id(), with.as_str(), without.as_str())
            })
        })
        .buffer_unordered(16)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failures.is_empty(), "{} rows are not proven:\n{}", failures.len(), failures.join("\n"));
}
