//! What both sides of a run share: which answer belongs to which label, and every call that came.
//!
//! The client's side writes scripts, the upstream's side reads them; a label is all that goes between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;

use crate::catalog::ApiDialect;
use crate::gateway::upstream::credentials::{find_in_header, find_in_query, is_secret_name, redact_query};
use crate::gateway::upstream::script::ResponseScript;
use crate::recording::gateway::{ServedResponse, ServedResponseEnd, UpstreamCall};
use crate::redact::SecretRedactor;
use crate::variables::correlation_values::{LABEL_PREFIX, find_labels};
use crate::wire::exchange::{AttemptResult, BodyBytes, Exchange};

/// How long the upstream waits for a crowd to be complete.
const BATCH_FILL_TIMEOUT: Duration = Duration::from_millis(1500);
/// The rest between two answers to a crowd.
const BATCH_RESPONSE_INTERVAL: Duration = Duration::from_millis(15);

/// What the client sends as a credential when it has none.
pub(super) const PLACEHOLDER_CREDENTIAL: &str = crate::client::PLACEHOLDER_CREDENTIAL;

/// What stands in the place of the upstream's credential where a gateway tells it to its client.
pub(super) const UPSTREAM_CREDENTIAL: &str = "<the upstream's credential>";

/// What stands in the place of the client's credential where a gateway passes it on.
const CLIENT_CREDENTIAL: &str = "<the client's credential>";

/// What both sides share.
#[derive(Debug)]
pub(super) struct CallCorrelator {
    /// The API that the upstream speaks.
    pub shape: ApiDialect,
    started_at: Instant,
    client_secret: SecretString,
    /// Finds the client's credential however the gateway passes it on.
    redactor: SecretRedactor,
    state: Mutex<CorrelatorState>,
}

#[derive(Debug, Default)]
struct CorrelatorState {
    scripts: HashMap<String, Arc<ScriptedResponse>>,
    calls: Vec<UpstreamCall>,
    /// The credentials that the gateway showed to its upstream.
    upstream_credentials: Vec<SecretString>,
}

/// An answer for a label.
#[derive(Debug, Default)]
pub(super) struct ScriptedResponse {
    /// What is answered.
    pub script: ResponseScript,
    /// Who else must have asked before it is.
    pub batch: Option<Arc<ConcurrentBatch>>,
}

/// Requests that are answered together, the last one first.
#[derive(Debug)]
pub(super) struct ConcurrentBatch {
    size: usize,
    arrived: Mutex<usize>,
    all_arrived: Notify,
}

impl ConcurrentBatch {
    /// A crowd of so many.
    pub(super) fn new(size: usize) -> Self {
        Self { size, arrived: Mutex::new(0), all_arrived: Notify::new() }
    }

    /// Waits until all have come, or for a while; then until it is one's turn.
    pub(super) async fn wait_for_turn(&self) {
        let complete = self.all_arrived.notified();
        let place = {
            let mut come = lock(&self.arrived);
            *come += 1;
            *come
        };
        if place >= self.size {
            self.all_arrived.notify_waiters();
        } else {
            // Who serves one after the other never has them all at once; that is no harm.
            let _ = tokio::time::timeout(BATCH_FILL_TIMEOUT, complete).await;
        }
        tokio::time::sleep(BATCH_RESPONSE_INTERVAL * u32::try_from(self.size.saturating_sub(place)).unwrap_or(0)).await;
    }
}

/// A request as it reached the upstream.
pub(super) struct IncomingCall {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked.
    pub body: Vec<u8>,
    /// How it was packed.
    pub content_encoding: Option<String>,
}

impl CallCorrelator {
    /// A board for one run.
    pub(super) fn new(
        shape: ApiDialect,
        started: Instant,
        secret: Option<SecretString>,
        others: &[SecretString],
    ) -> Self {
        let secret = secret.unwrap_or_else(|| PLACEHOLDER_CREDENTIAL.to_owned().into());
        let mask = SecretRedactor::new(Some(&secret), others);
        Self { shape, started_at: started, client_secret: secret, redactor: mask, state: Mutex::default() }
    }

    /// Says what is answered to a label.
    pub(super) fn register(&self, label: &str, posted: ScriptedResponse) {
        lock(&self.state).scripts.insert(label.to_owned(), Arc::new(posted));
    }

    /// Milliseconds from the start of the run.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a call; its number, and what is answered to it. A call without a known label is the gateway's own.
    pub(super) fn begin_call(&self, incoming: IncomingCall) -> (usize, Option<Arc<ScriptedResponse>>) {
        let IncomingCall { method, path, headers, body, content_encoding: packed } = incoming;
        let at_ms = self.now_ms();
        let text = String::from_utf8_lossy(&body);
        let mut inner = lock(&self.state);
        let mut labels: Vec<String> = Vec::new();
        for label in find_labels(&path, LABEL_PREFIX).chain(find_labels(&text, LABEL_PREFIX)) {
            if inner.scripts.contains_key(label) && !labels.iter().any(|l| l == label) {
                labels.push(label.to_owned());
            }
        }
        let posted = labels.last().and_then(|label| inner.scripts.get(label).cloned());
        let secret = self.client_secret.expose_secret();
        let mut leaks: Vec<String> =
            headers.iter().filter(|(_, value)| matches_secret(value, secret)).map(|(name, _)| name.clone()).collect();
        if is_redactable(secret) && text.contains(secret) {
            leaks.push("body".to_owned());
        }
        if is_redactable(secret) && path.contains(secret) {
            leaks.push("path".to_owned());
        }
        let has_credential =
            headers.iter().any(|(name, _)| ["authorization", "x-api-key", "api-key"].contains(&name.as_str()));
        for shown in headers.iter().flat_map(|(name, value)| find_in_header(name, value)).chain(find_in_query(&path)) {
            if is_redactable(&shown)
                && !matches_secret(&shown, secret)
                && !inner.upstream_credentials.iter().any(|known| known.expose_secret() == shown)
            {
                inner.upstream_credentials.push(shown.into());
            }
        }
        let masked = |text: &str| {
            self.redactor.redact_known(if is_redactable(secret) {
                text.replace(secret, CLIENT_CREDENTIAL)
            } else {
                text.to_owned()
            })
        };
        let headers = headers
            .into_iter()
            .map(|(name, value)| {
                let value = match (matches_secret(&value, secret), is_secret_name(&name)) {
                    (true, _) => CLIENT_CREDENTIAL.to_owned(),
                    (false, true) => "<credential>".to_owned(),
                    (false, false) => masked(&value),
                };
                (masked(&name), value)
            })
            .collect();
        let number = inner.calls.len();
        inner.calls.push(UpstreamCall {
            number: number as u64 + 1,
            at_ms,
            method,
            path: masked(&redact_query(&path)),
            headers,
            body: BodyBytes(if is_redactable(secret) { masked(&text).into_bytes() } else { body.clone() }),
            packed,
            labels,
            leaks,
            has_credential,
            answered: ServedResponse::default(),
        });
        (number, posted)
    }

    /// An exchange without the credentials that the gateway showed to its upstream.
    pub(super) fn redact_exchange(&self, mut exchange: Exchange) -> Exchange {
        let known = lock(&self.state).upstream_credentials.clone();
        if known.is_empty() {
            return exchange;
        }
        let mask = SecretRedactor::new(None, &known);
        let plain =
            |text: String| known.iter().fold(text, |text, key| text.replace(key.expose_secret(), UPSTREAM_CREDENTIAL));
        for attempt in &mut exchange.attempts {
            let AttemptResult::Response(response) = &mut attempt.result else { continue };
            for text in response.headers.iter_mut().flat_map(|(name, value)| [name, value]) {
                *text = mask.redact_text(plain(std::mem::take(text)));
            }
            let body = std::mem::take(&mut response.body.0);
            let body = match String::from_utf8(body) {
                Ok(text) => plain(text).into_bytes(),
                Err(bytes) => bytes.into_bytes(),
            };
            response.body.0 = mask.redact_body(body, &mut response.arrivals, response.cut.is_some());
        }
        exchange
    }

    /// Changes what is noted of the answer to a call.
    pub(super) fn update_call(&self, number: usize, change: impl FnOnce(&mut ServedResponse)) {
        if let Some(call) = lock(&self.state).calls.get_mut(number) {
            change(&mut call.answered);
        }
    }

    /// The calls from a number on whose answers are over, as far as none before them is open.
    pub(super) fn finished_calls_from(&self, from: usize) -> Vec<UpstreamCall> {
        let inner = lock(&self.state);
        let rest = inner.calls.get(from..).unwrap_or_default();
        rest.iter().take_while(|call| call.answered.ended != ServedResponseEnd::Open).cloned().collect()
    }

    /// True where a call with this label has come.
    pub(super) fn was_called(&self, label: &str) -> bool {
        lock(&self.state).calls.iter().any(|call| call.labels.iter().any(|known| known == label))
    }

    /// Every reply word that stands in an answer to somebody.
    pub(super) fn replies(&self) -> Vec<String> {
        lock(&self.state).scripts.values().map(|posted| posted.script.reply.clone()).collect()
    }

    /// All calls, from a number on.
    pub(super) fn calls_from(&self, from: usize) -> Vec<UpstreamCall> {
        lock(&self.state).calls.get(from..).unwrap_or_default().to_vec()
    }
}

/// Shorter ones are words like `test`, which protect nothing and stand in texts by chance.
fn is_redactable(secret: &str) -> bool {
    secret.len() >= 8
}

fn matches_secret(value: &str, secret: &str) -> bool {
    let bare = match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => value,
    };
    bare == secret || (is_redactable(secret) && value.contains(secret))
}

/// A lock that a panic elsewhere does not take away: what is behind it is changed in single steps.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::correlation_values::generate_values;

    fn incoming_call(path: &str, headers: &[(&str, &str)], body: &str) -> IncomingCall {
        IncomingCall {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
            content_encoding: None,
        }
    }

    #[test]
    fn no_credential_stands_in_a_call_and_the_clients_is_told() {
        let board =
            CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
        let headers =
            [("authorization", "Bearer sk-client-secret"), ("x-goog-api-key", "sk-upstream"), ("accept", "*/*")];
        board.begin_call(incoming_call("/v1/messages?key=abc&beta=true", &headers, r#"{"key":"sk-client-secret"}"#));
        let call = board.calls_from(0).remove(0);
        let text = serde_json::to_string(&call).unwrap();
        assert!(!text.contains("sk-client") && !text.contains("sk-upstream") && !text.contains("abc"), "{text}");
        assert_eq!(call.leaks, ["authorization", "body"]);
        assert_eq!(call.path, "/v1/messages?key=<credential>&beta=true");
        assert!(call.has_credential);
    }

    /// What is left of a text that the gateway tells its client.
    fn redacted_attempts(board: &CallCorrelator, text: &str) -> String {
        let exchange = serde_json::json!({
            "id": "a",
            "request": { "path": "/v1/messages", "headers": {}, "credential": "target", "body": null },
            "attempts": [{ "started_ms": 0, "duration_ms": 0, "response": {
                "status": 200, "headers": [["x-told", text]], "body": { "text": text }
            } }],
        });
        let masked = board.redact_exchange(serde_json::from_value(exchange).unwrap());
        serde_json::to_string(&masked.attempts).unwrap()
    }

    #[test]
    fn the_upstreams_key_is_learned_however_the_gateway_shows_it() {
        // `me:uP7key-canary` and `uP7key-canary:`.
        let (basic, alone) = ("Basic bWU6dVA3a2V5LWNhbmFyeQ==", "basic dVA3a2V5LWNhbmFyeTo");
        for (name, value) in [
            ("authorization", "Bearer uP7key-canary"),
            ("authorization", "bearer uP7key-canary"),
            ("authorization", "BEARER   uP7key-canary "),
            ("authorization", "Token uP7key-canary"),
            ("authorization", "uP7key-canary"),
            ("authorization", basic),
            ("authorization", alone),
            ("proxy-authorization", basic),
            ("api-key", "uP7key-canary"),
            ("x-goog-api-key", "uP7key-canary"),
            ("x-amz-security-token", "uP7key-canary"),
            ("cookie", "theme=dark; session=uP7key-canary; a"),
            ("", "/v1/messages?key=uP7key-canary&beta=true"),
            ("", "/v1/messages?beta=true&api_key=uP7key%2Dcanary"),
            ("", "/v1/messages?Access-Token=uP7key-canary"),
        ] {
            let board = CallCorrelator::new(
                ApiDialect::Anthropic,
                Instant::now(),
                Some("sk-client-secret".to_owned().into()),
                &[],
            );
            let text = "the key uP7key-canary is wrong, says beta=true, me, dark";
            assert!(redacted_attempts(&board, text).contains("uP7key-canary"), "nobody knows it yet");
            match name {
                "" => board.begin_call(incoming_call(value, &[], "")),
                name => board.begin_call(incoming_call("/v1/messages", &[(name, value)], "")),
            };
            let told = redacted_attempts(&board, text);
            assert!(!told.contains("canary") && told.contains("the upstream's credential"), "{name}: {value}: {told}");
            assert!(told.contains("is wrong, says beta=true, me, dark"), "the rest is left: {told}");
            assert!(!serde_json::to_string(&board.calls_from(0)).unwrap().contains("uP7key"), "{name}: {value}");
        }
    }

    #[test]
    fn the_clients_own_key_is_none_of_the_upstreams() {
        let board =
            CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
        board.begin_call(incoming_call(
            "/v1/messages?key=sk-client-secret",
            &[("authorization", "bearer sk-client-secret")],
            "",
        ));
        assert_eq!(board.calls_from(0).remove(0).leaks, ["authorization", "path"]);
        assert!(
            redacted_attempts(&board, "sk-client-secret").contains("sk-client-secret"),
            "the client's side takes it out"
        );
    }

    #[test]
    fn only_known_labels_belong_to_a_request() {
        let board = CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), None, &[]);
        let [one, other] = ["a", "b"].map(|purpose| generate_values(1, purpose, "m")["label"].clone());
        board.register(&one, ScriptedResponse::default());
        let (_, known) = board.begin_call(incoming_call("/v1/messages", &[], &format!("{{\"a\":\"Ticket {one}.\"}}")));
        let (_, unknown) = board.begin_call(incoming_call("/v1/messages", &[], &format!("Ticket {other}")));
        assert!(known.is_some() && unknown.is_none());
        let labels: Vec<Vec<String>> = board.calls_from(0).into_iter().map(|call| call.labels).collect();
        assert_eq!(labels, [vec![one], Vec::new()]);
    }
}
