//! [`CallCorrelator`]: the state that both sides of a run share.
//!
//! The client's side registers a response for each label. The upstream's side looks up the label of
//! a call and records the call. The label is the only link between the two sides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use crate::catalog::ApiDialect;
use crate::client::PLACEHOLDER_CREDENTIAL;
use crate::gateway::concurrent_batch::ConcurrentBatch;
use crate::gateway::upstream::credentials::{
    UpstreamCredentials, find_in_header, find_in_query, is_secret_name, redact_query,
};
use crate::gateway::upstream::script::ResponseScript;
use crate::recording::gateway::{ServedResponse, UpstreamCall};
use crate::redact::SecretRedactor;
use crate::variables::correlation_values::{LABEL_PREFIX, find_labels};
use crate::wire::exchange::{AttemptResult, BodyBytes, Exchange};

/// The maximum number of calls of a run, and of the bytes of its calls and trials. A gateway that
/// retries each request makes far fewer.
const MAX_CALLS: usize = 10_000;
const MAX_RECORDED_BYTES: usize = 32 << 20;

/// Shorter credentials are words like `test`: not secret, and in texts by chance.
const MIN_CREDENTIAL_BYTES: usize = 8;

/// Replaces the upstream's credential in responses of the gateway to its client.
pub(super) const UPSTREAM_CREDENTIAL: &str = "<the upstream's credential>";

/// Replaces the client's credential in calls of the gateway to its upstream.
const CLIENT_CREDENTIAL: &str = "<the client's credential>";

/// The state that both sides of a run share.
#[derive(Debug)]
pub(super) struct CallCorrelator {
    /// The API that the upstream speaks.
    pub dialect: ApiDialect,
    started_at: Instant,
    client_credential: SecretString,
    /// Finds encodings of the client's credential.
    redactor: SecretRedactor,
    state: Mutex<CorrelatorState>,
    /// True once the gateway has sent more than a run records.
    is_overloaded: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct CorrelatorState {
    responses: HashMap<String, Arc<ScriptedResponse>>,
    calls: Vec<UpstreamCall>,
    /// The bytes of all calls and trials.
    recorded_bytes: usize,
    upstream_credentials: UpstreamCredentials,
}

impl CorrelatorState {
    /// True if this many more bytes may be recorded.
    fn has_room_for(&mut self, bytes: usize) -> bool {
        self.recorded_bytes = self.recorded_bytes.saturating_add(bytes);
        self.recorded_bytes <= MAX_RECORDED_BYTES && self.calls.len() < MAX_CALLS
    }
}

/// The response for a label.
#[derive(Debug, Default)]
pub(super) struct ScriptedResponse {
    /// What the upstream returns.
    pub script: ResponseScript,
    /// The batch that must be complete before the upstream responds.
    pub batch: Option<Arc<ConcurrentBatch>>,
}

/// A request as it arrived at the upstream.
pub(super) struct IncomingCall {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The decompressed body.
    pub body: Vec<u8>,
    /// The original encoding of the body.
    pub content_encoding: Option<String>,
}

impl IncomingCall {
    fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<UpstreamCall>() + self.path.len() + headers + self.body.len()
    }
}

impl CallCorrelator {
    /// The state of a new run. `client_secret` is the client's credential, if it has one.
    pub(super) fn new(
        dialect: ApiDialect,
        started_at: Instant,
        client_secret: Option<SecretString>,
        other_secrets: &[SecretString],
    ) -> Self {
        let client_credential = client_secret.unwrap_or_else(|| PLACEHOLDER_CREDENTIAL.to_owned().into());
        let redactor = SecretRedactor::new(Some(&client_credential), other_secrets);
        Self {
            dialect,
            started_at,
            client_credential,
            redactor,
            state: Mutex::default(),
            is_overloaded: watch::Sender::default(),
        }
    }

    /// Sets the response for a label.
    pub(super) fn register(&self, label: &str, response: ScriptedResponse) {
        lock(&self.state).responses.insert(label.to_owned(), Arc::new(response));
    }

    /// Milliseconds since the start of the run.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until the gateway has sent more than a run records.
    pub(super) async fn wait_until_overloaded(&self) {
        // The sender exists as long as `self`, so this does not fail.
        let _ = self.is_overloaded.subscribe().wait_for(|is_overloaded| *is_overloaded).await;
    }

    /// True if a trial of this size may be recorded.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        let has_room = !*self.is_overloaded.borrow() && lock(&self.state).has_room_for(bytes);
        if !has_room {
            self.is_overloaded.send_replace(true);
        }
        has_room
    }

    /// Records a call. Returns its number and the response for its label. A call without a
    /// registered label was initiated by the gateway itself. `None` if there is no room for it.
    pub(super) fn begin_call(&self, incoming: IncomingCall) -> Option<(usize, Option<Arc<ScriptedResponse>>)> {
        if !self.has_room_for(incoming.size()) {
            return None;
        }
        let IncomingCall { method, path, headers, body, content_encoding } = incoming;
        let at_ms = self.now_ms();
        let text = String::from_utf8_lossy(&body);
        let mut state = lock(&self.state);
        let mut labels: Vec<String> = Vec::new();
        for label in find_labels(&path, LABEL_PREFIX).chain(find_labels(&text, LABEL_PREFIX)) {
            if state.responses.contains_key(label) && !labels.iter().any(|known| known == label) {
                labels.push(label.to_owned());
            }
        }
        let response = labels.last().and_then(|label| state.responses.get(label).cloned());
        let secret = self.client_credential.expose_secret();
        let mut leaks: Vec<String> = headers
            .iter()
            .filter(|(_, value)| contains_credential(value, secret))
            .map(|(name, _)| name.clone())
            .collect();
        for (place, content) in [("body", text.as_ref()), ("path", &path)] {
            if is_redactable(secret) && content.contains(secret) {
                leaks.push(place.to_owned());
            }
        }
        let has_credential =
            headers.iter().any(|(name, _)| ["authorization", "x-api-key", "api-key"].contains(&name.as_str()));
        let sent = headers.iter().flat_map(|(name, value)| find_in_header(name, value)).chain(find_in_query(&path));
        for credential in sent {
            if is_redactable(&credential) && !contains_credential(&credential, secret) {
                state.upstream_credentials.learn(credential);
            }
        }
        let upstream_redactor = state.upstream_credentials.redactor();
        let redact = |text: &str| {
            let text = match is_redactable(secret) {
                true => text.replace(secret, CLIENT_CREDENTIAL),
                false => text.to_owned(),
            };
            upstream_redactor.redact_known(self.redactor.redact_known(text))
        };
        let headers = headers
            .into_iter()
            .map(|(name, value)| {
                let value = match (contains_credential(&value, secret), is_secret_name(&name)) {
                    (true, _) => CLIENT_CREDENTIAL.to_owned(),
                    (false, true) => "<credential>".to_owned(),
                    (false, false) => redact(&value),
                };
                (redact(&name), value)
            })
            .collect();
        let number = state.calls.len();
        state.calls.push(UpstreamCall {
            number: number as u64 + 1,
            at_ms,
            method,
            path: redact(&redact_query(&path)),
            headers,
            body: BodyBytes(redact(&text).into_bytes()),
            packed: content_encoding,
            labels,
            leaks,
            has_credential,
            answered: ServedResponse::default(),
        });
        Some((number, response))
    }

    /// Removes the credentials that the gateway sent to its upstream from an exchange.
    pub(super) fn redact_exchange(&self, mut exchange: Exchange) -> Exchange {
        let mut credentials = lock(&self.state).upstream_credentials.clone();
        if credentials.is_empty() {
            return exchange;
        }
        let redactor = credentials.redactor();
        let replace_credentials = |text: String| credentials.replace_in(text, UPSTREAM_CREDENTIAL);
        for attempt in &mut exchange.attempts {
            let AttemptResult::Response(response) = &mut attempt.result else { continue };
            for text in response.headers.iter_mut().flat_map(|(name, value)| [name, value]) {
                *text = redactor.redact_text(replace_credentials(std::mem::take(text)));
            }
            let body = match String::from_utf8(std::mem::take(&mut response.body.0)) {
                Ok(text) => replace_credentials(text).into_bytes(),
                Err(error) => error.into_bytes(),
            };
            response.body.0 = redactor.redact_body(body, &mut response.arrivals, response.cut.is_some());
        }
        exchange
    }

    /// Changes the record of the response to a call.
    pub(super) fn update_call(&self, number: usize, change: impl FnOnce(&mut ServedResponse)) {
        if let Some(call) = lock(&self.state).calls.get_mut(number) {
            change(&mut call.answered);
        }
    }

    /// True if a call with this label has arrived.
    pub(super) fn was_called(&self, label: &str) -> bool {
        lock(&self.state).calls.iter().any(|call| call.labels.iter().any(|known| known == label))
    }

    /// The reply words of all registered responses.
    pub(super) fn replies(&self) -> Vec<String> {
        lock(&self.state).responses.values().map(|response| response.script.reply.clone()).collect()
    }

    /// The calls for which `is_wanted` is true, in the order of arrival.
    pub(super) fn find_calls(&self, is_wanted: impl Fn(&UpstreamCall) -> bool) -> Vec<UpstreamCall> {
        lock(&self.state).calls.iter().filter(|call| is_wanted(call)).cloned().collect()
    }
}

fn is_redactable(secret: &str) -> bool {
    secret.len() >= MIN_CREDENTIAL_BYTES
}

/// True if a header is or contains the credential. A short credential must be the whole value.
fn contains_credential(value: &str, secret: &str) -> bool {
    let without_scheme = match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => value,
    };
    without_scheme == secret || (is_redactable(secret) && value.contains(secret))
}

/// Locks a mutex. A poisoned one stays usable: every change of its content is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_call_has_no_credential_and_lists_where_the_clients_was() {
        let correlator =
            CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
        let headers =
            [("authorization", "Bearer sk-client-secret"), ("x-goog-api-key", "sk-upstream"), ("accept", "*/*")];
        correlator.begin_call(incoming_call(
            "/v1/messages?key=abc&beta=true",
            &headers,
            r#"{"key":"sk-client-secret"}"#,
        ));
        let call = correlator.find_calls(|_| true).remove(0);
        let text = serde_json::to_string(&call).unwrap();
        assert!(!text.contains("sk-client") && !text.contains("sk-upstream") && !text.contains("abc"), "{text}");
        assert_eq!(call.leaks, ["authorization", "body"]);
        assert_eq!(call.path, "/v1/messages?key=<credential>&beta=true");
        assert!(call.has_credential);
    }

    /// What remains of a text that the gateway sends to its client.
    fn redacted_attempts(correlator: &CallCorrelator, text: &str) -> String {
        let exchange = serde_json::json!({
            "id": "a",
            "request": { "path": "/v1/messages", "headers": {}, "credential": "target", "body": null },
            "attempts": [{ "started_ms": 0, "duration_ms": 0, "response": {
                "status": 200, "headers": [["x-message", text]], "body": { "text": text }
            } }],
        });
        let redacted = correlator.redact_exchange(serde_json::from_value(exchange).unwrap());
        serde_json::to_string(&redacted.attempts).unwrap()
    }

    #[test]
    fn the_upstreams_credential_is_recognized_in_every_place() {
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
            let correlator = CallCorrelator::new(
                ApiDialect::Anthropic,
                Instant::now(),
                Some("sk-client-secret".to_owned().into()),
                &[],
            );
            let text = "the key uP7key-canary is wrong, says beta=true, me, dark";
            assert!(redacted_attempts(&correlator, text).contains("uP7key-canary"), "it is not known yet");
            match name {
                "" => correlator.begin_call(incoming_call(value, &[], "")),
                name => correlator.begin_call(incoming_call("/v1/messages", &[(name, value)], "")),
            };
            let redacted = redacted_attempts(&correlator, text);
            assert!(
                !redacted.contains("canary") && redacted.contains("the upstream's credential"),
                "{name}: {value}: {redacted}"
            );
            assert!(redacted.contains("is wrong, says beta=true, me, dark"), "the rest is kept: {redacted}");
            assert!(
                !serde_json::to_string(&correlator.find_calls(|_| true)).unwrap().contains("uP7key"),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn the_clients_credential_is_not_mistaken_for_the_upstreams() {
        let correlator =
            CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
        correlator.begin_call(incoming_call(
            "/v1/messages?key=sk-client-secret",
            &[("authorization", "bearer sk-client-secret")],
            "",
        ));
        assert_eq!(correlator.find_calls(|_| true).remove(0).leaks, ["authorization", "path"]);
        assert!(
            redacted_attempts(&correlator, "sk-client-secret").contains("sk-client-secret"),
            "the client redacts it"
        );
    }

    #[test]
    fn the_upstreams_credential_is_removed_from_other_places_of_its_calls() {
        let correlator = CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), None, &[]);
        let headers = [("x-api-key", "uP7key-canary"), ("x-forwarded-as", "uP7key-canary")];
        correlator.begin_call(incoming_call("/v1/uP7key-canary/messages", &headers, "{\"user\":\"uP7key-canary\"}"));
        let text = serde_json::to_string(&correlator.find_calls(|_| true)).unwrap();
        assert!(!text.contains("canary") && text.contains("x-forwarded-as"), "{text}");
    }

    #[test]
    fn a_gateway_that_sends_too_much_fills_no_memory() {
        for (size, max_calls) in [(10, MAX_CALLS), (1 << 20, 32)] {
            let correlator = CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), None, &[]);
            let body = "x".repeat(size);
            let recorded = (0..=max_calls).filter(|_| correlator.begin_call(incoming_call("/", &[], &body)).is_some());
            assert!(recorded.count() <= max_calls, "{size}");
            assert!(!correlator.has_room_for(0) && correlator.find_calls(|_| true).len() <= max_calls, "it stays full");
        }
        let correlator = CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), None, &[]);
        for number in 0..100 {
            let header = ("authorization", format!("Bearer signature-{number:08}"));
            correlator.begin_call(incoming_call("/", &[(header.0, &header.1)], ""));
        }
        let redacted = redacted_attempts(&correlator, "signature-00000099 signature-00000000");
        assert!(!redacted.contains("signature-00000099") && redacted.contains("signature-00000000"), "{redacted}");
    }

    #[test]
    fn only_registered_labels_correlate_a_call() {
        let correlator = CallCorrelator::new(ApiDialect::Anthropic, Instant::now(), None, &[]);
        let [one, other] = ["a", "b"].map(|purpose| generate_values(1, purpose, "m")["label"].clone());
        correlator.register(&one, ScriptedResponse::default());
        let call = |text: String| correlator.begin_call(incoming_call("/v1/messages", &[], &text)).unwrap();
        let (_, known) = call(format!("{{\"a\":\"Ticket {one}.\"}}"));
        let (_, unknown) = call(format!("Ticket {other}"));
        assert!(known.is_some() && unknown.is_none());
        let labels: Vec<Vec<String>> = correlator.find_calls(|_| true).into_iter().map(|call| call.labels).collect();
        assert_eq!(labels, [vec![one], Vec::new()]);
    }
}
