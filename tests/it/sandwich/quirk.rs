//! Gateways with one fault each.

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::{iter, once, unfold};
use serde_json::{Value, json};

use super::{
    ClientRequest, CompleteResponse, Shape, Shared, error, event_stream, forward, forwarded_headers, gzip, is_stream,
    json_response, pass_through, records, sleep_ms, to_response, translate,
};

/// The fault of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayQuirk {
    /// No fault.
    None,
    /// Removes `top_k`.
    DropsTopK,
    /// Renames `stop_sequences` to `stop`.
    RenamesStop,
    /// Reduces `max_tokens` to 600.
    ClampsMaxTokens,
    /// Rejects `thinking`.
    RefusesThinking,
    /// Rejects every request except the first.
    RefusesAll,
    /// Sets `temperature`, and overwrites the value of the request.
    AddsDefaults,
    /// Always sends `stream: true` to the upstream.
    AlwaysStreams,
    /// Never calls the upstream.
    NeverAsks,
    /// Sends each request twice.
    AsksTwice,
    /// Sends each request twice, once without `top_p`.
    AsksTwiceDifferently,
    /// Retries failed upstream calls twice.
    Retries,
    /// Swaps the responses of concurrent requests.
    Swaps,
    /// Merges the deltas of a stream.
    MergesPieces,
    /// Splits each delta of text into two.
    SplitsPieces,
    /// Buffers streams until they are complete.
    Buffers,
    /// Keeps the connection of a stream open after its end.
    KeepsOpen,
    /// Compresses responses although the client does not accept it.
    GzipToClient,
    /// Compresses requests.
    GzipToUpstream,
    /// Returns its own response, and calls the upstream after that.
    AnswersFirst,
    /// Breaks every connection after this number of requests.
    DiesAfter(usize),
    /// Hangs after this number of requests.
    HangsAfter(usize),
    /// Aborts streams.
    BreaksStreams,
    /// Ends a stream cleanly when the upstream aborts it.
    HidesBreaks,
    /// Removes headers, in both directions.
    StripsHeaders,
    /// Forwards the credential of the client.
    LeaksKey,
    /// Replaces the messages of the request.
    RewritesQuestion,
    /// Requests the list of models from time to time.
    HealthChecks,
    /// Turns every error into a 500 of its own.
    FlattensErrors,
    /// Removes blocks other than text from responses.
    DropsUnknownBlocks,
    /// Removes `tool_use_id` from tool results.
    LosesToolUseId,
    /// Appends a word to the text of every block.
    EditsTexts,
    /// Sends a copy of each request to `/v1/moderations`.
    Moderates,
    /// Sends its own credential to its clients.
    TellsKey,
    /// Returns 502 for every response of the upstream.
    FailsAll,
    /// Returns a complete JSON response instead of a stream.
    WholeForStream,
    /// Chat completions: drops, renames and overwrites fields.
    WrongTranslation,
}

/// Responds to a request.
pub async fn respond(shared: &std::sync::Arc<Shared>, number: usize, mut request: ClientRequest) -> Response {
    if let GatewayQuirk::DiesAfter(most) = shared.quirk
        && number >= most
    {
        // A panic of the handler breaks the connection without a response.
        panic!("dead");
    }
    if let GatewayQuirk::HangsAfter(most) = shared.quirk
        && number >= most
    {
        std::future::pending::<()>().await;
    }
    if shared.shape == Shape::Openai {
        return translate::respond(shared, request).await;
    }
    if let Some(response) = edit_request(shared, number, &mut request).await {
        return response;
    }
    let mut tries = if shared.quirk == GatewayQuirk::Retries { 3 } else { 1 };
    let response = loop {
        tries -= 1;
        match forward(shared, &request).await {
            Ok(response) if response.status().as_u16() < 429 || tries == 0 => break response,
            Err(_) if tries == 0 => return error(502, "api_error", "the upstream aborted"),
            Ok(_) | Err(_) => {}
        }
    };
    if is_stream(&response) { stream(shared.quirk, response) } else { respond_complete(shared, response).await }
}

fn own_message() -> Value {
    json!({
        "id": "msg_own", "type": "message", "role": "assistant", "model": "m", "content": [{ "type": "text", "text": "Hello." }],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": { "input_tokens": 3, "output_tokens": 2 },
    })
}

/// Edits a request before it is forwarded. Returns a response if it is not forwarded.
async fn edit_request(shared: &std::sync::Arc<Shared>, number: usize, request: &mut ClientRequest) -> Option<Response> {
    let body = request.body.as_object_mut();
    match (shared.quirk, body) {
        (GatewayQuirk::DropsTopK, Some(body)) => drop(body.remove("top_k")),
        (GatewayQuirk::RenamesStop, Some(body)) => {
            if let Some(stop) = body.remove("stop_sequences") {
                body.insert("stop".to_owned(), stop);
            }
        }
        (GatewayQuirk::ClampsMaxTokens, Some(body)) if body.get("max_tokens").and_then(Value::as_u64) > Some(600) => {
            body.insert("max_tokens".to_owned(), json!(600));
        }
        (GatewayQuirk::RefusesThinking, Some(body)) if body.contains_key("thinking") => {
            return Some(error(400, "invalid_request_error", "thinking: not here"));
        }
        (GatewayQuirk::RefusesAll, _) if number > 0 => return Some(error(400, "invalid_request_error", "no")),
        (GatewayQuirk::AddsDefaults, Some(body)) => drop(body.insert("temperature".to_owned(), json!(1.0))),
        (GatewayQuirk::AlwaysStreams, Some(body)) => drop(body.insert("stream".to_owned(), json!(true))),
        (GatewayQuirk::NeverAsks, _) => return Some(json_response(200, &own_message())),
        (GatewayQuirk::AsksTwice, _) => drop(forward(shared, request).await),
        (GatewayQuirk::AsksTwiceDifferently, Some(_)) => {
            let mut other = request.clone();
            other.body.as_object_mut().unwrap().remove("top_p");
            drop(forward(shared, &other).await);
        }
        (GatewayQuirk::AnswersFirst, _) => {
            let (shared, request) = (shared.clone(), request.clone());
            tokio::spawn(async move {
                sleep_ms(60).await;
                let _ = forward(&shared, &request).await;
            });
            return Some(json_response(200, &own_message()));
        }
        (GatewayQuirk::LosesToolUseId | GatewayQuirk::EditsTexts, Some(body)) => {
            let messages = body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
            for block in messages.filter_map(|message| message["content"].as_array_mut()).flatten() {
                match (shared.quirk, block["text"].as_str()) {
                    (GatewayQuirk::LosesToolUseId, _) => drop(block.as_object_mut().unwrap().remove("tool_use_id")),
                    (_, Some(text)) => block["text"] = json!(format!("{text} (edited)")),
                    (_, None) => {}
                }
            }
        }
        (GatewayQuirk::Moderates, _) => {
            let copy = shared.client.post(format!("{}/v1/moderations", shared.upstream)).json(&request.body);
            let _ = copy.send().await;
        }
        (GatewayQuirk::WholeForStream, Some(body)) => drop(body.remove("stream")),
        (GatewayQuirk::StripsHeaders, _) => {
            for name in ["anthropic-beta", "anthropic-version", "x-fieldtest-marker"] {
                request.headers.remove(name);
            }
        }
        (GatewayQuirk::RewritesQuestion, Some(body)) => {
            if let Some(messages) = body.get_mut("messages") {
                *messages = json!([{ "role": "user", "content": "Hello." }]);
            }
        }
        (GatewayQuirk::HealthChecks, _) if number.is_multiple_of(10) => {
            let _ = shared.client.get(format!("{}/v1/models", shared.upstream)).send().await;
        }
        _ => {}
    }
    None
}

async fn respond_complete(shared: &std::sync::Arc<Shared>, response: reqwest::Response) -> Response {
    let mut got = read(response).await;
    match shared.quirk {
        GatewayQuirk::Swaps => got = swap_response(shared, got).await,
        GatewayQuirk::GzipToClient => {
            got.body = gzip(&got.body).into();
            got.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        GatewayQuirk::StripsHeaders => got.headers.retain_json(),
        GatewayQuirk::FailsAll => return error(502, "api_error", "bad gateway"),
        GatewayQuirk::TellsKey => {
            let mut body: Value = serde_json::from_slice(&got.body).unwrap_or_default();
            if let Some(body) = body.as_object_mut() {
                body.insert("debug".to_owned(), json!(format!("upstream key {}", super::UPSTREAM_KEY)));
            }
            got.body = body.to_string().into();
            got.headers.insert("x-debug", HeaderValue::from_str(super::UPSTREAM_KEY).unwrap());
        }
        GatewayQuirk::FlattensErrors if got.status.as_u16() >= 400 => {
            return error(500, "api_error", "something went wrong");
        }
        GatewayQuirk::DropsUnknownBlocks => {
            let mut body: Value = serde_json::from_slice(&got.body).unwrap_or_default();
            if let Some(content) = body["content"].as_array_mut() {
                content.retain(|block| block["type"] == "text");
                got.body = body.to_string().into();
            }
        }
        _ => {}
    }
    to_response(got)
}

trait RetainJson {
    fn retain_json(&mut self);
}

impl RetainJson for axum::http::HeaderMap {
    fn retain_json(&mut self) {
        let kind = self.get(header::CONTENT_TYPE).cloned();
        self.clear();
        self.extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    }
}

async fn read(response: reqwest::Response) -> CompleteResponse {
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let headers = forwarded_headers(response.headers());
    match response.bytes().await {
        Ok(body) => CompleteResponse { status, headers, body },
        Err(_) => CompleteResponse { status: StatusCode::BAD_GATEWAY, headers, body: Bytes::from_static(b"{}") },
    }
}

/// Swaps the responses of two concurrent requests.
async fn swap_response(shared: &Shared, own: CompleteResponse) -> CompleteResponse {
    let (send, receive) = tokio::sync::oneshot::channel();
    let waiting = {
        let mut slot = shared.swap.lock().await;
        match slot.take() {
            Some(other) => Some(other),
            None => {
                *slot = Some(send);
                shared.swapped.lock().await.push(own.clone());
                None
            }
        }
    };
    match waiting {
        Some(other) => {
            let theirs = shared.swapped.lock().await.pop();
            match (other.send(own.clone()), theirs) {
                (Ok(()), Some(theirs)) => theirs,
                _ => own,
            }
        }
        None => match tokio::time::timeout(std::time::Duration::from_millis(40), receive).await {
            Ok(Ok(theirs)) => theirs,
            _ => {
                shared.swap.lock().await.take();
                own
            }
        },
    }
}

fn stream(quirk: GatewayQuirk, response: reqwest::Response) -> Response {
    match quirk {
        GatewayQuirk::FailsAll => error(502, "api_error", "bad gateway"),
        GatewayQuirk::Buffers => {
            let all = async move {
                let mut all = String::new();
                let mut records = Box::pin(records(response));
                while let Some(record) = records.next().await {
                    all.push_str(&record?);
                }
                Ok::<_, reqwest::Error>(all)
            };
            event_stream(once(all))
        }
        GatewayQuirk::KeepsOpen => {
            let open = once(async {
                sleep_ms(60_000).await;
                Ok(String::new())
            });
            event_stream(records(response).chain(open))
        }
        GatewayQuirk::BreaksStreams => {
            let broken = once(async { Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) });
            event_stream(records(response).take(4).map(|record| record.map_err(std::io::Error::other)).chain(broken))
        }
        GatewayQuirk::HidesBreaks => event_stream(hide_abort(records(response))),
        GatewayQuirk::MergesPieces => event_stream(
            records(response)
                .ready_chunks(64)
                .then(|some| async move { some.into_iter().collect::<Result<Vec<_>, _>>().map(|some| some.concat()) })
                .scan(String::new(), |held, piece| {
                    let merged = piece.map(|piece| merge(held, &piece));
                    std::future::ready(Some(merged))
                }),
        ),
        GatewayQuirk::SplitsPieces => event_stream(records(response).map(|record| record.map(|record| split(&record)))),
        _ => pass_through(response),
    }
}

/// Holds deltas of text, and sends them as one before the block ends.
fn merge(held: &mut String, records: &str) -> String {
    let mut out = String::new();
    for record in records.split_inclusive("\n\n") {
        let data = record.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or("{}");
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        if event["delta"]["type"] == "text_delta" {
            held.push_str(event["delta"]["text"].as_str().unwrap());
            continue;
        }
        if !held.is_empty() && event["type"] == "content_block_stop" {
            let delta = json!({ "type": "text_delta", "text": std::mem::take(held) });
            let data = json!({ "type": "content_block_delta", "index": event["index"], "delta": delta });
            out.push_str(&format!("event: content_block_delta\ndata: {data}\n\n"));
        }
        out.push_str(record);
    }
    out
}

fn split(record: &str) -> String {
    let data = record.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or("{}");
    let event: Value = serde_json::from_str(data).unwrap_or_default();
    let Some(text) = event["delta"]["text"].as_str().filter(|text| text.chars().count() > 1) else {
        return record.to_owned();
    };
    let middle = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
    let part = |text: &str| {
        let delta = json!({ "type": "text_delta", "text": text });
        let data = json!({ "type": "content_block_delta", "index": event["index"], "delta": delta });
        format!("event: content_block_delta\ndata: {data}\n\n")
    };
    format!("{}{}", part(&text[..middle]), part(&text[middle..]))
}

/// Replaces the abort of a stream by a clean end.
fn hide_abort(
    records: impl futures_util::Stream<Item = Result<String, reqwest::Error>> + Send + 'static,
) -> impl futures_util::Stream<Item = Result<String, reqwest::Error>> + Send {
    let end = [
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    let state = (Box::pin(records), false);
    unfold(state, move |(mut records, over)| async move {
        if over {
            return None;
        }
        match records.next().await? {
            Ok(record) => Some((iter(vec![Ok(record)]), (records, false))),
            Err(_) => Some((iter(end.iter().map(|part| Ok((*part).to_owned())).collect::<Vec<_>>()), (records, true))),
        }
    })
    .flatten()
}
