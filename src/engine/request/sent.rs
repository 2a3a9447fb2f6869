//! [`SentRequest`]: what the rules need to know about a request that was sent.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::Experiment;
use crate::engine::predicate::contains_words;
use crate::engine::request::places::{RequestPlace, find_places};
use crate::wire::exchange::Request;

/// A request of a trial: what it asks for, and the rows that it carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SentRequest {
    /// The places of the request that belong to rows.
    pub places: Vec<PlacedField>,
    /// True if the response must be an event stream.
    pub asks_stream: bool,
    /// True if the response must be a token count.
    pub asks_count: bool,
    /// The row of the `tool_choice` that forces a call.
    pub forces_call: Option<&'static str>,
}

/// A place of a request, and the random values that it contains.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedField {
    /// The place.
    pub place: RequestPlace,
    /// The names of the random values of the trial that the place contains.
    pub values: Vec<String>,
}

impl SentRequest {
    /// Describes a request of an experiment. `values` are the random values of the trial.
    pub fn new(request: &Request, experiment: &Experiment, values: &BTreeMap<String, String>) -> Self {
        let own_field = experiment.field.iter().map(|field| (experiment.id(), &field.at));
        let body = &request.body;
        let places = find_places(request, own_field).into_iter().map(|place| {
            let content = body.pointer(&place.pointer);
            let is_contained = |(_, text): &(&String, &String)| content.is_some_and(|content| holds(content, text));
            let values = values.iter().filter(is_contained).map(|(name, _)| name.clone()).collect();
            PlacedField { place, values }
        });
        Self {
            places: places.collect(),
            asks_stream: body.get("stream") == Some(&Value::Bool(true)),
            asks_count: request.path_without_query() == COUNT_TOKENS_PATH,
            forces_call: match body.pointer("/tool_choice/type").and_then(Value::as_str) {
                Some("any") => Some("tool_choice.any"),
                Some("tool") => Some("tool_choice.tool"),
                _ => None,
            },
        }
    }

    /// True if the request has a field of this row.
    pub fn carries(&self, row: &str) -> bool {
        self.places.iter().any(|field| field.place.row == row)
    }
}

/// The path of the endpoint that counts tokens.
const COUNT_TOKENS_PATH: &str = "/v1/messages/count_tokens";

/// True if a text or a key of the value contains the words.
fn holds(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => contains_words(text, words),
        Value::Array(items) => items.iter().any(|item| holds(item, words)),
        Value::Object(map) => map.iter().any(|(key, item)| contains_words(key, words) || holds(item, words)),
        Value::Bool(flag) => flag.to_string() == words,
        Value::Null | Value::Number(_) => false,
    }
}
