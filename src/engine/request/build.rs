//! [`build_request`]: makes the request of an arm of an experiment.
//!
//! Pure: the same experiment, arm, settings and random values give the same request. It must not
//! know how requests are sent.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use crate::catalog::{Arm, ArmCredential, ArmMethod, Experiment, Turn};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::variables::TrialValues;
use crate::variables::fill::{TemplateFiller, merge_objects};
use crate::wire::exchange::{HttpMethod, Request, RequestCredential};

/// The path of the Messages API below a base URL.
pub const MESSAGES_PATH: &str = "/v1/messages";

/// A request, and whether it contains random values. Rows can share a request without random
/// values.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltRequest {
    /// The request.
    pub request: Request,
    /// True if the request contains a random value.
    pub has_random_values: bool,
}

/// Everything that a request depends on, except its arm.
#[derive(Debug, Clone, Copy)]
pub struct BuildContext<'a> {
    /// The settings of the target and the command line.
    pub settings: &'a RequestSettings,
    /// The form of texts in messages.
    pub text_form: TextForm,
    /// The random values of the trial.
    pub values: &'a TrialValues,
    /// The content of the first response, for the second request of a trial.
    pub first_content: Option<&'a Value>,
    /// The number of the request in a trial that repeats it, from 1.
    pub step: u32,
}

/// Builds a request from layers of arms. Each layer overrides the earlier ones.
pub fn build_request(experiment: &Experiment, layers: &[&Arm], context: BuildContext<'_>) -> BuiltRequest {
    let has_random_values = Cell::new(false);
    let filler = request_filler(context, &has_random_values);
    let turns = conversation_turns(experiment, layers);
    let messages = turns.iter().map(|turn| {
        let (role, content) = match turn {
            Turn::User(content) => ("user", fill_content(&filler, content, context.text_form)),
            Turn::Assistant(content) => ("assistant", fill_content(&filler, content, context.text_form)),
            Turn::System(content) => ("system", fill_content(&filler, content, context.text_form)),
        };
        json!({ "role": role, "content": content })
    });
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(context.settings.model.as_str()));
    body.insert("max_tokens".to_owned(), Value::from(context.settings.answer_tokens));
    body.insert("messages".to_owned(), messages.collect());
    let mut headers = context.settings.headers.clone();
    headers.insert("anthropic-version".to_owned(), context.settings.anthropic_version.clone());
    let mut credential = RequestCredential::Target;
    let (mut method, mut path, mut raw) = (HttpMethod::Post, MESSAGES_PATH.to_owned(), None);
    for arm in layers {
        merge_objects(&mut body, &filler.fill_object(&arm.body));
        for key in &arm.drop {
            body.remove(key);
        }
        for (name, value) in &arm.headers {
            match value {
                Some(value) => headers.insert(name.clone(), filler.fill_text(value)),
                None => headers.remove(name),
            };
        }
        credential = arm.credential.map_or(credential, to_wire_credential);
        method = arm.method.map_or(method, to_wire_method);
        path = arm.path.as_ref().map_or(path, |path| {
            filler.fill_text(&path.replace("{{model}}", &encode_path_segment(&context.settings.model)))
        });
        raw = arm.raw.as_ref().map(|raw| filler.fill_text(raw)).or(raw);
    }
    let is_json = method == HttpMethod::Post && raw.is_none();
    let body = if is_json { Value::Object(body) } else { Value::Null };
    BuiltRequest {
        request: Request { method, path, headers, credential, body, raw },
        has_random_values: has_random_values.get(),
    }
}

/// The request of a run without any field: what arms add is compared with it.
pub(crate) fn build_plain_request(settings: &RequestSettings) -> Request {
    let mut headers = settings.headers.clone();
    headers.insert("anthropic-version".to_owned(), settings.anthropic_version.clone());
    let body = json!({ "model": settings.model, "max_tokens": settings.answer_tokens, "messages": [] });
    let credential = RequestCredential::Target;
    Request { method: HttpMethod::Post, path: MESSAGES_PATH.to_owned(), headers, credential, body, raw: None }
}

/// The turns of the last layer that has any, or the turns of the row.
pub(crate) fn conversation_turns(experiment: &Experiment, layers: &[&Arm]) -> Vec<Turn> {
    let to_turns = |ask: &Option<String>, turns: &Option<Vec<Turn>>| {
        turns.clone().or_else(|| ask.as_ref().map(|ask| vec![Turn::User(Value::from(ask.as_str()))]))
    };
    layers
        .iter()
        .rev()
        .find_map(|arm| to_turns(&arm.ask, &arm.turns))
        .or_else(|| to_turns(&experiment.ask, &experiment.turns))
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

fn to_wire_method(method: ArmMethod) -> HttpMethod {
    match method {
        ArmMethod::Post => HttpMethod::Post,
        ArmMethod::Get => HttpMethod::Get,
        ArmMethod::Head => HttpMethod::Head,
    }
}

/// A filler for the variables of a request. It sets `has_random_values` when it fills in a random
/// value.
pub(crate) fn request_filler<'a>(
    context: BuildContext<'a>,
    has_random_values: &'a Cell<bool>,
) -> TemplateFiller<impl Fn(&str) -> Value + 'a> {
    let settings = context.settings;
    TemplateFiller(move |name: &str| match name {
        "version" => Value::from(settings.anthropic_version.as_str()),
        "range.max" => json_number(settings.temperature_max),
        "range.above" => json_number(((settings.temperature_max + 0.1) * 1000.0).round() / 1000.0),
        "step" => Value::from(context.step),
        "model" => Value::from(settings.model.as_str()),
        "overflow" => Value::from(overflow_text(settings.context_tokens.unwrap_or_default())),
        "max_output_tokens" => settings.max_output_tokens.map_or(Value::Null, Value::from),
        "first.content" => {
            has_random_values.set(true);
            context.first_content.cloned().unwrap_or(Value::Null)
        }
        random => {
            has_random_values.set(true);
            match context.values.value(random) {
                Some(value) if random.starts_with("is_city:") => Value::from(value == "true"),
                value => value.map_or(Value::Null, Value::from),
            }
        }
    })
}

/// The content of a user or assistant message, in the text form of the endpoint.
pub(crate) fn fill_content<F: Fn(&str) -> Value>(
    filler: &TemplateFiller<F>,
    content: &Value,
    text_form: TextForm,
) -> Value {
    match (filler.fill_value(content), text_form) {
        (Value::String(text), TextForm::Blocks) => json!([{ "type": "text", "text": text }]),
        (content, _) => content,
    }
}

/// A model name as one segment of a path. Some names contain slashes.
fn encode_path_segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23")
}

/// A text with more words than the context window has tokens. A word has at least one token. The
/// word is short to keep the prompt small.
fn overflow_text(context_tokens: u32) -> String {
    "to ".repeat(context_tokens as usize / 20 * 21)
}

/// A number in its usual form: `2` and not `2.0`.
fn json_number(n: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the condition checks that it is integral and small")]
    if n.fract() == 0.0 && n.abs() < 1e15 { Value::from(n as i64) } else { Value::from(n) }
}
