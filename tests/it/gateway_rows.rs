//! Proves that every gateway row can fail: each one is tested with a gateway that removes only the
//! subject of the row. A row that is still `forwarded` is a defect of the row.

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
use fieldtest::client::{Client, ClientConfig};
use fieldtest::gateway;
use fieldtest::gateway::{GatewayEvent, GatewayEventListener, GatewayRunOptions, judge};
use fieldtest::recording::gateway::{GatewayFooter, GatewayHeader, GatewayRecording, SCHEMA};
use fieldtest::results::gateway::GatewayVerdictKind;
use fieldtest::wire::exchange::AuthScheme;
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use serde_json::Value;
use tokio::net::TcpListener;

/// What a gateway removes.
#[derive(Debug, Clone)]
enum FieldRemoval {
    /// Nothing.
    Nothing,
    /// A field of the request.
    Field(GatewayFieldLocation),
    /// A part of the response.
    Part(Box<GatewayExpectation>),
}

struct Shared {
    removal: FieldRemoval,
    upstream: String,
    client: reqwest::Client,
}

/// Removes a path from a body. Returns true if there was a value.
fn remove_path(value: &mut Value, steps: &[PathSegment]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    let is_last = rest.is_empty();
    let is_named = |item: &Value, nth: usize| match step {
        PathSegment::Index(index) => nth == *index,
        PathSegment::Each => true,
        PathSegment::Filter(key, wanted) => item[key.as_str()] == wanted.as_str(),
        PathSegment::Key(_) => false,
    };
    match (step, value) {
        (PathSegment::Key(key), Value::Object(map)) if is_last => map.remove(key).is_some(),
        (PathSegment::Key(key), Value::Object(map)) => map.get_mut(key).is_some_and(|below| remove_path(below, rest)),
        (_, Value::Array(items)) if is_last => {
            let before = items.len();
            let mut nth = 0;
            items.retain(|item| {
                nth += 1;
                !is_named(item, nth - 1)
            });
            items.len() < before
        }
        (_, Value::Array(items)) => {
            let below = items.iter_mut().enumerate().filter(|(nth, item)| is_named(item, *nth));
            below.fold(false, |any, (_, item)| remove_path(item, rest) || any)
        }
        _ => false,
    }
}

/// Removes a field from a request. The message with the label always stays.
fn remove_field(path: &JsonPath, body: &mut Value) {
    let text = path.to_string();
    let is_turn = text.starts_with("messages[") && text.ends_with(".content") && text.matches(".content").count() == 1;
    match is_turn {
        // The message with the label must arrive, so the other turns lose their texts.
        true => {
            for message in body["messages"].as_array_mut().into_iter().flatten() {
                if !message["content"].to_string().contains("Ticket lb") {
                    message["content"] = Value::from("…");
                }
            }
        }
        false => {
            let is_text = text.contains("[type=text].text");
            for message in body["messages"].as_array_mut().into_iter().flatten().filter(|_| is_text) {
                for block in message["content"].as_array_mut().into_iter().flatten() {
                    if !block["text"].to_string().contains("Ticket lb") && block.get("text").is_some() {
                        block["text"] = Value::from("…");
                    }
                }
            }
            if !is_text {
                remove_path(body, path.segments());
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
    match &shared.removal {
        FieldRemoval::Field(GatewayFieldLocation::Body(place)) => remove_field(place, &mut body),
        FieldRemoval::Field(GatewayFieldLocation::Header(name)) => {
            drop(headers.remove(HeaderName::from_bytes(name.as_bytes()).unwrap()))
        }
        FieldRemoval::Field(GatewayFieldLocation::Query(_)) => path = path.split('?').next().unwrap().to_owned(),
        FieldRemoval::Part(_) | FieldRemoval::Nothing => {}
    }
    let request = shared.client.request(parts.method, format!("{}{path}", shared.upstream)).headers(headers);
    let request = if body.is_null() { request } else { request.body(body.to_string()) };
    let Ok(response) = request.send().await else { return respond_to_abort(&shared.removal) };
    respond(&shared.removal, response).await
}

/// The response if the upstream aborts: an error, unless the removal is about failures.
fn respond_to_abort(removal: &FieldRemoval) -> Response {
    let hides = matches!(removal, FieldRemoval::Part(part) if part.sign == Some(ClientSignal::Failure));
    let text = if hides { MESSAGE } else { r#"{"type":"error","error":{"type":"api_error","message":"broken"}}"# };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = if hides { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;

async fn respond(removal: &FieldRemoval, response: reqwest::Response) -> Response {
    let mut status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let mut headers = response.headers().clone();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    let is_stream = headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/event-stream");
    let Ok(bytes) = response.bytes().await else { return respond_to_abort(removal) };
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    if let FieldRemoval::Part(part) = removal {
        if let Some(name) = &part.header {
            headers.remove(HeaderName::from_bytes(name.as_bytes()).unwrap());
        }
        if part.status.is_some() {
            status = StatusCode::IM_A_TEAPOT;
        }
        if part.sign == Some(ClientSignal::Failure) {
            return respond_to_abort(removal);
        }
        text = if is_stream { edit_stream(part, &text) } else { edit_body(part, &text) };
    }
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn edit_body(part: &GatewayExpectation, text: &str) -> String {
    let mut body: Value = serde_json::from_str(text).unwrap();
    if let Some(path) = &part.at {
        remove_path(&mut body, path.segments());
    }
    body.to_string()
}

/// The events without the named part.
fn edit_stream(part: &GatewayExpectation, text: &str) -> String {
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
        keys.iter().for_each(|key| remove_key(&mut event, key));
        Some(format!("event: {name}\ndata: {event}\n\n"))
    });
    records.collect()
}

/// Removes a key at any depth.
fn remove_key(value: &mut Value, key: &str) {
    match value {
        Value::Object(map) => {
            map.remove(key);
            map.values_mut().for_each(|below| remove_key(below, key));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| remove_key(item, key)),
        _ => {}
    }
}

struct NoListener;

impl GatewayEventListener for NoListener {
    fn on_event(&mut self, _: GatewayEvent<'_>) {}
}

/// The gateway verdict of one row behind a gateway with this removal.
async fn judge_row(catalog: &Catalog, row: &GatewayRow, removal: FieldRemoval) -> GatewayVerdictKind {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let shared = Shared {
        removal,
        upstream: format!("http://{}", socket.local_addr().unwrap()),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let via = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(handle).with_state(Arc::new(shared));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let started = Instant::now();
    let mut config = ClientConfig::new(&via, AuthScheme::XApiKey);
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
    let finished = gateway::run(&client, socket, &[row], &options, &mut NoListener, std::future::pending()).await;
    server.abort();
    let recording = GatewayRecording {
        header: GatewayHeader {
            schema: SCHEMA.to_owned(),
            name: "g".to_owned(),
            via,
            upstream: "http://127.0.0.1:1".to_owned(),
            shape: ApiDialect::Anthropic,
            model: "m".to_owned(),
            auth: AuthScheme::XApiKey,
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
        GatewayRowSubject::Request { .. } => Some((row, FieldRemoval::Field(row.field_location().unwrap()))),
        GatewayRowSubject::Response { expectation, .. } => {
            Some((row, FieldRemoval::Part(Box::new(expectation.clone()))))
        }
        // The tests with small gateways prove the behaviour rows.
        GatewayRowSubject::Behaviour(_) => None,
    });
    let failures: Vec<String> = iter(about)
        .map(|(row, removal)| async move {
            let with = judge_row(catalog, row, FieldRemoval::Nothing);
            let without = judge_row(catalog, row, removal);
            let (with, without) = (with.await, without.await);
            let is_proven = match row.subject(ApiDialect::Anthropic) {
                // This gateway buffers every response.
                GatewayRowSubject::Response { expectation, .. } if expectation.sign == Some(ClientSignal::Pace) => {
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
