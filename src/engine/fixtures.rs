//! Exchanges and recordings for tests of the engine.

use serde_json::{Value, json};

use crate::recording::request_settings::RequestSettings;
use crate::recording::run::{ArmKind, Recording, RunHeader, SCHEMA, TrialKey, TrialRecord};
use crate::recording::scope::RunScope;
use crate::wire::exchange::{
    AttemptResult, BodyBytes, Exchange, ExchangeAttempt, HttpMethod, Request, RequestCredential, Response,
};

/// The tested model.
pub const MODEL: &str = "some-model";

/// An exchange of one attempt, from `started_ms` to 10 ms later.
pub fn exchange(id: &str, started_ms: u64, result: AttemptResult) -> Exchange {
    let request = Request {
        method: HttpMethod::Post,
        path: "/v1/messages".to_owned(),
        headers: Default::default(),
        credential: RequestCredential::Target,
        body: json!({ "model": MODEL }),
        raw: None,
    };
    let attempts = vec![ExchangeAttempt { started_ms, duration_ms: 10, result }];
    Exchange { id: id.to_owned(), request, attempts }
}

/// A JSON response.
pub fn response(status: u16, body: &Value) -> AttemptResult {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let body = BodyBytes(body.to_string().into_bytes());
    AttemptResult::Response(Response { status, headers, body, arrivals: Vec::new(), cut: None })
}

/// A message.
pub fn message() -> AttemptResult {
    let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
    let content = json!([{ "type": "text", "text": "hello" }]);
    response(200, &json!({ "type": "message", "role": "assistant", "content": content, "usage": usage }))
}

/// An error.
pub fn error_response(status: u16, message: &str) -> AttemptResult {
    let error = json!({ "type": "invalid_request_error", "message": message });
    response(status, &json!({ "type": "error", "error": error }))
}

/// The recording of a killed run, with a trial for each exchange of a row.
pub fn recording(exchanges: Vec<Exchange>) -> Recording {
    let settings = RequestSettings { model: MODEL.to_owned(), ..RequestSettings::neutral() };
    let header = RunHeader {
        schema: SCHEMA.to_owned(),
        name: "target".to_owned(),
        base_url: "http://127.0.0.1:1".to_owned(),
        simulated: false,
        claims: None,
        settings,
        rows: Vec::new(),
        confidence: 0.99,
        seed: 1,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        scope: RunScope::default(),
    };
    let trial = |exchange: &Exchange| TrialRecord {
        key: TrialKey {
            row: exchange.id.split('/').next().unwrap_or_default().to_owned(),
            variant: None,
            arm: ArmKind::Treatment,
            trial: 1,
        },
        exchanges: vec![exchange.id.clone()],
        values: Default::default(),
    };
    let trials = exchanges.iter().map(trial).collect();
    Recording { exchanges, trials, ..Recording::new(header) }
}
