//! From an arm of an experiment to the request that is sent.
//!
//! Pure: the same experiment, arm, settings and draw give the same request. Knows nothing of how it is sent.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::{Arm, ArmCredential, Experiment, Piece, Target, Turn, pieces};
use crate::variables::Draw;
use crate::wire::exchange::{Credential, Method, Request};

/// The path of the Messages API below a base URL.
pub const PATH: &str = "/v1/messages";

/// What requests take from the target and the options.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// The model that is asked for.
    pub model: String,
    /// The value of `anthropic-version`.
    pub anthropic_version: String,
    /// `max_tokens` of requests that do not set it: room enough for a model that thinks unasked.
    pub answer_tokens: u32,
    /// The claimed upper bound of `temperature`, else the reference's.
    pub temperature_max: f64,
    /// The claimed longest answer, where there is a claim.
    pub max_output_tokens: Option<u32>,
    /// The claimed length of prompt and answer together, where there is a claim.
    #[serde(default)]
    pub context_tokens: Option<u32>,
}

/// The upper bound of `temperature` that the Messages API itself documents.
pub const REFERENCE_TEMPERATURE_MAX: f64 = 1.0;

impl Settings {
    /// What a target's file says.
    pub fn of(target: &Target, answer_tokens: u32) -> Self {
        Self {
            model: target.model.clone(),
            anthropic_version: target.anthropic_version.clone(),
            answer_tokens,
            temperature_max: temperature_max(target),
            max_output_tokens: target.limits.max_output_tokens,
            context_tokens: target.limits.context_tokens,
        }
    }
}

/// The claimed upper bound of `temperature`, else the reference's.
pub fn temperature_max(target: &Target) -> f64 {
    let range = |row: &str| target.claims.get(row).and_then(|claim| claim.range);
    range("field.temperature.range")
        .or_else(|| range("field.temperature"))
        .map_or(REFERENCE_TEMPERATURE_MAX, |range| range.max)
}

/// The most tokens that an answer may have and be paid for: a bound that is there to be refused is none.
pub(crate) fn answer_ceiling(max_tokens: u64, settings: &Settings) -> u64 {
    max_tokens.min(u64::from(settings.answer_tokens).max(8192))
}

/// The form in which texts are put into messages: whichever the endpoint was seen to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// `content: "…"`
    #[default]
    String,
    /// `content: [{type: text, text: "…"}]`
    Blocks,
}

/// A request, and whether anything in it was drawn afresh. What was not can be shared between rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The request.
    pub request: Request,
    /// True when a drawn value stands in it.
    pub fresh: bool,
}

/// Everything that a request depends on beside its arm.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the target and the options say.
    pub settings: &'a Settings,
    /// The form of texts in messages.
    pub channel: Channel,
    /// The fresh values.
    pub draw: &'a Draw,
    /// The first answer's content, in the second step of a trial.
    pub first_content: Option<&'a Value>,
    /// Which request of a trial that repeats it, from 1.
    pub step: u32,
}

/// Builds a request from layers of arms, each laid over the ones before.
pub fn build(experiment: &Experiment, layers: &[&Arm], context: Context<'_>) -> Built {
    let fill = Filler::new(context);
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(context.settings.model.as_str()));
    body.insert("max_tokens".to_owned(), Value::from(context.settings.answer_tokens));
    body.insert("messages".to_owned(), fill.messages(&conversation(experiment, layers)));
    let mut headers = BTreeMap::from([("anthropic-version".to_owned(), context.settings.anthropic_version.clone())]);
    let mut credential = Credential::Target;
    let (mut method, mut path, mut raw) = (Method::Post, PATH.to_owned(), None);
    for arm in layers {
        merge(&mut body, &fill.object(&arm.body));
        for key in &arm.drop {
            body.remove(key);
        }
        for (name, value) in &arm.headers {
            match value {
                Some(value) => headers.insert(name.clone(), fill.text(value)),
                None => headers.remove(name),
            };
        }
        credential = arm.credential.map_or(credential, wire_credential);
        method = arm.method.map_or(method, wire_method);
        path = arm
            .path
            .as_ref()
            .map_or(path, |path| fill.text(&path.replace("{{model}}", &segment(&context.settings.model))));
        raw = arm.raw.as_ref().map(|raw| fill.text(raw)).or(raw);
    }
    let is_json = method == Method::Post && raw.is_none();
    let body = if is_json { Value::Object(body) } else { Value::Null };
    Built { request: Request { method, path, headers, credential, body, raw }, fresh: fill.fresh.get() }
}

/// The last layer that asks something; else the row's own words.
pub(crate) fn conversation(experiment: &Experiment, layers: &[&Arm]) -> Vec<Turn> {
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

fn wire_credential(credential: ArmCredential) -> Credential {
    match credential {
        ArmCredential::XApiKey => Credential::XApiKey,
        ArmCredential::Bearer => Credential::Bearer,
        ArmCredential::WrongXApiKey => Credential::WrongXApiKey,
        ArmCredential::WrongBearer => Credential::WrongBearer,
        ArmCredential::Both => Credential::Both,
        ArmCredential::Missing => Credential::Missing,
    }
}

fn wire_method(method: crate::catalog::Method) -> Method {
    match method {
        crate::catalog::Method::Post => Method::Post,
        crate::catalog::Method::Get => Method::Get,
        crate::catalog::Method::Head => Method::Head,
    }
}

/// Lays `over` on `under`: objects by key, everything else replaced.
pub(crate) fn merge(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Puts values in the place of variables, and notes whether any of them was drawn.
pub(crate) struct Filler<'a> {
    context: Context<'a>,
    fresh: Cell<bool>,
}

impl<'a> Filler<'a> {
    pub fn new(context: Context<'a>) -> Self {
        Self { context, fresh: Cell::new(false) }
    }

    fn messages(&self, turns: &[Turn]) -> Value {
        turns
            .iter()
            .map(|turn| {
                let (role, content) = match turn {
                    Turn::User(content) => ("user", self.said(content)),
                    Turn::Assistant(content) => ("assistant", self.said(content)),
                    Turn::System(content) => ("system", self.value(content)),
                };
                json!({ "role": role, "content": content })
            })
            .collect()
    }

    /// What somebody says, in the form that the endpoint was seen to read.
    pub fn said(&self, content: &Value) -> Value {
        match (self.value(content), self.context.channel) {
            (Value::String(text), Channel::Blocks) => json!([{ "type": "text", "text": text }]),
            (content, _) => content,
        }
    }

    pub fn object(&self, map: &Map<String, Value>) -> Map<String, Value> {
        map.iter().map(|(key, value)| (self.text(key), self.value(value))).collect()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            // A variable that stands alone keeps its kind: a number stays a number, a list of blocks a list.
            Value::String(text) => match pieces(text).as_slice() {
                [Piece::Variable(name)] => self.variable(name),
                _ => Value::from(self.text(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => Value::Object(self.object(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    pub fn text(&self, text: &str) -> String {
        pieces(text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Variable(name) => match self.variable(name) {
                    Value::String(text) => text,
                    other => other.to_string(),
                },
            })
            .collect()
    }

    fn variable(&self, name: &str) -> Value {
        let settings = self.context.settings;
        match name {
            "version" => Value::from(settings.anthropic_version.as_str()),
            "range.max" => number(settings.temperature_max),
            "range.above" => number(((settings.temperature_max + 0.1) * 1000.0).round() / 1000.0),
            "step" => Value::from(self.context.step),
            "model" => Value::from(settings.model.as_str()),
            "overflow" => Value::from(overflow(settings.context_tokens.unwrap_or_default())),
            "max_output_tokens" => settings.max_output_tokens.map_or(Value::Null, Value::from),
            "first.content" => {
                self.fresh.set(true);
                self.context.first_content.cloned().unwrap_or(Value::Null)
            }
            drawn => {
                self.fresh.set(true);
                match self.context.draw.value(drawn) {
                    Some(value) if drawn.starts_with("is_city:") => Value::from(value == "true"),
                    value => value.map_or(Value::Null, Value::from),
                }
            }
        }
    }
}

/// A model's name as one segment of a path: some have slashes in them.
fn segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23")
}

/// More words than there may be tokens: a word is one token at least. One short word makes the prompt no longer than it
/// need be.
fn overflow(context_tokens: u32) -> String {
    "to ".repeat(context_tokens as usize / 20 * 21)
}

/// A whole number without its fraction, as people write it: `2`, not `2.0`.
fn number(n: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small on this line")]
    if n.fract() == 0.0 && n.abs() < 1e15 { Value::from(n as i64) } else { Value::from(n) }
}

/// The text of a test of answers, with the trial's short values filled in.
pub fn fill_short(text: &str, values: &BTreeMap<String, String>) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Variable(name) => values.get(name).map_or("", String::as_str),
        })
        .collect()
}
