//! What both sides of a run share: which answer belongs to which label, and every call that came.
//!
//! The client's side writes scripts, the upstream's side reads them; a label is all that goes between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;

use crate::catalog::Shape;
use crate::gateway::upstream::credentials::{in_header, in_query, is_secret_name, without_keys};
use crate::gateway::upstream::script::Script;
use crate::gateway::values;
use crate::gateway::values::LABEL;
use crate::recording::gateway::{AnswerEnd, Answered, Call};
use crate::redact::Mask;
use crate::wire::exchange::{AttemptResult, Body, Exchange};

/// How long the upstream waits for a crowd to be complete.
const CROWD_WAIT: Duration = Duration::from_millis(1500);
/// The rest between two answers to a crowd.
const CROWD_STEP: Duration = Duration::from_millis(15);

/// What the client sends as a credential when it has none.
pub(super) const PLACEHOLDER: &str = crate::client::PLACEHOLDER;

/// What stands in the place of the upstream's credential where a gateway tells it to its client.
pub(super) const UPSTREAMS: &str = "<the upstream's credential>";

/// What stands in the place of the client's credential where a gateway passes it on.
const CLIENTS: &str = "<the client's credential>";

/// What both sides share.
#[derive(Debug)]
pub(super) struct Board {
    /// The API that the upstream speaks.
    pub shape: Shape,
    started: Instant,
    secret: SecretString,
    /// Finds the client's credential however the gateway passes it on.
    mask: Mask,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    scripts: HashMap<String, Arc<Posted>>,
    calls: Vec<Call>,
    /// The credentials that the gateway showed to its upstream.
    upstreams: Vec<SecretString>,
}

/// An answer for a label.
#[derive(Debug, Default)]
pub(super) struct Posted {
    /// What is answered.
    pub script: Script,
    /// Who else must have asked before it is.
    pub crowd: Option<Arc<Crowd>>,
}

/// Requests that are answered together, the last one first.
#[derive(Debug)]
pub(super) struct Crowd {
    size: usize,
    come: Mutex<usize>,
    complete: Notify,
}

impl Crowd {
    /// A crowd of so many.
    pub(super) fn new(size: usize) -> Self {
        Self { size, come: Mutex::new(0), complete: Notify::new() }
    }

    /// Waits until all have come, or for a while; then until it is one's turn.
    pub(super) async fn turn(&self) {
        let complete = self.complete.notified();
        let place = {
            let mut come = locked(&self.come);
            *come += 1;
            *come
        };
        if place >= self.size {
            self.complete.notify_waiters();
        } else {
            // Who serves one after the other never has them all at once; that is no harm.
            let _ = tokio::time::timeout(CROWD_WAIT, complete).await;
        }
        tokio::time::sleep(CROWD_STEP * u32::try_from(self.size.saturating_sub(place)).unwrap_or(0)).await;
    }
}

/// A request as it reached the upstream.
pub(super) struct Incoming {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked.
    pub body: Vec<u8>,
    /// How it was packed.
    pub packed: Option<String>,
}

impl Board {
    /// A board for one run.
    pub(super) fn new(shape: Shape, started: Instant, secret: Option<SecretString>, others: &[SecretString]) -> Self {
        let secret = secret.unwrap_or_else(|| PLACEHOLDER.to_owned().into());
        let mask = Mask::new(Some(&secret), others);
        Self { shape, started, secret, mask, inner: Mutex::default() }
    }

    /// Says what is answered to a label.
    pub(super) fn post(&self, label: &str, posted: Posted) {
        locked(&self.inner).scripts.insert(label.to_owned(), Arc::new(posted));
    }

    /// Milliseconds from the start of the run.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a call; its number, and what is answered to it. A call without a known label is the gateway's own.
    pub(super) fn enter(&self, incoming: Incoming) -> (usize, Option<Arc<Posted>>) {
        let Incoming { method, path, headers, body, packed } = incoming;
        let at_ms = self.now_ms();
        let text = String::from_utf8_lossy(&body);
        let mut inner = locked(&self.inner);
        let mut labels: Vec<String> = Vec::new();
        for label in values::marks(&path, LABEL).chain(values::marks(&text, LABEL)) {
            if inner.scripts.contains_key(label) && !labels.iter().any(|l| l == label) {
                labels.push(label.to_owned());
            }
        }
        let posted = labels.last().and_then(|label| inner.scripts.get(label).cloned());
        let secret = self.secret.expose_secret();
        let mut leaks: Vec<String> =
            headers.iter().filter(|(_, value)| is_secret(value, secret)).map(|(name, _)| name.clone()).collect();
        if is_long(secret) && text.contains(secret) {
            leaks.push("body".to_owned());
        }
        if is_long(secret) && path.contains(secret) {
            leaks.push("path".to_owned());
        }
        let has_credential =
            headers.iter().any(|(name, _)| ["authorization", "x-api-key", "api-key"].contains(&name.as_str()));
        for shown in headers.iter().flat_map(|(name, value)| in_header(name, value)).chain(in_query(&path)) {
            if is_long(&shown)
                && !is_secret(&shown, secret)
                && !inner.upstreams.iter().any(|known| known.expose_secret() == shown)
            {
                inner.upstreams.push(shown.into());
            }
        }
        let masked =
            |text: &str| self.mask.known(if is_long(secret) { text.replace(secret, CLIENTS) } else { text.to_owned() });
        let headers = headers
            .into_iter()
            .map(|(name, value)| {
                let value = match (is_secret(&value, secret), is_secret_name(&name)) {
                    (true, _) => CLIENTS.to_owned(),
                    (false, true) => "<credential>".to_owned(),
                    (false, false) => masked(&value),
                };
                (masked(&name), value)
            })
            .collect();
        let number = inner.calls.len();
        inner.calls.push(Call {
            number: number as u64 + 1,
            at_ms,
            method,
            path: masked(&without_keys(&path)),
            headers,
            body: Body(if is_long(secret) { masked(&text).into_bytes() } else { body.clone() }),
            packed,
            labels,
            leaks,
            has_credential,
            answered: Answered::default(),
        });
        (number, posted)
    }

    /// An exchange without the credentials that the gateway showed to its upstream.
    pub(super) fn masked(&self, mut exchange: Exchange) -> Exchange {
        let known = locked(&self.inner).upstreams.clone();
        if known.is_empty() {
            return exchange;
        }
        let mask = Mask::new(None, &known);
        let plain = |text: String| known.iter().fold(text, |text, key| text.replace(key.expose_secret(), UPSTREAMS));
        for attempt in &mut exchange.attempts {
            let AttemptResult::Response(response) = &mut attempt.result else { continue };
            for text in response.headers.iter_mut().flat_map(|(name, value)| [name, value]) {
                *text = mask.text(plain(std::mem::take(text)));
            }
            let body = std::mem::take(&mut response.body.0);
            let body = match String::from_utf8(body) {
                Ok(text) => plain(text).into_bytes(),
                Err(bytes) => bytes.into_bytes(),
            };
            response.body.0 = mask.body(body, &mut response.arrivals, response.cut.is_some());
        }
        exchange
    }

    /// Changes what is noted of the answer to a call.
    pub(super) fn note(&self, number: usize, change: impl FnOnce(&mut Answered)) {
        if let Some(call) = locked(&self.inner).calls.get_mut(number) {
            change(&mut call.answered);
        }
    }

    /// The calls from a number on whose answers are over, as far as none before them is open.
    pub(super) fn finished_from(&self, from: usize) -> Vec<Call> {
        let inner = locked(&self.inner);
        let rest = inner.calls.get(from..).unwrap_or_default();
        rest.iter().take_while(|call| call.answered.ended != AnswerEnd::Open).cloned().collect()
    }

    /// True where a call with this label has come.
    pub(super) fn has_come(&self, label: &str) -> bool {
        locked(&self.inner).calls.iter().any(|call| call.labels.iter().any(|known| known == label))
    }

    /// Every reply word that stands in an answer to somebody.
    pub(super) fn replies(&self) -> Vec<String> {
        locked(&self.inner).scripts.values().map(|posted| posted.script.reply.clone()).collect()
    }

    /// All calls, from a number on.
    pub(super) fn calls_from(&self, from: usize) -> Vec<Call> {
        locked(&self.inner).calls.get(from..).unwrap_or_default().to_vec()
    }
}

/// Shorter ones are words like `test`, which protect nothing and stand in texts by chance.
fn is_long(secret: &str) -> bool {
    secret.len() >= 8
}

fn is_secret(value: &str, secret: &str) -> bool {
    let bare = match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => value,
    };
    bare == secret || (is_long(secret) && value.contains(secret))
}

/// A lock that a panic elsewhere does not take away: what is behind it is changed in single steps.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(path: &str, headers: &[(&str, &str)], body: &str) -> Incoming {
        Incoming {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
            packed: None,
        }
    }

    #[test]
    fn no_credential_stands_in_a_call_and_the_clients_is_told() {
        let board = Board::new(Shape::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
        let headers =
            [("authorization", "Bearer sk-client-secret"), ("x-goog-api-key", "sk-upstream"), ("accept", "*/*")];
        board.enter(incoming("/v1/messages?key=abc&beta=true", &headers, r#"{"key":"sk-client-secret"}"#));
        let call = board.calls_from(0).remove(0);
        let text = serde_json::to_string(&call).unwrap();
        assert!(!text.contains("sk-client") && !text.contains("sk-upstream") && !text.contains("abc"), "{text}");
        assert_eq!(call.leaks, ["authorization", "body"]);
        assert_eq!(call.path, "/v1/messages?key=<credential>&beta=true");
        assert!(call.has_credential);
    }

    /// What is left of a text that the gateway tells its client.
    fn told(board: &Board, text: &str) -> String {
        let exchange = serde_json::json!({
            "id": "a",
            "request": { "path": "/v1/messages", "headers": {}, "credential": "target", "body": null },
            "attempts": [{ "started_ms": 0, "duration_ms": 0, "response": {
                "status": 200, "headers": [["x-told", text]], "body": { "text": text }
            } }],
        });
        let masked = board.masked(serde_json::from_value(exchange).unwrap());
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
            let board = Board::new(Shape::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
            let text = "the key uP7key-canary is wrong, says beta=true, me, dark";
            assert!(told(&board, text).contains("uP7key-canary"), "nobody knows it yet");
            match name {
                "" => board.enter(incoming(value, &[], "")),
                name => board.enter(incoming("/v1/messages", &[(name, value)], "")),
            };
            let told = told(&board, text);
            assert!(!told.contains("canary") && told.contains("the upstream's credential"), "{name}: {value}: {told}");
            assert!(told.contains("is wrong, says beta=true, me, dark"), "the rest is left: {told}");
            assert!(!serde_json::to_string(&board.calls_from(0)).unwrap().contains("uP7key"), "{name}: {value}");
        }
    }

    #[test]
    fn the_clients_own_key_is_none_of_the_upstreams() {
        let board = Board::new(Shape::Anthropic, Instant::now(), Some("sk-client-secret".to_owned().into()), &[]);
        board.enter(incoming("/v1/messages?key=sk-client-secret", &[("authorization", "bearer sk-client-secret")], ""));
        assert_eq!(board.calls_from(0).remove(0).leaks, ["authorization", "path"]);
        assert!(told(&board, "sk-client-secret").contains("sk-client-secret"), "the client's side takes it out");
    }

    #[test]
    fn only_known_labels_belong_to_a_request() {
        let board = Board::new(Shape::Anthropic, Instant::now(), None, &[]);
        let [one, other] = ["a", "b"].map(|purpose| values::values(1, purpose, "m")["label"].clone());
        board.post(&one, Posted::default());
        let (_, known) = board.enter(incoming("/v1/messages", &[], &format!("{{\"a\":\"Ticket {one}.\"}}")));
        let (_, unknown) = board.enter(incoming("/v1/messages", &[], &format!("Ticket {other}")));
        assert!(known.is_some() && unknown.is_none());
        let labels: Vec<Vec<String>> = board.calls_from(0).into_iter().map(|call| call.labels).collect();
        assert_eq!(labels, [vec![one], Vec::new()]);
    }
}
