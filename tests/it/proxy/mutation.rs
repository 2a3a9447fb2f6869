//! Mutations of requests: each changes the field of one row and nothing else.
//!
//! Pure: it changes a request, and reports whether it changed or must be rejected. It must not know
//! how
//! a client interprets the result.

use axum::http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use super::place::{self, Place};
use super::{Asked, blocks};

/// One change to the traffic, by row id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Removes a field. Replaces it by the proxy's value if the request needs it.
    Strip(&'static str),
    /// Rejects requests with a field.
    Refuse(&'static str),
    /// Moves a number into its bounds, so that the upstream accepts it.
    Clamp(&'static str),
    /// Responds to known conversations from a cache.
    CacheByPrompt,
}

/// The proxy's own values, which replace those of a client.
#[derive(Debug, Clone)]
pub struct Own {
    /// The upstream's credential.
    pub credential: String,
    /// The upstream's model.
    pub model: String,
}

/// The result of a mutation for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The request does not have the field.
    Nothing,
    /// The request is changed.
    Changed,
    /// The request must be rejected.
    Refused,
}

/// A limit that every model supports, and that no response of these runs reaches.
const LONG: u64 = 16_000;
/// A limit close to the longest response of a model.
const LONGEST: u64 = 32_000;

impl Mutation {
    /// The mutated row. None for a cache.
    pub fn row(self) -> Option<&'static str> {
        match self {
            Self::Strip(row) | Self::Refuse(row) | Self::Clamp(row) => Some(row),
            Self::CacheByPrompt => None,
        }
    }

    /// Applies the mutation to a request.
    pub fn apply(self, asked: &mut Asked, own: &Own) -> Done {
        let place = || self.row().and_then(place::of).expect("a line of the tables");
        let changed = match self {
            Self::Strip(_) => strip(place(), asked, own),
            Self::Clamp(_) => clamp(place(), &mut asked.body),
            Self::Refuse(_) if carries(place(), asked) => return Done::Refused,
            Self::Refuse(_) | Self::CacheByPrompt => false,
        };
        if changed { Done::Changed } else { Done::Nothing }
    }
}

fn strip(place: Place, asked: &mut Asked, own: &Own) -> bool {
    let Asked { headers, body, .. } = asked;
    match place {
        Place::Header(name) => headers.remove(name).is_some(),
        Place::Version => {
            let version = HeaderValue::from_static("2023-06-01");
            headers.insert("anthropic-version", version.clone()) != Some(version)
        }
        Place::ApiKey if headers.contains_key(header::AUTHORIZATION) => false,
        Place::ApiKey => {
            let key = HeaderValue::from_str(&own.credential).expect("a plain key");
            headers.insert("x-api-key", key.clone()) != Some(key)
        }
        Place::Bearer => headers.get_mut(header::AUTHORIZATION).is_some_and(|value| {
            let own = HeaderValue::from_str(&format!("Bearer {}", own.credential)).expect("a plain key");
            *value != own && {
                *value = own;
                true
            }
        }),
        Place::Model => put(body, "model", json!(own.model)),
        Place::MaxTokens => put(body, "max_tokens", json!(LONG)),
        Place::Key(key) => remove(body.as_object_mut(), key),
        Place::Budget => {
            body["thinking"]["budget_tokens"].is_u64() && put(&mut body["thinking"], "budget_tokens", json!(1024))
        }
        Place::TemperatureRange | Place::LongestAnswer => clamp(place, body),
        Place::ToolKey(key) => each_tool(body, |tool| remove(Some(tool), key)),
        Place::ToolName => rename_tools(body),
        Place::ToolSchema => each_tool(body, |tool| {
            let any = json!({ "type": "object", "properties": {} });
            tool.insert("input_schema".to_owned(), any.clone()) != Some(any)
        }),
        Place::ChoiceString | Place::ChoiceObject => {
            carries(place, asked) && remove(asked.body.as_object_mut(), "tool_choice")
        }
        Place::Choice(_) => {
            // The flag against parallel calls has its own row, so it stays.
            let carried = carries(place, asked);
            carried
                && asked.body["tool_choice"].as_object_mut().is_some_and(|choice| {
                    choice.shift_remove("name");
                    choice.insert("type".to_owned(), json!("auto")) != Some(json!("auto"))
                })
        }
        Place::ChoiceFlag(_) => {
            carries(place, asked) && remove(asked.body["tool_choice"].as_object_mut(), "disable_parallel_tool_use")
        }
        Place::StringContent => blocks::blank_strings(body),
        Place::BlockText => blocks::blank_texts(body),
        Place::BlockKey(kind, key) => blocks::each(body, kind, |block| remove(Some(block), key)),
        Place::Block(kind) => blocks::drop_all(body, kind),
        Place::CallId => blocks::match_unknown_ids(body),
        Place::ResultId => blocks::match_by_order(body),
        Place::CallInput => {
            blocks::each(body, "tool_use", |block| block.insert("input".to_owned(), json!({})) != Some(json!({})))
        }
        Place::CallName => blocks::each(body, "tool_use", |block| {
            block.insert("name".to_owned(), json!("some_tool")) != Some(json!("some_tool"))
        }),
    }
}

fn clamp(place: Place, body: &mut Value) -> bool {
    match place {
        Place::TemperatureRange => body["temperature"]
            .as_f64()
            .is_some_and(|t| !(0.0..=1.0).contains(&t) && put(body, "temperature", json!(t.clamp(0.0, 1.0)))),
        Place::LongestAnswer => {
            body["max_tokens"].as_u64().is_some_and(|n| n > LONGEST && put(body, "max_tokens", json!(LONGEST)))
        }
        other => panic!("{other:?} has no bounds"),
    }
}

/// Whether a request has something at a place.
fn carries(place: Place, asked: &Asked) -> bool {
    let (headers, body) = (&asked.headers, &asked.body);
    let choice = &body["tool_choice"];
    let any_block = |kind: &str, holds: &dyn Fn(&Map<String, Value>) -> bool| {
        let mut found = false;
        blocks::each(&mut body.clone(), kind, |block| {
            found |= holds(block);
            false
        });
        found
    };
    let any_tool = |key: &str| body["tools"].as_array().into_iter().flatten().any(|tool| tool.get(key).is_some());
    match place {
        Place::Header(name) => headers.contains_key(name),
        Place::Version => headers.contains_key("anthropic-version"),
        Place::ApiKey => headers.contains_key("x-api-key"),
        Place::Bearer => headers.contains_key(header::AUTHORIZATION),
        Place::Model => body.get("model").is_some(),
        Place::MaxTokens => body.get("max_tokens").is_some(),
        Place::LongestAnswer => body["max_tokens"].as_u64().is_some_and(|n| n > LONGEST),
        Place::Key(key) => body.get(key).is_some(),
        // A server without this range rejects its end too.
        Place::TemperatureRange => body["temperature"].as_f64().is_some_and(|t| !(0.0..1.0).contains(&t)),
        Place::Budget => body["thinking"].get("budget_tokens").is_some(),
        Place::ToolKey(key) => any_tool(key),
        Place::ToolName => any_tool("name"),
        Place::ToolSchema => any_tool("input_schema"),
        Place::ChoiceString => choice.is_string(),
        Place::ChoiceObject => choice.is_object(),
        Place::Choice(kind) => choice["type"] == kind,
        Place::ChoiceFlag(kind) => choice["type"] == kind && choice.get("disable_parallel_tool_use").is_some(),
        Place::StringContent => body["messages"].as_array().into_iter().flatten().any(|m| m["content"].is_string()),
        Place::BlockText => any_block("text", &|_| true),
        Place::BlockKey(kind, key) => any_block(kind, &|block| block.contains_key(key)),
        Place::Block(kind) => blocks::has(body, kind),
        Place::CallId | Place::CallInput | Place::CallName => any_block("tool_use", &|_| true),
        Place::ResultId => any_block("tool_result", &|_| true),
    }
}

fn put(object: &mut Value, key: &str, value: Value) -> bool {
    let Some(object) = object.as_object_mut() else { return false };
    object.insert(key.to_owned(), value.clone()) != Some(value)
}

fn remove(object: Option<&mut Map<String, Value>>, key: &str) -> bool {
    object.is_some_and(|object| object.shift_remove(key).is_some())
}

fn each_tool(body: &mut Value, change: impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
    let tools = blocks::list(body, "tools").into_iter().flatten().filter_map(Value::as_object_mut);
    tools.map(change).filter(|changed| *changed).count() > 0
}

/// Gives tools new names. A tool choice still names the same tool.
fn rename_tools(body: &mut Value) -> bool {
    let chosen = body["tool_choice"]["name"].clone();
    let (mut count, mut chosen_now) = (0, None);
    let changed = each_tool(body, |tool| {
        count += 1;
        let own = json!(format!("renamed_{count}"));
        let old = tool.insert("name".to_owned(), own.clone());
        if old.as_ref() == Some(&chosen) {
            chosen_now = Some(own);
        }
        true
    });
    if let Some(own) = chosen_now {
        body["tool_choice"]["name"] = own;
    }
    changed
}
