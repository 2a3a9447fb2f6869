//! The adversaries: servers that provoke wrong verdicts, each a few lines between a client and an
//! upstream that supports everything.
//!
//! This file has their behaviour, and `truth.rs` has the verdicts that it allows. This file must
//! not
//! know the client or its purpose.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::acts::{self, lenient, strict};
use crate::proxy::answer::Answer;
use crate::proxy::cache::Cache;
use crate::proxy::mutation::{Done, Mutation, Own};
use crate::proxy::upstream::Upstream;
use crate::proxy::{Asked, Between, blocks};

/// The adversaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Adversary {
    /// Returns the first response to a prompt again, whatever else the request has.
    AnswersFromACache,
    /// The same, with a new id for each copy.
    HidesItsCache,
    /// Returns the whole request as text.
    Parrots,
    /// Thinks in every response.
    ThinksUnasked,
    /// Counts every long prompt as cached.
    CachesUnasked,
    /// Knows few keys and rejects all others.
    RefusesUnknownKeys,
    /// Accepts any request, and ignores what it cannot do.
    AcceptsAnything,
    /// Validates fields and then ignores them.
    ValidatesThenIgnores,
    /// Multiplies the temperature and raises small limits.
    Rescales,
    /// Serves another model under the requested name.
    SubstitutesSilently,
    /// Sends each request to one of two servers that differ.
    LoadBalances,
    /// Rejects some fields without naming them.
    RefusesNamelessly,
    /// Supports everything, but its errors only say that the request is invalid.
    WordsRefusalsNamelessly,
    /// Is overloaded every second time.
    OverloadedEverySecondTime,
    /// Responds in German.
    AnswersInGerman,
    /// Returns 200 with the error in the body.
    SaysOkToErrors,
    /// Returns 200 with the error as the assistant's text.
    SpeaksErrors,
    /// Sets a temperature in every request that has none.
    AddsTemperature,
    /// Requires a credential and a version, but accepts any of them.
    ChecksOnlyPresence,
}

/// Fields that are validated and then ignored.
pub const CHECKED_ONLY: [&str; 11] = [
    "field.metadata",
    "field.service_tier",
    "field.stop_sequences",
    "field.system",
    "field.temperature",
    "field.top_k",
    "field.top_p",
    "tools.description",
    "tools.cache_control",
    "tool_choice.any",
    "content.text.cache_control",
];

/// Fields that are rejected without their names.
pub const REFUSED_NAMELESSLY: [&str; 9] = [
    "field.container",
    "field.mcp_servers",
    "field.metadata",
    "field.service_tier",
    "field.stop_sequences",
    "field.top_k",
    "content.document",
    "content.redacted_thinking",
    "content.container_upload",
];

/// The smallest `max_tokens` of the server that rescales.
const LEAST_TOKENS: u64 = 64;
/// The signature of thinking that the request did not want.
const UNASKED: &str = "not-asked-for";
/// The smallest prompt that is cached without a marker, in tokens.
const LONG_PROMPT: u64 = 200;

/// A running adversary.
pub struct Acting {
    adversary: Adversary,
    own: Own,
    salt: usize,
    cache: Cache,
    prompts: Mutex<HashSet<String>>,
    acted: AtomicUsize,
}

impl Acting {
    /// Creates an adversary. The salt changes its random behaviour.
    pub fn new(adversary: Adversary, own: Own, salt: usize) -> Self {
        let cache = Cache::new(adversary == Adversary::HidesItsCache);
        Self { adversary, own, salt, cache, prompts: Mutex::default(), acted: AtomicUsize::new(0) }
    }

    /// The number of actions that an honest server would not do.
    pub fn acted(&self) -> usize {
        self.acted.load(Ordering::Relaxed)
    }

    fn acts(&self, does: bool) -> bool {
        self.acted.fetch_add(usize::from(does), Ordering::Relaxed);
        does
    }

    /// Counts long prompts as cached.
    fn count_as_cached(&self, body: &Value, message: &mut Value) {
        let usage = &mut message["usage"];
        let names = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
        let total: u64 = names.iter().filter_map(|name| usage[name].as_u64()).sum();
        if self.acts(total >= LONG_PROMPT) {
            let new = self.prompts.lock().unwrap().insert(acts::prompt(body));
            let [written, read] = if new { [total, 0] } else { [0, total] };
            for (name, tokens) in names.iter().zip([0, written, read]) {
                usage[name] = json!(tokens);
            }
        }
    }
}

impl Between for Acting {
    async fn answer(&self, mut asked: Asked, upstreams: &[Upstream]) -> Answer {
        let upstream = &upstreams[0];
        match self.adversary {
            Adversary::AnswersFromACache | Adversary::HidesItsCache => {
                let (answer, hit) = self.cache.answer(&asked, upstream).await;
                self.acts(hit);
                answer
            }
            Adversary::Parrots => {
                self.acts(true);
                let text = asked.body.to_string();
                Answer::says(&asked.body["model"], &text, text.len() / 4)
            }
            Adversary::ThinksUnasked => {
                for message in blocks::messages(&mut asked.body) {
                    if let Some(content) = blocks::list(message, "content") {
                        content.retain(|block| block["signature"] != UNASKED);
                    }
                }
                let unasked = self.acts(asked.body["thinking"]["type"] != "enabled");
                upstream.ask(&asked).await.with_message(|message| {
                    if let (true, Some(content)) = (unasked, blocks::list(message, "content")) {
                        let thought = "What might be wanted here? Something short, I should think.";
                        content.insert(0, json!({ "type": "thinking", "thinking": thought, "signature": UNASKED }));
                    }
                })
            }
            Adversary::CachesUnasked => {
                upstream.ask(&asked).await.with_message(|message| self.count_as_cached(&asked.body, message))
            }
            Adversary::RefusesUnknownKeys => match strict::unknown_key(&asked.body) {
                Some(place) => {
                    self.acts(true);
                    Answer::refusal(&format!("{place}: Extra inputs are not permitted"))
                }
                None => upstream.ask(&asked).await,
            },
            Adversary::AcceptsAnything => {
                let (answer, repaired) = lenient::answer(asked, upstream, &self.own).await;
                self.acts(repaired);
                answer
            }
            Adversary::ValidatesThenIgnores => {
                let checked = upstream.ask(&asked).await;
                let mut strip = |row: &'static str| Mutation::Strip(row).apply(&mut asked, &self.own) == Done::Changed;
                let stripped = CHECKED_ONLY.into_iter().filter(|row| strip(row)).count() > 0;
                if checked.status() != 200 || !self.acts(stripped) {
                    return checked;
                }
                upstream.ask(&asked).await
            }
            Adversary::Rescales => {
                if let Some(temperature) = asked.body["temperature"].as_f64() {
                    asked.body["temperature"] = json!(temperature * 0.6);
                    self.acts(true);
                }
                if asked.body["max_tokens"].as_u64().is_some_and(|n| self.acts(n < LEAST_TOKENS)) {
                    asked.body["max_tokens"] = json!(LEAST_TOKENS);
                }
                upstream.ask(&asked).await
            }
            Adversary::SubstitutesSilently => {
                let wanted = asked.body["model"].clone();
                asked.body["model"] = json!(self.own.model);
                self.acts(wanted != self.own.model);
                upstream.ask(&asked).await.with_message(|message| message["model"] = wanted)
            }
            Adversary::AddsTemperature => {
                if let Some(body) = asked.body.as_object_mut() {
                    let adds = self.acts(!body.contains_key("temperature"));
                    adds.then(|| body.insert("temperature".to_owned(), json!(0.9)));
                }
                upstream.ask(&asked).await
            }
            Adversary::ChecksOnlyPresence => {
                let valid = [
                    ("x-api-key", self.own.credential.clone()),
                    ("authorization", format!("Bearer {}", self.own.credential)),
                    ("anthropic-version", "2023-06-01".to_owned()),
                ];
                for (name, value) in valid {
                    if let Some(sent) = asked.headers.get_mut(name) {
                        self.acts(*sent != value);
                        *sent = value.parse().unwrap();
                    }
                }
                upstream.ask(&asked).await
            }
            Adversary::LoadBalances => {
                let which = acts::chance(asked.number, self.salt);
                self.acts(which == 1);
                upstreams[which].ask(&asked).await
            }
            Adversary::RefusesNamelessly => {
                let mut refused = |row| Mutation::Refuse(row).apply(&mut asked, &self.own) == Done::Refused;
                if self.acts(REFUSED_NAMELESSLY.into_iter().any(&mut refused)) {
                    return Answer::refusal("Invalid request.");
                }
                upstream.ask(&asked).await
            }
            Adversary::WordsRefusalsNamelessly => {
                let answer = upstream.ask(&asked).await;
                if self.acts(answer.is_refusal()) { Answer::refusal("Invalid request.") } else { answer }
            }
            Adversary::OverloadedEverySecondTime => {
                if self.acts(asked.number % 2 == 1) {
                    return Answer::error(529, "overloaded_error", "Overloaded");
                }
                upstream.ask(&asked).await
            }
            Adversary::AnswersInGerman => upstream.ask(&asked).await.with_message(|message| {
                self.acts(acts::into_german(message));
            }),
            Adversary::SaysOkToErrors => match upstream.ask(&asked).await {
                Answer::Json { status: 400.., body, .. } => {
                    self.acts(true);
                    Answer::json(200, body)
                }
                answer => answer,
            },
            Adversary::SpeaksErrors => {
                let answer = upstream.ask(&asked).await;
                if !self.acts(answer.status() >= 400) {
                    return answer;
                }
                Answer::says(&asked.body["model"], &format!("Error: {}", answer.error_text()), 10)
            }
        }
    }
}
