//! From an arm of an experiment to the request that is sent.
//!
//! Pure: the same experiment, arm, settings and draw give the same request. Knows nothing of how it is sent.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::{Arm, ArmCredential, Experiment, TemplateSegment, Turn, parse_template};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::variables::TrialValues;
use crate::wire::exchange::{HttpMethod, Request, RequestCredential};

/// The path of the Messages API below a base URL.
pub const MESSAGES_PATH: &str = "/v1/messages";

/// A request, and whether anything in it was drawn afresh. What was not can be shared between rows.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltRequest {
    /// The request.
    pub request: Request,
    /// True when a drawn value stands in it.
    pub has_random_values: bool,
}

/// Everything that a request depends on beside its arm.
#[derive(Debug, Clone, Copy)]
pub struct BuildContext<'a> {
    /// What the target and the options say.
    pub settings: &'a RequestSettings,
    /// The form of texts in messages.
    pub text_form: TextForm,
    /// The fresh values.
    pub values: &'a TrialValues,
    /// The first answer's content, in the second step of a trial.
    pub first_content: Option<&'a Value>,
    /// Which request of a trial that repeats it, from 1.
    pub step: u32,
}

/// Builds a request from layers of arms, each laid over the ones before.
pub fn build_request(experiment: &Experiment, layers: &[&Arm], context: BuildContext<'_>) -> BuiltRequest {
    let fill = ArmFiller::new(context);
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(context.settings.model.as_str()));
    body.insert("max_tokens".to_owned(), Value::from(context.settings.answer_tokens));
    body.insert("messages".to_owned(), fill.fill_messages(&conversation_turns(experiment, layers)));
    let mut headers = BTreeMap::from([("anthropic-version".to_owned(), context.settings.anthropic_version.clone())]);
    let mut credential = RequestCredential::Target;
    let (mut method, mut path, mut raw) = (HttpMethod::Post, MESSAGES_PATH.to_owned(), None);
    for arm in layers {
        merge_objects(&mut body, &fill.fill_object(&arm.body));
        for key in &arm.drop {
            body.remove(key);
        }
        for (name, value) in &arm.headers {
            match value {
                Some(value) => headers.insert(name.clone(), fill.fill_text(value)),
                None => headers.remove(name),
            };
        }
        credential = arm.credential.map_or(credential, to_wire_credential);
        method = arm.method.map_or(method, to_wire_method);
        path = arm.path.as_ref().map_or(path, |path| {
            fill.fill_text(&path.replace("{{model}}", &encode_path_segment(&context.settings.model)))
        });
        raw = arm.raw.as_ref().map(|raw| fill.fill_text(raw)).or(raw);
    }
    let is_json = method == HttpMethod::Post && raw.is_none();
    let body = if is_json { Value::Object(body) } else { Value::Null };
    BuiltRequest {
        request: Request { method, path, headers, credential, body, raw },
        has_random_values: fill.has_random_values.get(),
    }
}

/// The last layer that asks something; else the row's own words.
pub(crate) fn conversation_turns(experiment: &Experiment, layers: &[&Arm]) -> Vec<Turn> {
    let words = |ask: &Option<String>, turns: &Option<Vec<Turn>>| {
        turns.clone().or_else(|| ask.as_ref().map(|ask| vec![Turn::User(Value::from(ask.as_str()))]))
    };
    layers
        .iter()
        .rev()
        .find_map(|arm| words(&arm.ask, &arm.turns))
        .or_else(|| words(&experiment.ask, &experiment.turns))
        .unwrap_or_default()
}

fn to_wire_credential(credential: ArmCredential) -> RequestCredential {
    match credential {
        ArmCredential::XApiKey => RequestCredential::XApiKey,
        ArmCredential::Bearer => RequestCredential::Bearer,
        ArmCredential::WrongXApiKey => RequestCredential::WrongXApiKey,
        ArmCredential::WrongBearer => RequestCredential::WrongBearer,
        ArmCredential::Both => RequestCredential::Both,
        ArmCredential::Missing => RequestCredential::Missing,
    }
}

fn to_wire_method(method: crate::catalog::ArmMethod) -> HttpMethod {
    match method {
        crate::catalog::ArmMethod::Post => HttpMethod::Post,
        crate::catalog::ArmMethod::Get => HttpMethod::Get,
        crate::catalog::ArmMethod::Head => HttpMethod::Head,
    }
}

/// Lays `over` on `under`: objects by key, everything else replaced.
pub(crate) fn merge_objects(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge_objects(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Puts values in the place of variables, and notes whether any of them was drawn.
pub(crate) struct ArmFiller<'a> {
    context: BuildContext<'a>,
    has_random_values: Cell<bool>,
}

impl<'a> ArmFiller<'a> {
    pub fn new(context: BuildContext<'a>) -> Self {
        Self { context, has_random_values: Cell::new(false) }
    }

    fn fill_messages(&self, turns: &[Turn]) -> Value {
        turns
            .iter()
            .map(|turn| {
                let (role, content) = match turn {
                    Turn::User(content) => ("user", self.fill_content(content)),
                    Turn::Assistant(content) => ("assistant", self.fill_content(content)),
                    Turn::System(content) => ("system", self.fill_value(content)),
                };
                json!({ "role": role, "content": content })
            })
            .collect()
    }

    /// What somebody says, in the form that the endpoint was seen to read.
    pub fn fill_content(&self, content: &Value) -> Value {
        match (self.fill_value(content), self.context.text_form) {
            (Value::String(text), TextForm::Blocks) => json!([{ "type": "text", "text": text }]),
            (content, _) => content,
        }
    }

    pub fn fill_object(&self, map: &Map<String, Value>) -> Map<String, Value> {
        map.iter().map(|(key, value)| (self.fill_text(key), self.fill_value(value))).collect()
    }

    fn fill_value(&self, value: &Value) -> Value {
        match value {
            // A variable that stands alone keeps its kind: a number stays a number, a list of blocks a list.
            Value::String(text) => match parse_template(text).as_slice() {
                [TemplateSegment::Variable(name)] => self.resolve_variable(name),
                _ => Value::from(self.fill_text(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.fill_value(item)).collect(),
            Value::Object(map) => Value::Object(self.fill_object(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    pub fn fill_text(&self, text: &str) -> String {
        parse_template(text)
            .into_iter()
            .map(|piece| match piece {
                TemplateSegment::Text(text) => text.to_owned(),
                TemplateSegment::Variable(name) => match self.resolve_variable(name) {
                    Value::String(text) => text,
                    other => other.to_string(),
                },
            })
            .collect()
    }

    fn resolve_variable(&self, name: &str) -> Value {
        let settings = self.context.settings;
        match name {
            "version" => Value::from(settings.anthropic_version.as_str()),
            "range.max" => json_number(settings.temperature_max),
            "range.above" => json_number(((settings.temperature_max + 0.1) * 1000.0).round() / 1000.0),
            "step" => Value::from(self.context.step),
            "model" => Value::from(settings.model.as_str()),
            "overflow" => Value::from(overflow_text(settings.context_tokens.unwrap_or_default())),
            "max_output_tokens" => settings.max_output_tokens.map_or(Value::Null, Value::from),
            "first.content" => {
                self.has_random_values.set(true);
                self.context.first_content.cloned().unwrap_or(Value::Null)
            }
            drawn => {
                self.has_random_values.set(true);
                match self.context.values.value(drawn) {
                    Some(value) if drawn.starts_with("is_city:") => Value::from(value == "true"),
                    value => value.map_or(Value::Null, Value::from),
                }
            }
        }
    }
}

/// A model's name as one segment of a path: some have slashes in them.
fn encode_path_segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23")
}

/// More words than there may be tokens: a word is one token at least. One short word makes the prompt no longer than it
/// need be.
fn overflow_text(context_tokens: u32) -> String {
    "to ".repeat(context_tokens as usize / 20 * 21)
}

/// A whole number without its fraction, as people write it: `2`, not `2.0`.
fn json_number(n: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small on this line")]
    if n.fract() == 0.0 && n.abs() < 1e15 { Value::from(n as i64) } else { Value::from(n) }
}

/// The text of a test of answers, with the trial's short values filled in.
pub fn fill_trial_values(text: &str, values: &BTreeMap<String, String>) -> String {
    parse_template(text)
        .into_iter()
        .map(|piece| match piece {
            TemplateSegment::Text(text) => text,
            TemplateSegment::Variable(name) => values.get(name).map_or("", String::as_str),
        })
        .collect()
}
